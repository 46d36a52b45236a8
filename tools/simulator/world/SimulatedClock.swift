import ReplicaStore
import StoreTestSupport
import Synchronization
import TestSupport

/// The time of the whole forum, in milliseconds.
final class VirtualTime: Sendable {
    private let now = Atomic<Int64>(1_764_000_000_000)

    var milliseconds: Int64 { now.load(ordering: .relaxed) }
    func advance(by milliseconds: Int64) { now.add(milliseconds, ordering: .relaxed) }
}

/// A machine's clocks: the wall clock may be off, or stand still.
final class SimulatedClock: Sendable {
    private let time: VirtualTime
    private let offset = Atomic<Int64>(0)
    /// 0 for a clock that goes.
    private let frozenAt = Atomic<Int64>(0)
    private let monotonic = Atomic<Int64>(0)
    private let random: Mutex<SplitMix64>

    init(_ time: VirtualTime, seed: UInt64) {
        self.time = time
        random = Mutex(SplitMix64(seed: seed))
    }

    var wallMilliseconds: Int64 {
        let frozen = frozenAt.load(ordering: .relaxed)
        return (frozen > 0 ? frozen : time.milliseconds) + offset.load(ordering: .relaxed)
    }

    func set(offset milliseconds: Int64) {
        frozenAt.store(0, ordering: .relaxed)
        offset.store(milliseconds, ordering: .relaxed)
    }

    func freeze() { frozenAt.store(time.milliseconds, ordering: .relaxed) }

    /// - Parameter disk: SQLite's file system.
    func environment(on disk: FaultyDisk) -> Environment {
        var environment = Environment(
            wallMilliseconds: { self.wallMilliseconds },
            // Whoever waits for something sees time go by.
            monotonicMilliseconds: { self.monotonic.add(1, ordering: .relaxed).newValue },
            randomBytes: { count in
                self.random.withLock { random in
                    (0..<count).map { _ in UInt8(truncatingIfNeeded: random.next()) }
                }
            },
            command: "simulated", lockLimitMilliseconds: 100)
        environment.fileSystem = disk.name
        // So that even a short day has checkpoints.
        environment.checkpointFrames = 64
        return environment
    }
}
