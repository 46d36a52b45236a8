internal import ArgumentParser
internal import Foundation
internal import Hub
internal import Logging
internal import ProgramOutput
internal import ReplicaStore

/// Serves laptops until it is told to stop.
struct Serve: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Serve laptops over TLS until SIGTERM or SIGINT.",
        discussion: """
            Example: karvan-hub serve --listen 0.0.0.0:8443 --host-name hub.example.org

            Logs go to standard error, a line for each event. Once connections are taken, the
            address stands on standard output.
            """)

    @OptionGroup var common: CommonOptions
    @Option(help: "HOST:PORT to listen on; port 0 lets the system choose.")
    var listen = "127.0.0.1:8443"
    @Option(help: "A further name of this host, for the certificate that is made at first start.")
    var hostName: [String] = []

    func run() async throws {
        let (host, port) = try address()
        // Nothing is made for a hub that can't serve.
        let given = try common.givenCertificate()
        let store = try common.openStore("serve")
        let certificate = try given ?? common.ownCertificate(names: [host] + hostName)
        let logger = HubLog.logger(
            wallMilliseconds: Environment.system(command: "").wallMilliseconds)
        if try !store.serve(with: certificate.pins) {
            logger.warning(
                "unknown_key",
                metadata: ["detail": "laptops that have synced before know other keys of this hub"])
        }
        let service = HubService(store: store, logger: logger)
        let common = common
        let server = HubServer(
            handler: service, certificate: certificate, host: host, port: port, logger: logger
        ) { port in
            let url = "https://\(host):\(port)"
            // It serves all the same.
            try? common.print(
                "karvan-hub serves \(url)", .object([("url", .string(url))]))
        }
        do {
            try await server.run()
        } catch {
            await service.close()
            throw error
        }
        await service.close()
    }

    private func address() throws -> (host: String, port: Int) {
        guard let address = ListenAddress(listen) else {
            throw CommandFailure(
                .badInput, "--listen takes HOST:PORT, such as 0.0.0.0:8443, not '\(listen)'")
        }
        return (address.host, address.port)
    }
}
