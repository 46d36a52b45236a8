internal import ArgumentParser
internal import FieldRecords
internal import Hub
internal import ProgramOutput
internal import ReplicaStore
internal import SyncProtocol

/// What lets a laptop in.
struct TokenCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "token", abstract: "Make tokens for enrolment.",
        subcommands: [TokenCreate.self])
}

struct TokenCreate: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "create",
        abstract: "Make a token that lets one laptop in, once.",
        discussion: "Example: karvan-hub token create --scope forum --role recorder")

    @OptionGroup var common: CommonOptions
    @Option(help: "A scope that the laptop may read.")
    var scope: [String] = [Forum.scope]
    @Option(help: "coordinator, lead, recorder or viewer.")
    var role = "recorder"
    @Option(help: "Minutes until the token expires, at most 1440.")
    var minutes = 60

    func run() throws {
        let store = try common.openStore("token create")
        defer { store.close() }
        guard (1...1_440).contains(minutes) else {
            throw CommandFailure(.badInput, "--minutes takes 1 to 1440")
        }
        let token = try store.createToken(
            scopes: scope, role: role, lifetimeMilliseconds: Int64(minutes) * 60_000,
            pin: try common.certificate().pin)
        let expiry = Instant(milliseconds: token.expiryMilliseconds).formatted()
        try common.print(
            token.text,
            .object([
                ("token", .string(token.text)), ("expires", .string(expiry)),
                ("role", .string(role)), ("scopes", .array(scope.map(JSONValue.string))),
            ]))
    }
}
