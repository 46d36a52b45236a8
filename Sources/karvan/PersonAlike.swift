internal import ArgumentParser
internal import ProgramOutput
internal import Recording
internal import ReplicaStore

struct PersonAlike: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "alike",
        abstract: "List people who may be one, with what speaks for it.",
        discussion: """
            Example: karvan person alike --least 60

            By how names are spoken, whatever the alphabet, by telephone, e-mail, delegation and \
            badge. The score is no proof: look, ask, and then merge. Walk-ins of whom someone has \
            decided that they are different, or one, are left out.
            """)

    @OptionGroup var common: CommonOptions
    @Argument(help: "Only of this person: a badge, or the start of an id.")
    var person: String?
    @Option(help: "The least score that is told, 1 to 100.")
    var least = 50

    func validate() throws {
        guard (1...100).contains(least) else {
            throw ValidationError("--least takes a number from 1 to 100")
        }
    }

    func run() throws {
        let records = try common.records("person alike")
        defer { records.replica.close() }
        let found = try records.alikePeople(of: person, least: least)
        var table = TextTable(["score", "person", "may be", "why", "if they are one"])
        for pair in found {
            table.add([
                "\(pair.score)", pair.kept.line, pair.other.line,
                pair.reasons.joined(separator: ", "),
                "karvan person merge \(pair.kept.name) \(pair.other.name)",
            ])
        }
        try common.print(
            found.isEmpty
                ? "Nobody seems to be somebody else." : table.lines.joined(separator: "\n"),
            .object([
                (
                    "pairs",
                    .array(
                        found.map { pair in
                            .object([
                                ("score", .integer(Int64(pair.score))), ("kept", pair.kept.json),
                                ("other", pair.other.json),
                                ("reasons", .array(pair.reasons.map(JSONValue.string))),
                            ])
                        })
                )
            ]))
    }
}
