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
        abstract: "List a table, or attendance.",
        discussion: """
            Example: karvan list attendance --item P07

            After a list of tallies stands what they come to: zones add up, and a zone whose \
            sessions differ is a range until someone decides.
            """)

    @OptionGroup var common: CommonOptions
    @Argument(help: "A table, `attendance` or `attendance_summary`.")
    var table: String
    @Option(help: "Only what belongs to this item.")
    var item: String?

    func run() throws {
        let records = try common.records("list")
        defer { records.replica.close() }
        let list =
            switch table {
            case "attendance": try records.attendance(item: item)
            case "attendance_summary": try records.attendanceSummary(item: item)
            default: try records.list(try records.table(table), item: item)
            }
        let totals = table == "tally" ? try records.tallyTotals(item: item) : []
        var output = TextTable(list.columns)
        for row in list.rows { output.add(row) }
        let count = list.rows.count
        let lines =
            (list.rows.isEmpty ? [] : output.lines) + ["\(count) row\(count == 1 ? "" : "s")"]
            + (totals.isEmpty ? [] : [""] + Self.lines(totals))
        common.print(
            lines.joined(separator: "\n"),
            .object(
                [
                    ("table", .string(table)),
                    (
                        "rows",
                        .array(
                            list.rows.map { row in
                                .object(zip(list.columns, row).map { ($0, .string($1)) })
                            })
                    ),
                ] + (table == "tally" ? [("totals", .array(totals.map(\.json)))] : [])))
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
