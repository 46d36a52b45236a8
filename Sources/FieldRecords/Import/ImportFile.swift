public import Merge
public import RecordSchema

/// A row that a file asks for. A column that the file lacks isn't in it.
public struct ImportRow: Hashable, Sendable {
    public struct Register: Hashable, Sendable {
        public let column: Column
        public let value: Value
    }

    public struct Elements: Hashable, Sendable {
        public let column: Column
        /// At least one; each once, in the order of the file.
        public let values: [Value]
    }

    /// The line of the file on which the record begins, from 1.
    public let line: Int
    public let table: Table
    /// Where a new row belongs: a row's scope is set when it is made.
    public let scope: String
    /// The natural key, normalised.
    public let key: [Value]
    /// The values of the natural key's columns, and what else the record has.
    public internal(set) var registers: [Register]
    public internal(set) var elements: [Elements]
    /// The columns whose fields are empty. Where an earlier list said something, that is gone.
    public internal(set) var emptyColumns: [Column] = []
}

/// A row that a record names by its natural key, and that must be in the file or the replica.
public struct ImportReference: Hashable, Sendable {
    public let line: Int
    /// The header column that names it.
    public let column: String
    /// Where the row must be.
    public let table: Table
    /// The badge or code, normalised.
    public let key: String
}

/// Something in a file that must be put right before any of it is imported.
public struct ImportProblem: Hashable, Sendable, CustomStringConvertible {
    /// From 1, as text editors count.
    public let line: Int
    /// The header column, where the problem is in one.
    public let column: String?
    /// What is wrong and what to do.
    public let message: String

    public init(line: Int, column: String? = nil, _ message: String) {
        self.line = line
        self.column = column
        self.message = message
    }

    public var description: String {
        "line \(line)" + (column.map { ", \($0)" } ?? "") + ": \(message)"
    }
}

/// All that is wrong with a file. Nothing of it is imported.
public struct ImportErrors: Error, Sendable, CustomStringConvertible {
    /// The file.
    public let name: String
    /// In the order of the lines; never empty.
    public let problems: [ImportProblem]
    /// Further ones, which were counted and not kept.
    public let omittedCount: Int

    public init(name: String, _ problems: ImportProblems) {
        self.name = name
        self.problems = problems.byLine
        omittedCount = problems.count - problems.noted.count
    }

    public var description: String {
        problems.map { "\(name): \($0)" }.joined(separator: "\n")
    }
}

/// What is found wrong with a file: nobody reads a million problems, and nothing has room for them.
public struct ImportProblems: Sendable {
    static let limit = 1_000

    /// The first ones that were found.
    private(set) var noted: [ImportProblem] = []
    private(set) var count = 0

    public init() {}

    public var isEmpty: Bool { count == 0 }

    public mutating func append(_ problem: @autoclosure () -> ImportProblem) {
        count += 1
        if noted.count < Self.limit { noted.append(problem()) }
    }

    /// In the order of the lines; those of one line as they were found.
    var byLine: [ImportProblem] {
        noted.enumerated()
            .sorted { ($0.element.line, $0.offset) < ($1.element.line, $1.offset) }
            .map(\.element)
    }
}

/// A CSV file that was read and found to be in order.
public struct ImportFile: Hashable, Sendable {
    public let name: String
    public let kind: ImportKind
    /// In the order of the file.
    public let rows: [ImportRow]
    /// Rows of a second table of which the file says nothing but that their fields are empty: none
    /// is made for them. In the order of the file.
    public let emptied: [ImportRow]
    /// In the order of the file, with repetitions.
    public let references: [ImportReference]

    /// Reads a CSV file: UTF-8 with or without a mark, separated by commas, semicolons or tabs as
    /// its first line shows, with any line ends. Fields are taken as they stand, byte by byte.
    ///
    /// - Parameters:
    ///   - bytes: the whole file.
    ///   - name: what to call it in messages.
    /// - Throws: everything that is wrong, not only the first; what exceeds ``ImportProblems`` as a
    ///   number.
    public static func read(
        bytes: [UInt8], kind: ImportKind, name: String
    ) throws(ImportErrors) -> ImportFile {
        var problems = ImportProblems()
        let records = CSVText(bytes, problems: &problems).map { $0.records(problems: &problems) }
        var reader = ImportReader(kind: kind, problems: problems)
        if let records { reader.read(records) }
        guard reader.problems.isEmpty else {
            throw ImportErrors(name: name, reader.problems)
        }
        return ImportFile(
            name: name, kind: kind, rows: reader.rows, emptied: reader.emptied,
            references: reader.references)
    }
}
