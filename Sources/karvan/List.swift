internal import ArgumentParser
internal import FieldRecords
internal import Merge
internal import ProgramOutput
internal import RecordSchema
internal import Recording
internal import ReplicaStore

/// Shows the rows of a table.
struct List: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "list",
        abstract: "List a table, or attendance.",
        discussion: """
            Examples: karvan list attendance --item P07
                      karvan list visit --item V12 --at 11:30

            After a list of tallies stands what they come to: zones add up, and a zone whose \
            sessions differ is a range until someone decides.
            """)

    @OptionGroup var common: CommonOptions
    @OptionGroup var past: PastOptions
    @Argument(help: "A table, `attendance` or `attendance_summary`.")
    var table: String
    @Option(help: "Only what belongs to this item.")
    var item: String?

    func run() throws {
        let records = try common.records("list")
        defer { records.replica.close() }
        if past.time != nil { return try listPast(records) }
        let list =
            switch table {
            case "attendance": try records.attendance(item: item)
            case "attendance_summary": try records.attendanceSummary(item: item)
            default: try records.list(try records.table(table), item: item)
            }
        let totals = table == "tally" ? try records.tallyTotals(item: item) : []
        try show(list, totals, note: "", [])
    }

    private func listPast(_ records: Records) throws {
        guard !["attendance", "attendance_summary"].contains(table) else {
            throw RecordError(
                "\(table) is computed from what stands now; --at takes a table, such as "
                    + "`karvan list observation`")
        }
        let table = try records.table(self.table)
        guard let point = try past.point(records, item: item) else { return }
        let list = try records.list(table, item: item, at: point)
        try show(list, [], note: try point.note(records) + "\n\n", try point.json(records))
    }

    private func show(
        _ list: (columns: [String], rows: [[String]]), _ totals: [TallyTotal], note: String,
        _ facts: [(String, JSONValue)]
    ) throws {
        var output = TextTable(list.columns)
        for row in list.rows { output.add(row) }
        let count = list.rows.count
        let lines =
            (list.rows.isEmpty ? [] : output.lines) + [ItemCount.text(count, "row")]
            + (totals.isEmpty ? [] : [""] + Self.lines(totals))
        try common.print(
            note + lines.joined(separator: "\n"),
            .object(
                [("table", .string(table))] + facts + [
                    (
                        "rows",
                        .array(
                            list.rows.map { row in
                                .object(zip(list.columns, row).map { ($0, .string($1)) })
                            })
                    )
                ]
                    + (table == "tally" && facts.isEmpty
                        ? [("totals", .array(totals.map(\.json)))] : [])))
    }

    /// An item's sum comes after its zones.
    private static func lines(_ totals: [TallyTotal]) -> [String] {
        var output = TextTable(["item", "zone", "counted"])
        for total in totals {
            output.add([
                total.item, total.zone ?? "in all",
                total.text + (total.isUnresolved ? " (unresolved)" : ""),
            ])
        }
        return output.lines
    }
}

extension TallyTotal {
    fileprivate var json: JSONValue {
        .object([
            ("item", .string(item)), ("zone", zone.map(JSONValue.string) ?? .null),
            ("counted", .string(text)), ("least", .integer(range.lowerBound)),
            ("most", .integer(range.upperBound)), ("unresolved", .bool(isUnresolved)),
        ])
    }
}
