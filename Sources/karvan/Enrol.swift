internal import ArgumentParser
internal import CurlTransport
internal import Foundation
internal import ProgramOutput
internal import ReplicaStore
internal import SyncProtocol

/// Lets a hub know this laptop.
struct Enrol: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "enrol",
        abstract: "Join a hub with the token that its operator gave you.",
        discussion: """
            Example: karvan enrol https://hub.example.org:8443 TOKEN
            """)

    @OptionGroup var common: CommonOptions
    @Argument(help: "The hub's address, such as https://hub.example.org:8443.")
    var url: String
    @Argument(help: "The token: good once, and for a short time.")
    var token: String
    @Option(help: "Trust this authority (PEM) and the hub's name instead of the token's pin.")
    var ca: String?
    @Flag(help: "The hub that this laptop knows has a new root key, by its operator's word.")
    var newRoot = false

    func run() throws {
        let replica = try common.open("enrol")
        defer { replica.close() }
        guard let token = EnrolmentToken(text: token) else {
            throw CommandFailure(
                .badInput, "this is not a whole token: it starts with karvan1-; copy all of it")
        }
        let hasOtherRoot = try replica.membership().map { $0.anchor.root != token.root } ?? false
        guard !hasOtherRoot || newRoot else {
            throw CommandFailure(
                .refused,
                "this laptop belongs to another forum than the token. Make a new replica for it: "
                    + "`karvan init --replica FILE`. Only if the operator says that this forum has a new "
                    + "root key, add --new-root")
        }
        let url = try HubURL.normalise(self.url)
        let authority = try ca.map(readFile)
        let hub = try CurlEnrolment(
            url: url, trust: authority.map { .authority(pem: $0) } ?? .pinned(sha256: [token.pin]),
            limits: TransportLimits(totalMilliseconds: 60_000))
        let request = EnrolmentRequest(
            secret: token.secret, name: try replica.name, key: try replica.key())
        let reply = try hub.enrol(request)
        let membership: Membership
        do throws(CertificateError) {
            membership = try Membership(
                anchor: TrustAnchor(root: token.root), hub: reply.hub, own: reply.device,
                device: replica.publicKey)
        } catch {
            throw CommandFailure(
                .protocolError,
                "\(url) is not the hub that made this token (\(error.explanation)). Nothing was "
                    + "changed here; ask its operator for another token")
        }
        // Whoever gives it a new root must be the hub that it trusts: which has said so in its own stream.
        let knownHub = try replica.hubLink()?.publicKey
        guard !hasOtherRoot || reply.hub.statement.publicKey == knownHub else {
            throw CommandFailure(
                .refused,
                "\(url) is not the hub that this laptop knows, but one of another forum. Nothing was "
                    + "changed here. Make a new replica for it: `karvan init --replica FILE`")
        }
        guard try !hasOtherRoot || replica.holds(reply.hub) else {
            throw CommandFailure(
                .refused,
                "the hub that this laptop knows has not said that the forum has a new root, as far as is "
                    + "known here. Nothing was changed. Next: `karvan sync`, then this again with the "
                    + "same token")
        }
        let grants = reply.device.statement.grants
        let role = Swift.Set(grants.map(\.role)).sorted().joined(separator: ", ")
        try replica.setHubLink(
            HubLink(
                url: url,
                pins: authority == nil
                    ? TrustedPins(pins: [token.pin], sinceMilliseconds: reply.hubMilliseconds)
                    : nil,
                authority: authority, publicKey: reply.hub.statement.publicKey, role: role),
            membership: membership)
        try common.print(
            """
            Enrolled with \(url) as \(role), for \(Grant.forPeople(grants.map(\.scope))).
            Next: karvan sync
            """,
            .object([
                ("hub", .string(url)), ("role", .string(role)),
                ("scopes", .array(grants.map { .string($0.scope) })),
            ]))
    }
}

/// The bytes of a file that was named on the command line.
func readFile(_ path: String) throws -> [UInt8] {
    do {
        return Array(try Data(contentsOf: URL(filePath: path)))
    } catch {
        throw CommandFailure(
            .badInput, "\(path) can't be read (\(error.localizedDescription))")
    }
}
