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
        commandName: "show",
        abstract: "Show a record: each value with who wrote it and when.",
        discussion: """
            Example: karvan show visit V12/KZ --at 10:30

            --blame adds when each value came here, since when it has been shown, and what was there
            before. All that was ever written: karvan history.
            """)

    @OptionGroup var common: CommonOptions
    @OptionGroup var past: PastOptions
    @Flag(help: "Show where each value comes from and what it took the place of.")
    var blame = false
    @Argument(help: "The table.")
    var table: String
    @Argument(help: "The badge, the code, ITEM/DELEGATION, or the start of the id.")
    var key: String

    func run() throws {
        let records = try common.records("show")
        defer { records.replica.close() }
        let table = try records.table(self.table)
        let point = try past.point(records, item: records.item(ofRow: key, in: table))
        guard !blame else { return try showBlame(records, table, point) }
        // Before what it names is read: what was called otherwise meanwhile is then found out.
        let naming = try records.replica.naming()
        let (row, cells): (RowID, [ShownCell])
        if let point {
            (row, cells) = try records.show(table, key, at: point)
        } else {
            row = try records.row(in: table, key)
            cells = try records.show(table, row)
        }
        let note = try point?.json(records) ?? []
        try common.print(
            text(records, table, row, cells, point), json(table, row, note, cells, naming))
    }

    private func showBlame(
        _ records: Records, _ table: Table, _ point: PastPoint?
    ) throws {
        let (row, values) = try records.blame(table, key, at: point)
        let width = values.map(\.column.name.count).max() ?? 0
        let note = try point?.json(records) ?? []
        try common.print(
            (title(records, table, row, point) + values.flatMap { $0.lines(columnWidth: width) })
                .joined(separator: "\n"),
            .object(
                [("table", .string(table.name)), ("id", .string(row.description))] + note
                    + [("columns", .array(values.map(\.json)))]))
    }

    private func title(
        _ records: Records, _ table: Table, _ row: RowID, _ point: PastPoint?
    ) throws -> [String] {
        let name = TextTable.printable(try records.knownName(of: row, in: table))
        return try ["\(table.name) \(name)  (\(row))"]
            + (point.map { try [$0.note(records), ""] } ?? [])
    }

    private func text(
        _ records: Records, _ table: Table, _ row: RowID, _ cells: [ShownCell],
        _ point: PastPoint?
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
        return try (title(records, table, row, point) + output.lines).joined(separator: "\n")
    }

    private func json(
        _ table: Table, _ row: RowID, _ note: [(String, JSONValue)], _ cells: [ShownCell],
        _ naming: String
    ) -> JSONValue {
        .object(
            [
                ("table", .string(table.name)), ("id", .string(row.description)),
            ] + note + [
                (
                    "columns",
                    .array(
                        cells.map { cell in
                            .object([
                                ("column", .string(cell.column.name)),
                                ("value", .string(cell.text)),
                                (
                                    "device",
                                    (cell.provenance?.device).map(JSONValue.string) ?? .null
                                ),
                                (
                                    "person",
                                    (cell.provenance?.person).map(JSONValue.string) ?? .null
                                ),
                                (
                                    "claimed",
                                    cell.provenance.map {
                                        .string(
                                            Instant(milliseconds: $0.claimedMilliseconds)
                                                .formatted())
                                    } ?? .null
                                ),
                                ("others", .integer(Int64(cell.siblingCount))),
                                (
                                    "basis",
                                    .string(Basis(cell.basis, naming: naming).description)
                                ),
                            ])
                        })
                )
            ])
    }
}
