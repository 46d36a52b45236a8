internal import ArgumentParser
internal import Causality
internal import FieldRecords
internal import ProgramOutput
internal import Recording
internal import ReplicaStore

/// Records who is there.
struct Attend: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "attend",
        abstract: "Record people at an item: in (the default), out, absent or excused.",
        discussion: """
            Example: karvan attend P07 AZ-014 AZ-015 --door B

            What is printed is on disk. --undo takes back this laptop's last record of one person.
            """)

    @OptionGroup var common: CommonOptions
    @Argument(help: "The item's code.")
    var item: String
    @Argument(help: "One badge or more.")
    var people: [String]
    @Flag(name: .customLong("in"), help: "They are there (the default).")
    var isIn = false
    @Flag(help: "They left.")
    var out = false
    @Flag(help: "They are not there.")
    var absent = false
    @Option(help: "They are excused, for this reason.")
    var excused: String?
    @Option(help: "When it happened: a time, or a bare 10:10 of the item's day.")
    var at: String?
    @Option(help: "At which door.")
    var door: String?
    @Flag(help: "From a roll call, not from a badge.")
    var rollCall = false
    @Flag(help: "Take back this laptop's last record of the person.")
    var undo = false

    func validate() throws {
        let kinds = [isIn, out, absent, excused != nil, undo].filter { $0 }.count
        guard kinds <= 1 else {
            throw ValidationError("Give one of --in, --out, --absent, --excused and --undo.")
        }
        guard !undo || people.count == 1 else {
            throw ValidationError("--undo takes one person.")
        }
    }

    private var kind: ObservationKind {
        if out { return .out }
        if absent { return .absent }
        return excused == nil ? .in : .excused
    }

    func run() throws {
        let records = try common.records("attend")
        defer { records.replica.close() }
        if undo { return try takeBack(records) }
        let entry = AttendanceEntry(
            kind: kind, method: rollCall ? .rollCall : .badge,
            claimedMilliseconds: try at.map { try records.instant($0, for: item).milliseconds },
            door: door, reason: excused)
        let (marks, receipt) = try records.attend(item, people, entry, author: common.author)
        let lines = marks.map(line)
        try common.print(lines.joined(separator: "\n"), json(marks, receipt))
    }

    private func line(_ mark: AttendanceMark) -> String {
        var line = "\(mark.badge)  \(TextTable.printable(mark.name))  \(kind.rawValue)  \(item)"
        if let before = mark.before {
            line += "  (already \(before)"
            if let since = mark.beforeSince {
                line += " since \(Instant(milliseconds: since).inWholeSeconds)"
            }
            if let door = mark.beforeDoor { line += ", door \(TextTable.printable(door))" }
            line += ")"
        }
        return line
    }

    private func json(_ marks: [AttendanceMark], _ receipt: WriteReceipt) -> JSONValue {
        .object([
            ("item", .string(item)), ("kind", .string(kind.rawValue)),
            (
                "recorded",
                .array(
                    marks.map { mark in
                        .object([
                            ("badge", .string(mark.badge)), ("name", .string(mark.name)),
                            ("observation", .string(mark.observation.description)),
                            ("before", mark.before.map(JSONValue.string) ?? .null),
                        ])
                    })
            ),
            ("changes", receipt.json),
        ])
    }

    private func takeBack(_ records: Records) throws {
        let (mark, kind, receipt) = try records.undoAttendance(
            item, people[0], author: common.author)
        try common.print(
            "\(mark.badge)  \(TextTable.printable(mark.name))  \(item): '\(kind)' taken back",
            .object([
                ("item", .string(item)), ("badge", .string(mark.badge)),
                ("taken_back", .string(kind)),
                ("observation", .string(mark.observation.description)),
                ("changes", receipt.json),
            ]))
    }
}

extension WriteReceipt {
    /// The names of the changesets that were written.
    var json: JSONValue { .array(dots.map { .string($0.description) }) }
}
