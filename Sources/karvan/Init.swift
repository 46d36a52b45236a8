internal import ArgumentParser
internal import Causality
internal import FieldRecords
internal import ProgramOutput
internal import ReplicaStore

/// Makes a replica.
struct Init: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "init",
        abstract: "Make a new replica and the key of this device.",
        discussion: """
            Example: karvan init --name "L1 door B"
            """)

    @OptionGroup var common: CommonOptions
    @Option(help: "What people call this laptop, such as \"L1 door B\".")
    var name: String

    func run() throws {
        let replica = try Replica.create(
            at: common.path, name: name, schema: Forum.schema,
            environment: .system(command: "karvan init"))
        defer { replica.close() }
        try common.print(
            """
            Made \(common.path) for \(name), device \(replica.device.short).
            Keep \(common.path).key beside it: it is this laptop's key, and nobody else's.
            Next: karvan enrol URL TOKEN, with the token that the hub's operator gives you.
            """,
            .object([
                ("replica", .string(common.path)), ("name", .string(name)),
                ("device", .string(replica.device.description)),
                ("stream", .string(replica.stream.description)),
            ]))
    }
}
