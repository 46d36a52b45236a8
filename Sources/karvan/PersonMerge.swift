internal import ArgumentParser
internal import ProgramOutput
internal import Recording
internal import ReplicaStore

struct PersonMerge: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "merge",
        abstract: "Say that people are one: attendance counts for the one who is kept.",
        discussion: "Example: karvan person merge AZ-014 AZ-233")

    @OptionGroup var common: CommonOptions
    @Argument(help: "Who is kept: a badge, or the start of an id.")
    var kept: String
    @Argument(help: "Who is the same person: one or more.")
    var others: [String]

    func run() throws {
        let records = try common.records("person merge")
        defer { records.replica.close() }
        let (kept, merged, receipt) = try records.merge(
            others, into: kept, author: common.author)
        let lines = merged.map {
            $0.wasMerged
                ? "\($0.person.line) and \(kept.line) are one already"
                : "\($0.person.line) is merged into \(kept.line)"
        }
        try common.print(
            lines.joined(separator: "\n"),
            .object([
                ("kept", kept.json),
                (
                    "merged",
                    .array(
                        merged.map {
                            .object([
                                ("person", $0.person.json), ("changed", .bool(!$0.wasMerged)),
                            ])
                        })
                ),
                ("changes", receipt.json),
            ]))
    }
}

struct PersonUnmerge: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "unmerge",
        abstract: "Take back that a person is someone else.",
        discussion: """
            Example: karvan person unmerge AZ-233

            Where laptops merged the person into several people, or two people into each other, \
            all of that is taken back and named.
            """)

    @OptionGroup var common: CommonOptions
    @Argument(help: "The person who was merged: a badge, or the start of an id.")
    var person: String

    func run() throws {
        let records = try common.records("person unmerge")
        defer { records.replica.close() }
        let (person, taken, receipt) = try records.unmerge(person, author: common.author)
        var lines = taken.map { merge in
            "\(merge.person.line) is no longer merged into \(merge.target.line)"
                + (merge.who.isEmpty ? "" : TextTable.printable(", as \(merge.who) had it"))
        }
        if taken.isEmpty {
            lines = ["\(person.line) is not merged into anyone; nothing was written"]
            let others = try records.peopleMerged(into: person.id)
            if !others.isEmpty {
                lines.append("Merged into them, and to be unmerged by their own names:")
                lines += others.map { "  \($0.line)" }
            }
        }
        try common.print(
            lines.joined(separator: "\n"),
            .object([
                ("person", person.json),
                (
                    "taken_back",
                    .array(
                        taken.map {
                            .object([
                                ("person", $0.person.json), ("target", $0.target.json),
                                ("who", .string($0.who)),
                            ])
                        })
                ),
                ("changes", receipt.json),
            ]))
    }
}
