internal import ArgumentParser
internal import Causality
internal import Hub
internal import ProgramOutput
internal import ReplicaStore
internal import SyncProtocol

/// Which of the changes that are kept aside.
struct QuarantineChoice: ParsableArguments {
    @Argument(help: "Numbers that `quarantine list` gives.")
    var numbers: [Int64] = []
    @Option(help: "All of this laptop: its name, or the first digits of its device.")
    var laptop: String?

    func validate() throws {
        guard numbers.isEmpty == (laptop != nil) else {
            throw ValidationError("Give numbers of `karvan-hub quarantine list`, or --laptop.")
        }
    }

    func find(in store: HubStore) throws -> [QuarantinedRun] {
        let kept = try store.replica.quarantinedRuns()
        if let laptop {
            let device = try find(laptop, in: try store.devices()).device
            let found = kept.filter { $0.device?.description == device }
            guard !found.isEmpty else {
                throw CommandFailure(.badInput, "nothing of \(laptop) is kept aside")
            }
            return found
        }
        return try numbers.map { number in
            guard let run = kept.first(where: { $0.number == number }) else {
                throw CommandFailure(
                    .badInput,
                    "nothing is kept aside as \(number); see `karvan-hub quarantine list`")
            }
            return run
        }
    }
}

struct QuarantineAdmit: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "admit",
        abstract: "Let changes count that are kept aside.",
        discussion: """
            Example: karvan-hub quarantine admit 3

            They count for everybody, under the names of those who recorded them, as if they had come in \
            time; what others wrote since stands beside them, or over what it replaced. What lies before \
            them in their laptop's stream is admitted with them. The laptop itself stays revoked.

            Look at them first: karvan-hub quarantine show NUMBER
            """)

    @OptionGroup var common: CommonOptions
    @OptionGroup var choice: QuarantineChoice

    func run() throws {
        let store = try common.openStore("quarantine admit")
        defer { store.close() }
        let admissions = try store.admit(try choice.find(in: store))
        let names = try store.namesOfDevices()
        try common.print(
            admissions.map { text($0, names) }.joined(separator: "\n"),
            .object([("admitted", .array(admissions.map { json($0, names) }))]))
    }

    private func text(_ admission: HubStore.Admission, _ names: [DeviceID: String]) -> String {
        let name = names[admission.device].map { "\(TextTable.printable($0)) " } ?? ""
        let count = admission.changeCount
        var text =
            "\(ItemCount.text(count, "change")) of \(name)(\(admission.device.short)) count now; "
            + "laptops get them with their next sync."
        if admission.earlierRunCount > 0 {
            text += " Among them is what lay before those that you named."
        }
        return text
    }

    private func json(_ admission: HubStore.Admission, _ names: [DeviceID: String]) -> JSONValue {
        .object([
            ("device", .string(admission.device.description)),
            ("name", names[admission.device].map(JSONValue.string) ?? .null),
            ("changes", .integer(Int64(admission.changeCount))),
        ])
    }
}

struct QuarantineSkip: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "skip",
        abstract: "Leave changes aside for good, and list them no more.",
        discussion: """
            Example: karvan-hub quarantine skip 3

            Nothing is deleted: `quarantine list --all` still has them, and they can be admitted later.
            """)

    @OptionGroup var common: CommonOptions
    @OptionGroup var choice: QuarantineChoice

    func run() throws {
        let store = try common.openStore("quarantine skip")
        defer { store.close() }
        let runs = try choice.find(in: store)
        try store.skip(runs)
        let count = runs.reduce(0) { $0 + $1.run.header.count }
        try common.print(
            "\(ItemCount.text(count, "change")) stay\(count == 1 ? "s" : "") aside; "
                + "`karvan-hub quarantine list --all` has them.",
            .object([("skipped", .array(runs.map { .integer($0.number) }))]))
    }
}
