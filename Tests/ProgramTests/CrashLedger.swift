import Foundation
import Synchronization

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

    var figures: Figures { state.withLock { $0 } }

    func record(_ door: String) {
        state.withLock { _ = $0.recorded.insert(door) }
    }

    /// All that the laptop has recorded so far.
    func acknowledge(_ laptop: String) {
        state.withLock { figures in
            figures.pushes += 1
            figures.acknowledged.formUnion(
                figures.recorded.filter { $0.hasPrefix("\(laptop)-") })
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
