internal import ArgumentParser
internal import Bundles
internal import Foundation
internal import Hub
internal import Logging
internal import ProgramOutput
internal import ReplicaStore
internal import SyncProtocol

/// The hub operator's command line.
@main
struct KarvanHub: AsyncParsableCommand {
    static let version = "0.1.0"

    static let configuration = CommandConfiguration(
        commandName: "karvan-hub",
        abstract: "The hub that a field team's laptops sync with.",
        version: "karvan-hub \(version) (format \(Limits.format))",
        subcommands: [
            Serve.self, TokenCommand.self, DeviceCommand.self, QuarantineCommand.self,
            BundleCommand.self, BackupCommand.self, RestoreCommand.self, CertificateCommand.self,
            RootCommand.self,
        ])

    static func main() async {
        // A laptop that goes away in the middle of an answer must not end the hub.
        signal(SIGPIPE, SIG_IGN)
        let isJSON = CommandLine.arguments.contains("--json")
        do {
            var command = try parseAsRoot()
            if var command = command as? any AsyncParsableCommand {
                try await command.run()
            } else {
                try command.run()
            }
        } catch let error where CommandFailure(describing: error) != nil {
            let failure = CommandFailure(describing: error)!
            let text = isJSON ? failure.json.text : "karvan-hub: \(failure.message)"
            StandardError.print(text)
            Foundation.exit(failure.status.rawValue)
        } catch {
            exit(withError: error)
        }
    }
}

extension CommandFailure {
    /// What an error of the modules means for the command line; `nil` for errors of its parser.
    init?(describing error: any Error) {
        switch error {
        case let failure as CommandFailure: self = failure
        case let error as StoreError:
            let status: ExitStatus =
                switch error {
                case .held: .held
                case .missing, .exists, .invalid, .stale: .badInput
                case .notAReplica, .newer, .trial, .newerSchema, .otherSchema, .key: .configuration
                case .readOnly, .full, .damaged, .disk, .replaced: .disk
                case .denied: .refused
                }
            self.init(status, error.explanation)
        case let error as BundleFileError:
            self.init(
                error.isOfDisk ? .disk : error.isOfStranger ? .refused : .badInput,
                error.explanation)
        case let error as HubCertificateError: self.init(.configuration, "\(error)")
        case let error as HubServerError: self.init(.configuration, "\(error)")
        default: return nil
        }
    }
}

/// What every command takes.
struct CommonOptions: ParsableArguments {
    @Option(help: "The hub's store: an SQLite file, made at the first start.")
    var store = "karvan-hub.sqlite"
    @Option(help: "The hub's own certificate in PEM; by default one is made beside the store.")
    var tlsCert: String?
    @Option(help: "The certificate's key in PEM.")
    var tlsKey: String?
    @Option(help: "The key in PEM that your next certificate will have: laptops know it before.")
    var tlsNextKey: String?
    @Flag(help: "Print one JSON object.")
    var json = false

    func validate() throws {
        guard (tlsCert == nil) == (tlsKey == nil) else {
            throw ValidationError("--tls-cert and --tls-key go together.")
        }
        guard tlsNextKey == nil || tlsKey != nil else {
            throw ValidationError("--tls-next-key goes with --tls-cert and --tls-key.")
        }
    }

    func openStore(_ command: String) throws -> HubStore {
        var environment = Environment.system(command: "karvan-hub \(command)")
        let logger = HubLog.logger(wallMilliseconds: environment.wallMilliseconds)
        environment.onNewIncarnation = { incarnation in
            logger.warning("store_replaced", metadata: ["found": .string("\(incarnation)")])
        }
        return try HubStore(path: store, environment: environment)
    }

    /// - Parameter names: what laptops reach the hub by, for a certificate that is made now.
    func certificate(names: [String] = []) throws -> HubCertificate {
        try givenCertificate() ?? ownCertificate(names: names)
    }

    /// The one that the options name; `nil` where they name none.
    func givenCertificate() throws -> HubCertificate? {
        guard let tlsCert, let tlsKey else { return nil }
        return try HubCertificate.load(
            certificatePath: tlsCert, keyPath: tlsKey, nextKeyPath: tlsNextKey)
    }

    /// The one beside the store, made now where there is none.
    func ownCertificate(names: [String]) throws -> HubCertificate {
        let wall = Environment.system(command: "").wallMilliseconds()
        return try HubCertificate.loadOrMake(
            besideStore: store, names: names, wallMilliseconds: wall)
    }

    func print(
        _ text: @autoclosure () -> String, _ json: @autoclosure () -> JSONValue
    ) throws {
        let line = self.json ? json().text : text()
        try StandardOutput.print(line)
    }
}
