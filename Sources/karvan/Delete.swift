internal import ArgumentParser
internal import ReplicaStore
internal import RecordSchema
internal import Causality
internal import ProgramOutput
internal import Recording

/// Hides a record.
struct Delete: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "delete",
        abstract: "Delete a record. An edit that someone makes meanwhile brings it back.",
        discussion: """
            Example: karvan delete item P07
            """)

    @OptionGroup var common: CommonOptions
    @Argument(help: "The table.")
    var table: String
    @Argument(help: "The badge, the code, ITEM/DELEGATION, or the start of the id.")
    var key: String

    func run() throws {
        let records = try common.records("delete")
        defer { records.replica.close() }
        let table = try records.table(self.table)
        let (row, receipt) = try records.delete(table, key, author: common.author)
        try common.print(
            "\(table.name) \(key): deleted",
            .object([
                ("table", .string(table.name)), ("id", .string(row.description)),
                ("changes", receipt.json),
            ]))
    }
}
