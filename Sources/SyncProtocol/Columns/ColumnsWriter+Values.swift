internal import Causality

extension ColumnsWriter {
    /// A column whose values have been looked up in what the stream has said.
    struct ResolvedColumn {
        var key: ColumnKey
        var form: ColumnForm
        var values: [BodyScan.Value]
        /// By value: its number in the column's table; empty where none is looked up, -1 for one that
        /// has none.
        var entries: [Int32] = []
        /// What the values would take that stand in an earlier run, by the run's last seq.
        var savings: [UInt64: Int] = [:]
    }

    /// With fewer values than this they get numbers in any case.
    private static let fewLimit = 256
    /// So do ids and others of which one in so many came before.
    private static let rareShare = 32
    /// And texts where numbers save so many bytes for each: a compressor saves as much by itself.
    private static let leastTextBytes = 2
    /// Runs for which a column is not looked up after its values hardly ever came again.
    private static let pauseRuns = 7

    mutating func resolve(
        _ column: BodyScan.Column, in dictionary: inout SealingDictionary
    ) -> ResolvedColumn {
        typealias Kind = BodyScan.Value.Kind
        var resolved = ResolvedColumn(key: column.key, form: .items, values: column.values)
        switch column.kinds {
        case Kind.integer.rawValue: resolved.form = .integers
        case Kind.time.rawValue, Kind.time.rawValue | Kind.integer.rawValue: resolved.form = .times
        case Kind.id.rawValue: resolved.form = .ids
        case Kind.text.rawValue: resolved.form = .texts
        default: break
        }
        lookUp(&resolved, in: &dictionary)
        return resolved
    }

    /// As above, for a text of each changeset.
    mutating func resolve(
        _ key: ColumnKey, _ texts: [Range<Int>], in dictionary: inout SealingDictionary
    ) -> ResolvedColumn {
        var resolved = ResolvedColumn(
            key: key, form: .texts,
            values: texts.enumerated().map { index, range in
                BodyScan.Value(
                    kind: .text, changeset: Int32(index), length: Int32(range.count),
                    offset: Int32(range.lowerBound), number: 0)
            })
        lookUp(&resolved, in: &dictionary)
        return resolved
    }

    private mutating func lookUp(
        _ column: inout ResolvedColumn, in dictionary: inout SealingDictionary
    ) {
        guard column.form.isNumbered else { return }
        if let pause = dictionary.pauses[column.key], column.values.count >= Self.fewLimit {
            dictionary.pauses[column.key] = pause > 1 ? pause - 1 : nil
            column.form = column.form.once
            return
        }
        var table = dictionary.values.removeValue(forKey: column.key) ?? ByteTable()
        column.entries.reserveCapacity(column.values.count)
        for value in column.values {
            let entry = number(value, in: &table)
            column.entries.append(Int32(entry ?? -1))
            guard let entry, table[entry].run > 0, table.visit(entry, lastSeq) else { continue }
            column.savings[table[entry].run, default: 0] += table.length(entry)
        }
        dictionary.values[column.key] = table
    }

    private mutating func number(_ value: BodyScan.Value, in table: inout ByteTable) -> Int? {
        let (offset, length) = (Int(value.offset), Int(value.length))
        switch value.kind {
        case .text, .id, .other:
            return table.number(
                UnsafeRawBufferPointer(rebasing: bytes[offset..<offset + length]),
                tag: value.kind.rawValue)
        case .keyed:
            return id(Int(value.number)).withUnsafeBytes {
                table.number($0, tag: BodyScan.Value.Kind.id.rawValue)
            }
        case .integer, .time:
            var item = CBOREncoder(reserving: 9)
            item.integer(integer(value))
            return item.bytes.withUnsafeBytes {
                table.number($0, tag: BodyScan.Value.Kind.other.rawValue)
            }
        }
    }

    /// What an integer or a time says.
    private func integer(_ value: BodyScan.Value) -> Int64 {
        let number = Int64(bitPattern: value.number)
        return value.kind == .time
            ? number &+ scan.times[Int(value.changeset)].milliseconds : number
    }

    // MARK: Writing

    mutating func write(
        _ column: inout ResolvedColumn, _ run: inout SealingDictionary.Run,
        _ dictionary: inout SealingDictionary
    ) {
        switch column.form {
        case .integers: return writeIntegers(column)
        case .times:
            encoder.unsigned(column.form.rawValue)
            return numbers(
                column.values.map { value in
                    let milliseconds = scan.times[Int(value.changeset)].milliseconds
                    return Numbers.zigzag(integer(value) &- milliseconds)
                })
        case .itemsOnce, .idsOnce, .textsOnce:
            encoder.unsigned(column.form.rawValue)
            return spell(column.values, column.form)
        case .items, .ids, .texts: break
        case .differences: preconditionFailure("chosen where integers are written")
        }
        guard var table = dictionary.values.removeValue(forKey: column.key) else { return }
        let (numbers, spelled) = number(column, &table, run)
        if isRare(column, spelled) {
            for index in spelled where column.entries[index] >= 0 {
                table[Int(column.entries[index])] = ByteTable.Place()
            }
            dictionary.pauses[column.key] = Self.pauseRuns
            encoder.unsigned(column.form.once.rawValue)
            spell(column.values, column.form)
        } else {
            run.values[column.key] = spelled.count
            encoder.unsigned(column.form.rawValue)
            self.numbers(numbers)
            spell(spelled.map { column.values[$0] }, column.form)
        }
        dictionary.values[column.key] = table
    }

    /// Whether the values that came before are not worth numbers for all.
    private func isRare(_ column: ResolvedColumn, _ spelled: [Int]) -> Bool {
        let count = column.values.count
        guard count >= Self.fewLimit else { return false }
        guard column.form == .texts else {
            return (count - spelled.count) * Self.rareShare < count
        }
        let all = column.values.reduce(0) { $0 + Int($1.length) }
        let said = spelled.reduce(0) { $0 + Int(column.values[$1].length) }
        return all - said < count * Self.leastTextBytes
    }

    /// - Returns: a number for each value, and the places of those that must be said.
    private func number(
        _ column: ResolvedColumn, _ table: inout ByteTable, _ run: SealingDictionary.Run
    ) -> (numbers: [UInt64], spelled: [Int]) {
        let bases = bases { $0.values[column.key] ?? 0 }
        var (numbers, spelled): ([UInt64], [Int]) = ([], [])
        numbers.reserveCapacity(column.entries.count)
        for (index, entry) in column.entries.enumerated() {
            let entry = Int(entry)
            let place = entry < 0 ? ByteTable.Place() : table[entry]
            if place.run == lastSeq {
                numbers.append(UInt64(bases.own + place.index) + 1)
            } else if place.run > 0, let base = bases.of[place.run] {
                numbers.append(UInt64(base + place.index) + 1)
            } else {
                if entry >= 0 {
                    table[entry] = ByteTable.Place(run: lastSeq, index: spelled.count)
                }
                spelled.append(index)
                numbers.append(0)
            }
        }
        return (numbers, spelled)
    }

    /// Values in full.
    private mutating func spell(_ values: [BodyScan.Value], _ form: ColumnForm) {
        let start = encoder.count
        switch form {
        case .ids, .idsOnce:
            for value in values { encoder.raw(content(value)) }
        case .texts, .textsOnce:
            numbers(values.map { UInt64($0.length) })
            let start = encoder.count
            for value in values { encoder.raw(content(value)) }
            return seam(from: start)
        default:
            for value in values { item(value) }
        }
        seam(from: start)
    }

    private func content(_ value: BodyScan.Value) -> UnsafeRawBufferPointer {
        let offset = Int(value.offset)
        return UnsafeRawBufferPointer(rebasing: bytes[offset..<offset + Int(value.length)])
    }

    private mutating func item(_ value: BodyScan.Value) {
        switch value.kind {
        case .text:
            encoder.head(3, UInt64(value.length))
            encoder.raw(content(value))
        case .id: encoder.blob(content(value))
        case .integer, .time: encoder.integer(integer(value))
        case .keyed:
            let row = scan.entered[Int(value.number)]
            encoder.array(2 + row.keyCount)
            encoder.unsigned(1)
            encoder.unsigned(UInt64(row.table))
            encoder.raw(content(value))
        case .other: encoder.raw(content(value))
        }
    }

    private mutating func writeIntegers(_ column: ResolvedColumn) {
        let plain = column.values.map { Numbers.zigzag(Int64(bitPattern: $0.number)) }
        var last: Int64 = 0
        let differences = column.values.map { value in
            let number = Int64(bitPattern: value.number)
            defer { last = number }
            return Numbers.zigzag(number &- last)
        }
        let isPlain = Self.bitCount(plain) <= Self.bitCount(differences)
        encoder.unsigned((isPlain ? ColumnForm.integers : .differences).rawValue)
        numbers(isPlain ? plain : differences)
    }

    private static func bitCount(_ numbers: [UInt64]) -> Int {
        numbers.reduce(0) { $0 + UInt64.bitWidth - $1.leadingZeroBitCount }
    }
}
