public import FieldRecords

/// What was recorded, told in tables: a function of the changes that it is made from, and of nothing else, so that
/// it comes out the same a year later.
public struct Report: Sendable {
    /// `Attendance`.
    public var title: String
    /// What it is limited to, for people; empty for all.
    public var limits: [String]
    public var sections: [ReportSection]
    public var basis: ReportBasis
    /// The options that ask for the same again, beside the version vector.
    public var options: String
}

/// One table of a report.
public struct ReportSection: Sendable {
    /// One word, as `--by` takes it: `item`, `delegation`, `day`.
    public var name: String
    /// `By item`.
    public var title: String
    public var columns: [ReportColumn]
    public var rows: [[ReportCell]] = []
    /// What is said where there are no rows.
    public var emptyText: String
    public var chart: ReportChart?
    /// What is to be known of all of it.
    public var note: String?

    init(
        _ name: String, _ title: String, emptyText: String, _ columns: [ReportColumn],
        chart: ReportChart? = nil, note: String? = nil
    ) {
        self.name = name
        self.title = title
        self.columns = columns
        self.emptyText = emptyText
        self.chart = chart
        self.note = note
    }
}

public struct ReportColumn: Hashable, Sendable {
    public enum Kind: Hashable, Sendable {
        case text, number, time
    }

    /// As files name it: `first_in`.
    public var name: String
    /// As people read it: `First in`.
    public var title: String
    public var kind: Kind

    init(_ name: String, _ title: String, _ kind: Kind = .text) {
        self.name = name
        self.title = title
        self.kind = kind
    }
}

public enum ReportCell: Hashable, Sendable {
    case empty
    case text(String)
    case number(Int64)
    case time(Instant)
    /// A number that nobody has decided: both ends included.
    case range(ClosedRange<Int64>)
    /// Values between which a person must decide, as people read them.
    case unresolved(String)
    /// So many are unresolved, and that isn't none.
    case open(Int64)

    /// As people read it.
    public var text: String {
        switch self {
        case .empty: ""
        case .text(let text): text
        case .number(let number), .open(let number): String(number)
        case .time(let time): time.inWholeSeconds
        case .range(let range): "\(TallyZone.text(of: range)) (unresolved)"
        case .unresolved(let text): text.isEmpty ? "unresolved" : "unresolved: \(text)"
        }
    }

    /// Somebody has to decide on it.
    public var isUnresolved: Bool {
        switch self {
        case .range, .unresolved, .open: true
        default: false
        }
    }

    static func text(optional text: String?) -> ReportCell { text.map { .text($0) } ?? .empty }
    static func time(optional milliseconds: Int64?) -> ReportCell {
        milliseconds.map { .time(Instant(milliseconds: $0)) } ?? .empty
    }
    static func open(count: Int) -> ReportCell { count == 0 ? .number(0) : .open(Int64(count)) }
    /// A sum that may not be decided.
    static func count(_ range: ClosedRange<Int64>) -> ReportCell {
        range.lowerBound == range.upperBound ? .number(range.lowerBound) : .range(range)
    }
}

/// Stacked bars: one for each row of a section.
public struct ReportChart: Hashable, Sendable {
    public struct Series: Hashable, Sendable {
        /// The column whose numbers are drawn.
        public var column: String
        /// 0xRRGGBB.
        public var colour: Int
    }

    public var title: String
    /// The column that says what a bar is of.
    public var names: String
    public var series: [Series]
}

/// Why a report can't be made as asked.
public struct ReportError: Error, Hashable, Sendable {
    /// What is wrong and what to do.
    public var explanation: String

    public init(_ explanation: String) {
        self.explanation = explanation
    }
}
