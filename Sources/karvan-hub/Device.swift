internal import ArgumentParser
internal import FieldRecords
internal import Hub
internal import ProgramOutput
internal import ReplicaStore

/// The laptops that the hub knows.
struct DeviceCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "device", abstract: "Look at enrolled laptops.",
        subcommands: [DeviceList.self])
}

struct DeviceList: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "list",
        abstract: "List laptops with their last contact, and what they said waits there.")

    @OptionGroup var common: CommonOptions

    func run() throws {
        let store = try common.openStore("device list")
        defer { store.close() }
        let devices = try store.devices()
        var output = TextTable([
            "device", "name", "role", "scopes", "last contact", "to send", "clock",
        ])
        for device in devices {
            output.add([
                String(device.device.prefix(8)), device.name, device.role,
                device.scopes.joined(separator: " "),
                device.lastSeenMilliseconds.map(time) ?? "never", "\(device.pendingCount)",
                clock(device.clockOffsetMilliseconds),
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
        ])
    }
}
