internal import ArgumentParser
internal import ProgramOutput
internal import RecordSchema
internal import Recording
internal import ReplicaStore

/// Shows all that was ever written to a record.
struct History: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "history",
        abstract: "Show all that was ever written to a record, deleted or not.",
        discussion: """
            Examples: karvan history visit V12/KZ --column actual_arrival
                      karvan history person AZ-014 --graph

            Each change with its time by its author's word, who made it and when it came here, what \
            its author had been shown, and what became of it. No change stands before one \
            that its author had been shown; beyond that they go by the clocks that recorded them. \
            Times of receipt are this replica's; the hub's store has its own.
            """)

    @OptionGroup var common: CommonOptions
    @Argument(help: "The table.")
    var table: String
    @Argument(help: "The badge, the code, ITEM/DELEGATION, or the start of the id.")
    var key: String
    @Option(help: "Only this column.")
    var column: String?
    @Flag(help: "Draw what came of what, a line for each change.")
    var graph = false

    func run() throws {
        let records = try common.records("history")
        defer { records.replica.close() }
        let history = try records.history(
            of: key, in: try records.table(table), column: column)
        try common.print(graph ? history.graph : history.text, history.json)
    }
}
