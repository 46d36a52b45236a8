internal import ArgumentParser
internal import Causality
internal import ProgramOutput
internal import Recording
internal import ReplicaStore

/// People: walk-ins, twins, two people on one badge, and who belongs where.
struct PersonCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "person",
        abstract: "Add walk-ins, merge and unmerge twins, split a badge, change a delegation.",
        discussion: """
            People are named by badge; who has none by the start of the id that `person add` \
            prints. Everything here can be undone: `merge` by `unmerge`, `split` by `merge`.
            """,
        subcommands: [
            PersonAdd.self, PersonAlike.self, PersonMerge.self, PersonUnmerge.self,
            PersonSplit.self,
            PersonTransfer.self,
        ])
}

struct PersonAdd: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "add",
        abstract: "Add a walk-in: a person without a badge.",
        discussion: """
            Example: karvan person add --native "Gülşən Məmmədova" --delegation AZ

            Says who has a name like it, in whatever alphabet. The walk-in is added all the same: \
            if they are one, merge them.
            """)

    @OptionGroup var common: CommonOptions
    @Option(help: "The name, as it is written at home.")
    var native: String
    @Option(help: "The name in Latin letters.")
    var latin: String?
    @Option(help: "The delegation's code.")
    var delegation: String
    @Option(help: "delegate, speaker, press, …")
    var role: String?

    func run() throws {
        let records = try common.records("person add")
        defer { records.replica.close() }
        let (person, alike, receipt) = try records.addPerson(
            NewPerson(
                nativeName: native, latinName: latin, delegation: delegation, role: role),
            author: common.author)
        var lines = ["\(person.line) added. Name them by \(person.name)."]
        if !alike.isEmpty {
            lines.append("Someone of a like name is here already:")
            lines += alike.map { "  \($0.line)" }
            lines.append("If they are one: karvan person merge \(alike[0].name) \(person.name)")
        }
        try common.print(
            lines.joined(separator: "\n"),
            .object([
                ("person", person.json), ("alike", .array(alike.map(\.json))),
                ("changes", receipt.json),
            ]))
    }
}

struct PersonTransfer: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "transfer",
        abstract: "Move a person to another delegation.",
        discussion: "Example: karvan person transfer TM-006 UZ")

    @OptionGroup var common: CommonOptions
    @Argument(help: "The person's badge, or the start of the id.")
    var person: String
    @Argument(help: "The delegation's code.")
    var delegation: String

    func run() throws {
        let records = try common.records("person transfer")
        defer { records.replica.close() }
        let (person, from, receipt) = try records.transfer(
            person, to: delegation, author: common.author)
        let origin = from.isEmpty ? "" : " from \(from)"
        try common.print(
            receipt.dots.isEmpty
                ? "\(person.line): nothing new"
                : "\(person.line): moved\(origin) to \(person.delegation)",
            .object([
                ("person", person.json), ("from", .string(from)),
                ("changed", .bool(!receipt.dots.isEmpty)), ("changes", receipt.json),
            ]))
    }
}

extension PersonLabel {
    /// `AZ-014  Xəyal Rüstəmov (AZ, delegate)`.
    var line: String {
        let facts = [delegation, role].filter { !$0.isEmpty }.joined(separator: ", ")
        let shown = isErased ? "(erased)" : nativeName.isEmpty ? latinName : nativeName
        return TextTable.printable("\(name)  \(shown)\(facts.isEmpty ? "" : " (\(facts))")")
    }

    var json: JSONValue {
        .object([
            ("id", .string(id.description)), ("name", .string(name)),
            ("name_native", .string(nativeName)), ("name_latin", .string(latinName)),
            ("delegation", .string(delegation)), ("role", .string(role)),
            ("erased", .bool(isErased)),
        ])
    }
}
