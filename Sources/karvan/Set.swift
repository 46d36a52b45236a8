internal import ArgumentParser
internal import ReplicaStore
internal import RecordSchema
internal import Causality
internal import ProgramOutput
internal import Recording

/// Changes a record.
struct Set: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "set",
        abstract: "Set columns of a record.",
        discussion: """
            Example: karvan set person AZ-014 role=speaker languages+=ru

            References take the badge or code, times ISO 8601; an empty value clears the column.
            What `karvan show --json` prints as basis can be given back with --basis: then only
            those values are replaced, whatever arrived meanwhile.
            """)

    @OptionGroup var common: CommonOptions
    @Argument(help: "The table.")
    var table: String
    @Argument(help: "The badge, the code, ITEM/DELEGATION, or the start of the id.")
    var key: String
    @Argument(help: "COLUMN=VALUE; for sets also COLUMN+=ELEMENT and COLUMN-=ELEMENT.")
    var assignments: [String]
    @Option(help: "The dots that were shown, as `karvan show --json` prints them.")
    var basis: String?

    func run() throws {
        let records = try common.records("set")
        defer { records.replica.close() }
        let table = try records.table(self.table)
        let basis = try basis.map { text in try Basis(text) }
        let (row, isChanged, receipt) = try records.set(
            table, key, try assignments.map { try Assignment($0) }, basis: basis,
            author: common.author)
        let name = try records.name(of: row, in: table)
        try common.print(
            "\(table.name) \(name): \(isChanged ? "changed" : "as it was")",
            .object([
                ("table", .string(table.name)), ("id", .string(row.description)),
                ("changed", .bool(isChanged)), ("changes", receipt.json),
            ]))
    }
}
