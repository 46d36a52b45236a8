import Foundation
import Synchronization
import Testing

/// What laptops recorded and what was acknowledged to them: kept outside of what is killed.
final class PushLedger: Sendable {
    struct Figures {
        var pushes = 0
        var failedPushes = 0
        /// Failed pushes whose record the hub has all the same.
        var silent = 0
        var recorded: Set<String> = []
        var acknowledged: Set<String> = []
        /// Ends that a hub which is away doesn't explain.
        var failures: [String] = []
    }

    private let state = Mutex(Figures())
    /// What was recorded and not acknowledged yet, by laptop.
    private let waiting = Mutex([String: [String]]())

    var figures: Figures { state.withLock { $0 } }

    func record(_ door: String, on laptop: String) {
        state.withLock { _ = $0.recorded.insert(door) }
        waiting.withLock { $0[laptop, default: []].append(door) }
    }

    /// All that the laptop has recorded so far.
    func acknowledge(_ laptop: String) {
        let doors = waiting.withLock { $0.removeValue(forKey: laptop) } ?? []
        state.withLock { figures in
            figures.pushes += 1
            figures.acknowledged.formUnion(doors)
        }
    }

    func fail(_ finished: Finished, isHeld: Bool) {
        state.withLock { figures in
            figures.pushes += 1
            figures.failedPushes += 1
            if isHeld { figures.silent += 1 }
            if finished.status != 69 {
                figures.failures.append("\(finished.status): \(finished.errors)")
            }
        }
    }
}

extension Laptop {
    /// Records and syncs; a sync that ends with 0 acknowledges all that was recorded before.
    ///
    /// - Parameter isHeld: whether the hub has the record of a door, whatever the sync said.
    func push(
        _ number: Int, _ ledger: PushLedger, isHeld: (String) throws -> Bool = { _ in false }
    ) throws {
        let door = "\(name)-\(number)"
        try must("attend", "P07", Forum.badges[number % 30], "--door", door)
        ledger.record(door, on: name)
        let finished = try run("sync", "--timeout", "5")
        if finished.status == 0 {
            ledger.acknowledge(name)
        } else {
            ledger.fail(finished, isHeld: try isHeld(door))
        }
    }
}

extension Forum {
    /// After two rounds of syncs, all hold the same, and each record once.
    func expectAllEqual(
        _ laptops: [Laptop], holding recorded: Set<String>
    ) throws {
        for _ in 0..<2 {
            for laptop in laptops { try laptop.must("sync") }
        }
        let hash = try hubStore.stateHash()
        for laptop in laptops + [hubStore] {
            #expect(try laptop.stateHash() == hash, "\(laptop.name)")
            #expect(try laptop.run("verify").status == 0, "\(laptop.name)")
        }
        for laptop in laptops { #expect(try laptop.waiting() == 0, "\(laptop.name)") }
        let held = try hubStore.doors().filter { !$0.key.hasPrefix("usual") }
        #expect(Set(held.keys) == recorded)
        #expect(held.filter { $0.value != 1 }.isEmpty)
    }
}
