internal import ArgumentParser
internal import Causality
internal import FieldRecords
internal import Foundation
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

            What counts stays, without a name: attendance, and the badge. The hub destroys the keys to the rest \
            when this is synced, and every laptop when it syncs. A list that has the badge brings nothing back. \
            Nothing undoes it; until this laptop has synced, deleting the request takes it back: \
            karvan delete erasure ID. The same command again shows the receipt.
            """)

    @OptionGroup var common: CommonOptions
    @Option(help: "Why; it is kept, so it should not name the person.")
    var reason = ""
    @Flag(help: "Show who it would be, and ask for nothing.")
    var dryRun = false
    @Flag(help: "Don't ask once more, where a terminal would.")
    var yes = false
    @Argument(help: "The person's badge, or the start of the id.")
    var person: String

    func run() throws {
        let records = try common.records("erase")
        defer { records.replica.close() }
        let (found, _) = try records.askToErase(
            person, reason: reason, author: common.author, isDryRun: true)
        let isNew = found.contains { $0.erasure == nil }
        if !dryRun, isNew, try !isConfirmed(found) {
            throw CommandFailure(.badInput, "nothing was asked for")
        }
        let (standings, receipt) =
            dryRun
            ? (found, WriteReceipt())
            : try records.askToErase(person, reason: reason, author: common.author)
        let isDone = try !records.replica.isEmptyingDue()
        try common.print(
            standings.flatMap { lines($0, isDone: isDone) }.map(TextTable.printable)
                .joined(separator: "\n"),
            .object([
                ("people", .array(standings.map(json))), ("dry_run", .bool(dryRun)),
                ("emptied", .bool(isDone)), ("changes", receipt.json),
            ]))
    }

    private func isConfirmed(_ people: [ErasureStanding]) throws -> Bool {
        guard !yes, !common.json, isatty(STDIN_FILENO) != 0 else { return true }
        let names = people.map(\.person.line).joined(separator: "\n  ")
        StandardError.print(
            TextTable.printable("karvan: for good, and nothing undoes it:") + "\n  \(names)\n"
                + "Erase? Type the badge or id once more")
        return readLine()?.trimmingCharacters(in: .whitespaces) == person
    }

    private func lines(_ standing: ErasureStanding, isDone: Bool) -> [String] {
        var lines: [String] = []
        if let erasure = standing.erasure {
            let time = Instant(milliseconds: erasure.decidedMilliseconds).inWholeSeconds
            lines += [
                "\(standing.person.line): erased at \(time) by the hub"
                    + (erasure.author.isEmpty ? "" : ", asked for by \(erasure.author)")
                    + (erasure.note.isEmpty ? "" : ": \(erasure.note)"),
                "  receipt    \(erasure.id)",
                "  signed by  \(Hexadecimal.text(of: erasure.hub))"
                    + (erasure.isSigned ? "" : ", and the signature is wrong"),
                "  signature  \(Hexadecimal.text(of: erasure.signature))",
                isDone
                    ? "  here       the keys are destroyed, and the file is emptied of what they opened"
                    : "  here       the keys are destroyed; the file is emptied with the next sync",
                "  elsewhere  every laptop destroys them when it next syncs; backups keep theirs until then",
            ]
        } else if dryRun {
            lines.append("\(standing.person.line): would be erased")
        } else {
            lines.append(
                "\(standing.person.line): erasing \(standing.wasAsked ? "was asked for before" : "is asked for"). "
                    + "It is done when this laptop has synced: run `karvan sync`, then this command again "
                    + "for the receipt")
        }
        if standing.unsealedCount > 0 {
            lines.append(
                "  left       \(standing.unsealedCount) values that an earlier version recorded unencrypted: "
                    + "they stay in the log")
        }
        return lines
    }

    private func json(_ standing: ErasureStanding) -> JSONValue {
        .object([
            ("person", standing.person.json), ("asked_before", .bool(standing.wasAsked)),
            ("unsealed", .integer(Int64(standing.unsealedCount))),
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
