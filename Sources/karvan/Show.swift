internal import ArgumentParser
internal import ReplicaStore
internal import Causality
internal import FieldRecords
internal import ProgramOutput
internal import RecordSchema
internal import Recording

/// Shows one record with who wrote what.
struct Show: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Show a record: each value with who wrote it and when.")

    @OptionGroup var common: CommonOptions
    @Argument(help: "The table.")
    var table: String
    @Argument(help: "The badge, the code, ITEM/DELEGATION, or the start of the id.")
    var key: String

    func run() throws {
        let records = try common.records("show")
        defer { records.replica.close() }
        let table = try records.table(self.table)
        let row = try records.row(in: table, key)
        let cells = try records.show(table, row)
        try common.print(text(records, table, row, cells), json(table, row, cells))
    }

    private func text(
        _ records: Records, _ table: Table, _ row: RowID, _ cells: [ShownCell]
    ) throws -> String {
        var output = TextTable(["column", "value", "by", "claimed"])
        for cell in cells {
            let mark = cell.siblingCount > 0 ? "  [+\(cell.siblingCount) other]" : ""
            output.add([
                cell.column.name, cell.text + mark, cell.provenance?.who ?? "",
                cell.provenance.map { Instant(milliseconds: $0.claimedMilliseconds).inWholeSeconds }
                    ?? "",
            ])
        }
        let name = try records.name(of: row, in: table)
        return (["\(table.name) \(name)  (\(row))"] + output.lines).joined(separator: "\n")
    }

    private func json(_ table: Table, _ row: RowID, _ cells: [ShownCell]) -> JSONValue {
        .object([
            ("table", .string(table.name)), ("id", .string(row.description)),
            (
                "columns",
                .array(
                    cells.map { cell in
                        .object([
                            ("column", .string(cell.column.name)), ("value", .string(cell.text)),
                            ("device", (cell.provenance?.device).map(JSONValue.string) ?? .null),
                            ("person", (cell.provenance?.person).map(JSONValue.string) ?? .null),
                            (
                                "claimed",
                                cell.provenance.map {
                                    .string(
                                        Instant(milliseconds: $0.claimedMilliseconds).formatted())
                                } ?? .null
                            ),
                            ("others", .integer(Int64(cell.siblingCount))),
                            (
                                "basis",
                                .string(cell.basis.map(\.description).joined(separator: ","))
                            ),
                        ])
                    })
            ),
        ])
    }
}
