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
        abstract: "Join a hub with the token that its operator gave you.")

    @OptionGroup var common: CommonOptions
    @Argument(help: "The hub's address, such as https://hub.example.org:8443.")
    var url: String
    @Argument(help: "The token: good once, and for a short time.")
    var token: String
    @Option(help: "Trust this authority (PEM) and the hub's name instead of the token's pin.")
    var ca: String?

    func run() throws {
        let replica = try common.open("enrol")
        defer { replica.close() }
        guard let token = EnrolmentToken(text: token) else {
            throw CommandFailure(
                .badInput, "this is not a whole token: it starts with karvan0-; copy all of it")
        }
        if let root = try replica.membership()?.anchor.root, root != token.root {
            throw CommandFailure(
                .refused,
                "this laptop belongs to another forum than the token. Make a new replica for it: "
                    + "`karvan init --replica FILE`")
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
        let grants = reply.device.statement.grants
        let role = Swift.Set(grants.map(\.role)).sorted().joined(separator: ", ")
        try replica.setHubLink(
            HubLink(
                url: url, pin: authority == nil ? token.pin : nil, authority: authority,
                publicKey: reply.hub.statement.publicKey, role: role), membership: membership)
        try common.print(
            """
            Enrolled with \(url) as \(role), for \(grants.map(\.scope).joined(separator: ", ")).
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
