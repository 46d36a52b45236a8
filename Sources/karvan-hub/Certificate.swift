internal import ArgumentParser
internal import FieldRecords
internal import Foundation
internal import Hub
internal import ProgramOutput
internal import ReplicaStore
internal import SyncProtocol

/// The hub's TLS key and certificate.
struct CertificateCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "certificate", abstract: "Look at the hub's TLS key, or change it.",
        subcommands: [CertificateShow.self, CertificateRenew.self])
}

struct CertificateShow: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "show", abstract: "Show by which keys laptops know this hub.",
        discussion: """
            Example: karvan-hub certificate show
            """)

    @OptionGroup var common: CommonOptions

    func run() throws {
        try common.checkIsThere()
        let store = try common.openStore("certificate show")
        defer { store.close() }
        let certificate = try common.certificate()
        let isTold = try store.statedPins() == certificate.pins
        let told =
            isTold ? "yes, at each sync" : "not yet: at the first sync once the hub serves with it"
        try common.print(
            "\(certificate.text)\ntold         \(told)",
            .object(certificate.facts + [("told", .bool(isTold))]))
    }
}

struct CertificateRenew: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "renew",
        abstract: "Change the hub's TLS key to the next one, which laptops know already.",
        discussion: """
            Example: karvan-hub certificate renew

            A hub tells laptops two keys at each sync: the one that it serves with, and the next. After this the \
            next one is in use, and there is a new next one: start the hub again. Laptops that have synced since \
            the last change go on without noticing. One that has missed two changes says that the hub doesn't hold \
            the key it knows: make it a token, and there `karvan enrol URL TOKEN`; what it holds stays as it is.

            After `karvan-hub restore`, when laptops say that: the key was changed after the backup was made. Run \
            this once, with --anyway if need be, then start the hub.

            With a certificate of your own (--tls-cert) there is nothing to run: serve with --tls-next-key for some \
            days, then with a certificate of that key.
            """)

    @OptionGroup var common: CommonOptions
    @Option(help: "A name or address of this host for the new certificate; by default as before.")
    var hostName: [String] = []
    @Flag(
        help:
            "Also where this hub has told nobody of the next key: who knows neither must enrol again."
    )
    var anyway = false

    func validate() throws {
        guard common.tlsCert == nil else {
            throw ValidationError(
                "this changes the key that the hub has made itself; see --help for one of your own."
            )
        }
    }

    func run() throws {
        try common.checkIsThere()
        let store = try common.openStore("certificate renew")
        defer { store.close() }
        // What nobody knows would lock all out.
        guard try anyway || store.isNextKeyKnown(of: try common.certificate()) else {
            throw CommandFailure(
                .badInput,
                "no laptop was told of the next key yet, as far as this hub knows. Start it, and run this "
                    + "once a laptop has synced. When no laptop can sync, because the hub was restored from "
                    + "before a change: --anyway")
        }
        let certificate = try HubCertificate.renew(
            besideStore: common.store, names: hostName,
            wallMilliseconds: Environment.system(command: "").wallMilliseconds())
        try common.print(
            """
            \(certificate.text)
            Next: start the hub again. Tokens of the key from before don't fit then, and those made now don't fit until then.
            """, .object(certificate.facts))
    }
}

extension CommonOptions {
    /// Before a key is made for a hub that nobody meant.
    fileprivate func checkIsThere() throws {
        guard FileManager.default.fileExists(atPath: store) else {
            throw CommandFailure(
                .badInput, "\(store) is not there: there is no hub yet that has a key")
        }
    }
}

extension HubCertificate {
    /// As curl writes it.
    private static func text(ofPin pin: [UInt8]) -> String {
        "sha256//" + Data(pin).base64EncodedString()
    }

    fileprivate var text: String {
        let next =
            nextPin.map { "next key     \(Self.text(ofPin: $0))" }
            ?? "next key     none: laptops must enrol again when the key changes (--tls-next-key)"
        return """
            key          \(Self.text(ofPin: pin))
            \(next)
            names        \(names.joined(separator: ", "))
            certificate  good until \(Instant(milliseconds: expiryMilliseconds).formatted())
            """
    }

    fileprivate var facts: [(String, JSONValue)] {
        [
            ("pin", .string(Self.text(ofPin: pin))),
            ("next_pin", nextPin.map { .string(Self.text(ofPin: $0)) } ?? .null),
            ("names", .array(names.map(JSONValue.string))),
            (
                "good_until",
                .string(Instant(milliseconds: expiryMilliseconds).formatted())
            ),
        ]
    }
}
