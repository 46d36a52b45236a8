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
        discussion: "Example: karvan list attendance --item P07")

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
        var output = TextTable(list.columns)
        for row in list.rows { output.add(row) }
        let count = list.rows.count
        common.print(
            (list.rows.isEmpty ? [] : output.lines).joined(separator: "\n")
                + (list.rows.isEmpty ? "" : "\n") + "\(count) row\(count == 1 ? "" : "s")",
            .object([
                ("table", .string(table)),
                (
                    "rows",
                    .array(
                        list.rows.map { row in
                            .object(zip(list.columns, row).map { ($0, .string($1)) })
                        })
                ),
            ]))
    }
}
