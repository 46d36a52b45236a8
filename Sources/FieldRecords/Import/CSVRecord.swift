internal import CCSV

/// One record: its fields, and the lines that it spans.
struct CSVRecord {
    var fields: [[UInt8]]
    /// Both ends included.
    var lines: ClosedRange<Int>
}

extension CSVText {
    /// The records, up to the first place where the quotes don't match, which is noted.
    func records(problems: inout ImportProblems) -> [CSVRecord] {
        let collector = CSVCollector()
        guard let parser = CSVParser(delimiter: delimiter, collector: collector) else {
            problems.append(ImportProblem(line: 1, "there is no memory left to read the file"))
            return []
        }
        for (index, line) in lines.enumerated() {
            collector.begin(line: index + 1, isBlank: Self.isBlank(line))
            guard parser.feed(line) else {
                problems.append(collector.stoppedProblem(parser.isOutOfMemory))
                return collector.records
            }
        }
        if !parser.finish() {
            problems.append(
                parser.isOutOfMemory
                    ? collector.stoppedProblem(true) : collector.unclosedProblem())
        }
        return collector.records
    }
}

/// Puts libcsv's fields into records, and knows which line each came from.
///
/// libcsv tells no positions. It is fed line by line instead: what it reports then lies on the line
/// just fed, and a record that isn't over by the end of a line goes on in quotes.
private final class CSVCollector {
    private(set) var records: [CSVRecord] = []
    private var fields: [[UInt8]] = []
    private var line = 0
    private var recordLine: Int?
    private var fieldLine = 0

    func begin(line: Int, isBlank: Bool) {
        self.line = line
        if recordLine == nil, !isBlank {
            recordLine = line
            fieldLine = line
        }
    }

    func endField(_ field: [UInt8]) {
        fields.append(field)
        fieldLine = line
    }

    func endRecord() {
        records.append(CSVRecord(fields: fields, lines: (recordLine ?? line)...line))
        fields = []
        recordLine = nil
    }

    func unclosedProblem() -> ImportProblem {
        ImportProblem(
            line: fieldLine,
            "the quote that opens in field \(fields.count + 1) is never closed: close it, or"
                + " write a quote inside of a field twice")
    }

    func stoppedProblem(_ isOutOfMemory: Bool) -> ImportProblem {
        if isOutOfMemory {
            return ImportProblem(line: line, "there is no memory left to read the file")
        }
        let end = fieldLine == line ? "" : ", which runs to line \(line),"
        return ImportProblem(
            line: fieldLine,
            "field \(fields.count + 1)\(end) has a quote in the wrong place: put the whole field"
                + " in quotes and write each quote inside of it twice")
    }
}

/// libcsv, strict: a quote where none belongs is an error and no part of the text.
private struct CSVParser: ~Copyable {
    private let parser: UnsafeMutablePointer<csv_parser>
    private let collector: CSVCollector

    /// - Returns: `nil` when there is no memory.
    init?(delimiter: UInt8, collector: CSVCollector) {
        let parser = UnsafeMutablePointer<csv_parser>.allocate(capacity: 1)
        guard csv_init(parser, UInt8(CSV_STRICT | CSV_STRICT_FINI)) == 0 else {
            parser.deallocate()
            return nil
        }
        csv_set_delim(parser, delimiter)
        // No byte counts as a space: libcsv would trim it from fields that aren't quoted.
        csv_set_space_func(parser) { _ in 0 }
        self.parser = parser
        self.collector = collector
    }

    deinit {
        csv_free(parser)
        parser.deallocate()
    }

    var isOutOfMemory: Bool { csv_error(parser) == CSV_ENOMEM || csv_error(parser) == CSV_ETOOBIG }

    /// - Returns: whether all of `line` was taken.
    func feed(_ line: ArraySlice<UInt8>) -> Bool {
        line.withUnsafeBytes { bytes in
            csv_parse(parser, bytes.baseAddress, bytes.count, onField, onRecord, context)
                == bytes.count
        }
    }

    /// - Returns: whether the last field was whole.
    func finish() -> Bool { csv_fini(parser, onField, onRecord, context) == 0 }

    /// Unretained, because `collector` outlives every call.
    private var context: UnsafeMutableRawPointer { Unmanaged.passUnretained(collector).toOpaque() }
}

private func onField(
    _ bytes: UnsafeMutableRawPointer?, _ count: Int, _ context: UnsafeMutableRawPointer?
) {
    guard let context else { return }
    let field = UnsafeRawBufferPointer(start: bytes, count: count)
    Unmanaged<CSVCollector>.fromOpaque(context).takeUnretainedValue().endField(Array(field))
}

private func onRecord(_ end: Int32, _ context: UnsafeMutableRawPointer?) {
    guard let context else { return }
    Unmanaged<CSVCollector>.fromOpaque(context).takeUnretainedValue().endRecord()
}
