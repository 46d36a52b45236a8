internal import ArgumentParser
internal import Causality
internal import FieldRecords
internal import Hub
internal import ProgramOutput
internal import ReplicaStore
internal import SyncProtocol

/// The laptops that the hub knows.
struct DeviceCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "device", abstract: "Look at enrolled laptops, and revoke lost ones.",
        subcommands: [DeviceList.self, DeviceGrant.self, DeviceRevoke.self])
}

struct DeviceList: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "list",
        abstract: "List laptops with their last contact, and what they said waits there.",
        discussion: """
            Example: karvan-hub device list
            """)

    @OptionGroup var common: CommonOptions

    func run() throws {
        let store = try common.openStore("device list")
        defer { store.close() }
        let devices = try store.devices()
        var output = TextTable([
            "device", "name", "role", "scopes", "last contact", "to send", "clock", "revoked",
        ])
        for device in devices {
            output.add([
                String(device.device.prefix(8)), device.name, device.role,
                Grant.forPeople(device.scopes),
                device.lastSeenMilliseconds.map(time) ?? "never", "\(device.pendingCount)",
                clock(device.clockOffsetMilliseconds),
                device.revokedMilliseconds.map(time) ?? "",
            ])
        }
        try common.print(
            devices.isEmpty ? "No laptop is enrolled yet." : output.lines.joined(separator: "\n"),
            .object([("devices", .array(devices.map(json)))]))
    }

    private func time(_ milliseconds: Int64) -> String {
        Instant(milliseconds: milliseconds).inWholeSeconds
    }

    private func clock(_ offset: Int64) -> String {
        abs(offset) < 60_000
            ? "OK" : "\(abs(offset) / 60_000) min \(offset > 0 ? "ahead" : "behind")"
    }

    private func json(_ device: EnrolledDevice) -> JSONValue {
        .object([
            ("device", .string(device.device)), ("name", .string(device.name)),
            ("role", .string(device.role)),
            ("scopes", .array(device.scopes.map(JSONValue.string))),
            ("enrolled", .string(time(device.enrolledMilliseconds))),
            ("last_contact", device.lastSeenMilliseconds.map { .string(time($0)) } ?? .null),
            ("waiting", .integer(device.pendingCount)),
            ("clock_offset_ms", .integer(device.clockOffsetMilliseconds)),
            ("revoked", device.revokedMilliseconds.map { .string(time($0)) } ?? .null),
        ])
    }
}

struct DeviceGrant: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "grant",
        abstract: "Change what an enrolled laptop may read and write.",
        discussion: """
            The laptop is told at its next sync. What it recorded before goes on counting. What it may read \
            no more it hands over first, as far as it was recorded there, and then takes off its disk.

            Example: karvan-hub device grant "L4 bus 2" --scope delegation/KZ --role recorder
            """)

    @OptionGroup var common: CommonOptions
    @Argument(help: "The laptop's name, or the first digits of its device, as `device list` says.")
    var device: String
    @Option(
        help: ArgumentHelp(
            "What it may read beside what everybody reads: delegation/CODE, all, or forum for nothing else.",
            discussion: "May be given several times. Left out, it stays as it is."))
    var scope: [String] = []
    @Option(help: "coordinator, lead, recorder or viewer. Left out, it stays as it is.")
    var role: String?

    func validate() throws {
        guard !scope.isEmpty || role != nil else {
            throw ValidationError("say what it may read, with --scope, or do, with --role")
        }
    }

    func run() throws {
        let store = try common.openStore("device grant")
        defer { store.close() }
        let device = try store.grant(
            find(device, in: try store.devices()), scopes: scope.isEmpty ? nil : scope, role: role)
        try common.print(
            "\(TextTable.printable(device.name)) (\(device.device.prefix(8))) is \(device.role), and reads "
                + Grant.forPeople(device.scopes) + ". It is told at its next sync.",
            .object([
                ("device", .string(device.device)), ("name", .string(device.name)),
                ("role", .string(device.role)),
                ("scopes", .array(device.scopes.map(JSONValue.string))),
            ]))
    }
}

struct DeviceRevoke: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "revoke",
        abstract: "Let a laptop in no more: it was lost, stolen or given back.",
        discussion: """
            What the hub has of it goes on counting; with --since, only what came before. What the \
            laptop still brings, and what was taken out, is kept aside: see `karvan-hub quarantine`. \
            It can't be undone; who finds the laptop starts a new replica on it.

            Example: karvan-hub device revoke 1a2b3c4d --reason "lost on the bus to Ordubad"
            """)

    @OptionGroup var common: CommonOptions
    @Argument(help: "The laptop's name, or the first digits of its device, as `device list` says.")
    var device: String
    @Option(help: "Take out what came at this time or later, such as 2025-11-26T08:30:00Z.")
    var since: String?
    @Option(help: "Why: everybody who asks is told.")
    var reason = ""

    func run() throws {
        let limit = try since.map(limit)
        let store = try common.openStore("device revoke")
        defer { store.close() }
        let device = try find(device, in: try store.devices())
        let result = try store.revoke(device, receivedBy: limit, note: reason)
        let name = TextTable.printable(result.name)
        var text =
            "\(name) (\(result.device.short)) is revoked: \(ItemCount.text(result.keptCount, "change")) of it count."
        if result.cutOffCount > 0 {
            text +=
                " \(ItemCount.text(result.cutOffCount, "change")) were taken out and are kept aside: see "
                + "`karvan-hub quarantine list`."
        }
        try common.print(
            text,
            .object([
                ("device", .string(result.device.description)), ("name", .string(result.name)),
                ("changes", .integer(Int64(clamping: result.keptCount))),
                ("taken_out", .integer(Int64(clamping: result.cutOffCount))),
            ]))
    }

    private func limit(_ text: String) throws -> Int64 {
        do {
            return try Instant(text).milliseconds - 1
        } catch {
            throw CommandFailure(
                .badInput, "--since takes a time like 2025-11-26T08:30:00Z, not \(text)")
        }
    }
}

extension ParsableArguments {
    /// The laptop that somebody means by a name, or by the first digits of its device.
    func find(_ name: String, in devices: [EnrolledDevice]) throws -> EnrolledDevice {
        let found = devices.filter { $0.name == name || $0.device.hasPrefix(name.lowercased()) }
        guard let first = found.first, !name.isEmpty else {
            throw CommandFailure(
                .badInput, "no laptop is called \(name); `karvan-hub device list` names them all")
        }
        guard found.count == 1 else {
            let names = found.map { "\($0.device.prefix(8)) (\($0.name))" }
            throw CommandFailure(
                .badInput,
                "\(name) may be \(names.joined(separator: " or ")); name one by its "
                    + "device's digits")
        }
        return first
    }
}
