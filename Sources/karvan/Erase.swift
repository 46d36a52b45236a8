internal import ArgumentParser
internal import Causality
internal import FieldRecords
internal import ProgramOutput
internal import Recording
internal import ReplicaStore
internal import SyncProtocol

/// Has a person forgotten.
struct Erase: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "erase",
        abstract: "Have a person forgotten, for good: names, contacts and remarks about them.",
        discussion: """
            Example: karvan erase UZ-020 --reason "asked for it in writing"

            What counts stays, without a name: attendance, and the badge. The hub destroys the keys to the rest when \
            this is synced, and every laptop when it syncs. A list that has the badge brings nothing back. Nothing \
            undoes it. The same command again shows the receipt.
            """)

    @OptionGroup var common: CommonOptions
    @Option(help: "Why; it is kept, so it should not name the person.")
    var reason = ""
    @Argument(help: "The person's badge, or the start of the id.")
    var person: String

    func run() throws {
        let records = try common.records("erase")
        defer { records.replica.close() }
        let (standings, receipt) = try records.askToErase(
            person, reason: reason, author: common.author)
        try common.print(
            standings.map(text).joined(separator: "\n"),
            .object([
                ("people", .array(standings.map(json))), ("changes", receipt.json),
            ]))
    }

    private func text(_ standing: ErasureStanding) -> String {
        guard let erasure = standing.erasure else {
            let asked = standing.wasAsked ? "was asked for before" : "is asked for"
            return """
                \(standing.person.line): erasing \(asked). It is done when this laptop has synced, and on every other \
                one when that syncs; run `karvan sync`, then this command again for the receipt
                """
        }
        let time = Instant(milliseconds: erasure.decidedMilliseconds).inWholeSeconds
        var lines = [
            "\(standing.person.line): erased at \(time) by the hub"
                + (erasure.author.isEmpty ? "" : ", asked for by \(erasure.author)")
                + (erasure.note.isEmpty ? "" : ": \(erasure.note)")
        ]
        lines.append("  receipt    \(erasure.id)")
        lines.append("  signed by  \(Hexadecimal.text(of: erasure.hub))")
        lines.append("  signature  \(Hexadecimal.text(of: erasure.signature))")
        lines.append("  here       the keys are destroyed; laptops that have not synced since still have them")
        return lines.map(TextTable.printable).joined(separator: "\n")
    }

    private func json(_ standing: ErasureStanding) -> JSONValue {
        .object([
            ("person", standing.person.json), ("asked_before", .bool(standing.wasAsked)),
            (
                "erasure",
                standing.erasure.map { erasure in
                    .object([
                        ("receipt", .string(erasure.id.description)),
                        (
                            "decided",
                            .string(Instant(milliseconds: erasure.decidedMilliseconds).formatted())
                        ),
                        ("asked_by", .string(erasure.author)), ("reason", .string(erasure.note)),
                        ("hub", .string(Hexadecimal.text(of: erasure.hub))),
                        ("signature", .string(Hexadecimal.text(of: erasure.signature))),
                        ("statement", .string(Hexadecimal.text(of: erasure.encode()))),
                    ])
                } ?? .null
            ),
        ])
    }
}
