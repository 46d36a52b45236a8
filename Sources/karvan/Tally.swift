internal import ArgumentParser
internal import ProgramOutput
internal import Recording
internal import ReplicaStore

/// Counts heads.
struct Tally: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "tally",
        abstract: "Count heads in a zone.",
        discussion: """
            Example: karvan tally P07 "door A" +3

            Zones of an item add up. Two sessions of one zone count the same heads, so they never \
            add up: when they differ, someone decides. The session is this laptop unless named.
            """)

    @OptionGroup var common: CommonOptions
    @Argument(help: "The item's code.")
    var item: String
    @Argument(help: "The zone: a door, a hall, a bus.")
    var zone: String
    @Argument(parsing: .allUnrecognized, help: "+N or -N.")
    var amount: [String]
    @Option(help: "Who counts, when it isn't this laptop.")
    var session: String?

    func run() throws {
        guard amount.count == 1, let first = amount[0].first, first == "+" || first == "-",
            let number = Int64(amount[0])
        else {
            throw RecordError(
                "'\(amount.joined(separator: " "))' is not +N or -N: how many more or fewer")
        }
        let records = try common.records("tally")
        defer { records.replica.close() }
        let (mark, receipt) = try records.tally(
            item, zone: zone, session: session, by: number, author: common.author)
        try common.print(
            "\(item) \(mark.zone): \(amount[0]), now \(mark.count) (\(mark.session))",
            .object([
                ("item", .string(item)), ("zone", .string(mark.zone)),
                ("session", .string(mark.session)), ("count", .integer(mark.count)),
                ("changes", receipt.json),
            ]))
    }
}
