internal import ArgumentParser
internal import ProgramOutput
internal import Recording
internal import ReplicaStore

struct PersonSplit: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "split",
        abstract: "Part two people who went by one badge.",
        discussion: """
            Example: karvan person split AZ-014 --native "Xəyalə Rüstəmova" --item P07

            Makes the second person and moves observations to them: each is taken back, and \
            recorded of the second person as it was. Merging the two undoes it.
            """)

    @OptionGroup var common: CommonOptions
    @Argument(help: "The badge that both went by.")
    var badge: String
    @Option(help: "The second person's name, as it is written at home.")
    var native: String
    @Option(help: "The name in Latin letters.")
    var latin: String?
    @Option(help: "The second person's delegation (default: that of the badge).")
    var delegation: String?
    @Option(help: "delegate, speaker, press, …")
    var role: String?
    @Option(
        parsing: .upToNextOption,
        help: "Observations to move: their ids, or the start of them.")
    var observations: [String] = []
    @Option(
        parsing: .upToNextOption,
        help: "Items of which all observations that stand are moved.")
    var item: [String] = []

    func validate() throws {
        guard observations.isEmpty || item.isEmpty else {
            throw ValidationError("Give --observations or --item, not both.")
        }
    }

    func run() throws {
        let records = try common.records("person split")
        defer { records.replica.close() }
        let (first, second, count, receipt) = try records.split(
            badge,
            NewPerson(
                nativeName: native, latinName: latin, delegation: delegation ?? "", role: role),
            item.isEmpty ? .observations(observations) : .items(item), author: common.author)
        let moved =
            count == 0
            ? "no observation was moved" : "moved \(ItemCount.text(count, "observation"))"
        try common.print(
            "\(second.line) is parted from \(first.line): \(moved). Name them by \(second.name).",
            .object([
                ("first", first.json), ("second", second.json),
                ("moved", .integer(Int64(count))), ("changes", receipt.json),
            ]))
    }
}
