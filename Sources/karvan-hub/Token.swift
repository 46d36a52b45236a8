internal import ArgumentParser
internal import CurlTransport
internal import FieldRecords
internal import Glibc
internal import Hub
internal import ProgramOutput
internal import QRCodes
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
        discussion: """
            Example: karvan-hub token create --role recorder --url https://hub.example.org:8443 --qr

            With --url the code says the whole command: a badge scanner types it into the laptop's \
            terminal, a telephone shows it. Whoever sees the code can use it, once.
            """)

    @OptionGroup var common: CommonOptions
    @Option(
        help: ArgumentHelp(
            "What the laptop may read beside what everybody reads: delegation/CODE, or all.",
            discussion: "May be given several times. By default all delegations."))
    var scope: [String] = []
    @Option(help: "coordinator, lead, recorder or viewer.")
    var role = "recorder"
    @Option(help: "Minutes until the token expires, at most 1440.")
    var minutes = 60
    @Option(
        help: "The address at which laptops reach this hub: then the command to type is printed.")
    var url: String?
    @Flag(help: "Show it as a QR code too.")
    var qr = false
    @Option(help: "Write it as a QR code to a new picture: a PNG file.")
    var png: String?

    func validate() throws {
        guard !qr || !common.json else {
            throw ValidationError("--qr is for people: with --json use --png")
        }
    }

    func run() throws {
        let url = try url.map(Self.checked)
        // Before there is a token that nobody gets.
        let picture = try png.map(PictureFile.init)
        do {
            try create(url, picture)
        } catch {
            picture?.discard()
            throw error
        }
    }

    private func create(_ url: String?, _ picture: PictureFile?) throws {
        let store = try common.openStore("token create")
        defer { store.close() }
        guard (1...1_440).contains(minutes) else {
            throw CommandFailure(.badInput, "--minutes takes 1 to 1440")
        }
        let token = try store.createToken(
            scopes: scope, role: role, lifetimeMilliseconds: Int64(minutes) * 60_000,
            pin: try common.certificate().pin)
        let expiry = Instant(milliseconds: token.expiryMilliseconds).formatted()
        let text = url.map { "karvan enrol \($0) \(token.text)" } ?? token.text
        var lines = [text]
        if qr || picture != nil {
            guard let code = QRCode(text) else {
                throw CommandFailure(.badInput, "the address is too long for a QR code")
            }
            try picture?.write(code.png())
            if qr { lines += [""] + code.lines(isColoured: isatty(STDOUT_FILENO) == 1) }
        }
        try common.print(
            lines.joined(separator: "\n"),
            .object([
                ("token", .string(token.text)), ("expires", .string(expiry)),
                ("role", .string(role)),
                (
                    "scopes",
                    .array((scope.isEmpty ? [HubStore.allScopes] : scope).map(JSONValue.string))
                ),
                ("command", url == nil ? .null : .string(text)),
                ("png", png.map(JSONValue.string) ?? .null),
            ]))
    }

    /// An address that a shell takes as it stands.
    private static func checked(_ text: String) throws -> String {
        let url: String
        do throws(HubURLProblem) {
            url = try HubURL.normalise(text)
        } catch {
            throw CommandFailure(.badInput, error.description)
        }
        let isPlain = url.utf8.allSatisfy { byte in
            (0x30...0x39).contains(byte) || (0x41...0x5a).contains(byte)
                || (0x61...0x7a).contains(byte) || "-._~:/[]%".utf8.contains(byte)
        }
        guard isPlain else {
            throw CommandFailure(
                .badInput,
                "'\(url)' can't be typed as it stands: a terminal takes some of it otherwise")
        }
        return url
    }
}

/// A picture that only its owner may look at.
private struct PictureFile {
    let path: String
    private let file: Int32

    /// - Throws: where there is a file by this name already, or none can be made.
    init(_ path: String) throws(CommandFailure) {
        self.path = path
        file = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
        guard file < 0 else { return }
        if errno == EEXIST {
            throw CommandFailure(.badInput, "\(path) is there already; name a new file")
        }
        throw Self.failure(path)
    }

    /// - Throws: `disk` where it can't be written whole.
    func write(_ bytes: [UInt8]) throws(CommandFailure) {
        guard Glibc.write(file, bytes, bytes.count) == bytes.count, fsync(file) == 0 else {
            throw Self.failure(path)
        }
    }

    func discard() { unlink(path) }

    private static func failure(_ path: String) -> CommandFailure {
        CommandFailure(.disk, "\(path) can't be written (\(String(cString: strerror(errno))))")
    }
}
