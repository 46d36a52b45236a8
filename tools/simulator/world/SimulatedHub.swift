import Causality
import Hub
import ReplicaStore
import StoreTestSupport
import SyncProtocol

/// The hub of production on a disk that may fail, without HTTP and TLS around it.
final class SimulatedHub {
    let disk: FaultyDisk
    let path: String
    private let clock: SimulatedClock
    private(set) var store: HubStore?
    /// How often its process ended.
    private(set) var crashCount = 0
    /// Its files at earlier times.
    var copies: [Files] = []
    var wentBack = false

    init(path: String, clock: SimulatedClock) throws {
        disk = try FaultyDisk()
        (self.path, self.clock) = (path, clock)
        try open()
    }

    func open() throws {
        store = try HubStore(path: path, environment: clock.environment(on: disk))
    }

    func close() {
        store?.close()
        store = nil
    }

    /// The process or the machine ends, and starts again.
    func crash() throws {
        crashCount += 1
        close()
        try disk.restart()
        try open()
    }

    /// Answers a request's bytes; `nil` when it could not.
    ///
    /// - Throws: ``Violation`` when it fails and its disk did not.
    func answer(_ bytes: [UInt8], from publicKey: [UInt8]) throws -> Result<[UInt8], Refusal>? {
        do {
            let reply = try perform { store in
                try store.exchange(try SyncRequest(decoding: bytes), from: publicKey).encode()
            }
            return reply.map { .success($0) }
        } catch let refusal as Refusal {
            return .failure(refusal)
        } catch let error as CBORError {
            return .failure(Refusal(.poison, "the request can't be read: \(error)"))
        }
    }

    /// Does what a hub does; what a disk's fault does to it is survived.
    ///
    /// - Returns: `nil` when it could not.
    func perform<T>(_ body: (HubStore) throws -> T) throws -> T? {
        guard let store else { throw Violation("error", "the hub is not open") }
        _ = disk.takesEcho()
        do {
            let result = try body(store)
            guard !disk.isDead else {
                try crash()
                return nil
            }
            return result
        } catch let error as StoreError {
            try survive(error)
            return nil
        }
    }

    /// Does what an operator's command does, in a process of its own while the hub serves.
    func command<T>(_ body: (HubStore) throws -> T) throws -> T? {
        try perform { _ in
            let other = try HubStore(path: path, environment: clock.environment(on: disk))
            defer { other.close() }
            return try body(other)
        }
    }

    private func survive(_ error: StoreError) throws {
        guard disk.hasFired, let fault = disk.fault else {
            // A server goes on.
            guard !disk.takesEcho() else { return }
            throw Violation("error", "the hub: \(error)")
        }
        switch fault {
        case .kill, .lose, .tear: try crash()
        case .full:
            disk.makeRoom()
            disk.arm(.full, at: 0, seed: 0)
        case .sync:
            // A server goes on.
            disk.arm(.sync, at: 0, seed: 0)
        }
    }
}
