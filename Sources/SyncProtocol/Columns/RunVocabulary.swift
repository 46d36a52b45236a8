internal import Causality
internal import Merge

/// What a run says in full: later runs of its stream refer to it by number.
///
/// A run is numbered by itself alone, so that a reader never needs more than the runs that a body
/// names. A run that doesn't lie by columns says nothing that can be referred to.
public final class RunVocabulary: Sendable {
    public let firstSeq: UInt64
    public let lastSeq: UInt64
    /// The size of the body when expanded.
    public let byteCount: Int
    let isByColumns: Bool
    /// Rows that are new or named in full, in their order.
    let names: [UInt32: [RowID]]
    let values: [ColumnKey: [Value]]

    init(
        firstSeq: UInt64, lastSeq: UInt64, byteCount: Int, isByColumns: Bool = true,
        names: [UInt32: [RowID]] = [:], values: [ColumnKey: [Value]] = [:]
    ) {
        self.firstSeq = firstSeq
        self.lastSeq = lastSeq
        self.byteCount = byteCount
        self.isByColumns = isByColumns
        self.names = names
        self.values = values
    }
}

extension RunVocabulary {
    /// Whether later runs find the same in both: what a run says must not depend on how it was read.
    package func saysTheSame(as other: RunVocabulary) -> Bool {
        firstSeq == other.firstSeq && lastSeq == other.lastSeq && byteCount == other.byteCount
            && isByColumns == other.isByColumns && values == other.values
            && names.filter { !$0.value.isEmpty } == other.names.filter { !$0.value.isEmpty }
    }

    /// What a body says in full.
    package convenience init(_ body: ColumnsReader, lastSeq: UInt64, byteCount: Int) {
        var values: [ColumnKey: [Value]] = [:]
        for column in body.columns + [body.authors, body.origins] where column.form.isNumbered {
            values[column.key] = column.spelled
        }
        self.init(
            firstSeq: body.place.firstSeq, lastSeq: lastSeq, byteCount: byteCount,
            names: Self.names(body), values: values)
    }

    private static func names(_ body: ColumnsReader) -> [UInt32: [RowID]] {
        var lists: [UInt32: [RowID]] = [:]
        // By table: how many names were passed, and how many of them were said in full.
        var places = Array(repeating: (name: 0, spelled: 0), count: body.names.count)
        var row = 0
        for index in body.times.indices {
            let dot = Dot(body.place.stream, body.place.firstSeq + UInt64(index))
            lazy var newRows = NewRowIDs(
                dot: dot, time: body.times[index], previousRun: body.place.previousRun,
                mark: body.place.mark)
            var newRowCount = 0
            for _ in 0..<body.rowCounts[index] {
                let shape = body.shapes[Int(body.shapeNumbers[row])]
                row += 1
                if !shape.isNamed {
                    lists[shape.table, default: []].append(newRows[newRowCount & 0xffff])
                    newRowCount += 1
                    continue
                }
                let names = body.names[shape.names]
                if names.numbers[places[shape.names].name] == 0 {
                    let spelled = names.spelled[places[shape.names].spelled]
                    lists[shape.table, default: []].append(spelled)
                    places[shape.names].spelled += 1
                }
                places[shape.names].name += 1
            }
        }
        return lists
    }
}
