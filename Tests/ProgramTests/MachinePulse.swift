import Foundation
import Synchronization

/// How long the machine itself made a small write wait: other work on the same disk can hold a sync
/// back for seconds, and that is no fault of the program that is timed.
final class MachinePulse: Sendable {
    private struct State {
        var isOver = false
        /// The end and the length of each beat that was late.
        var pauses: [(end: ContinuousClock.Instant, seconds: Double)] = []
        var beat = ContinuousClock.now
    }

    private let state = Mutex(State())

    init(in directory: URL) throws {
        let path = directory.appending(path: "pulse").path
        let file = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0o600)
        guard file >= 0 else { throw ProgramError(description: "\(path): \(errno)") }
        Thread.detachNewThread { [self] in
            defer { close(file) }
            while beat(file) {}
        }
    }

    /// A write that reaches the disk, then a tenth of a second; `false` when it is over.
    private func beat(_ file: Int32) -> Bool {
        let bytes = [UInt8](repeating: 0x2a, count: 4_096)
        _ = pwrite(file, bytes, bytes.count, 0)
        fsync(file)
        usleep(100_000)
        return state.withLock { state in
            let now = ContinuousClock.now
            let late = Self.late(state.beat, now)
            if late > 0.2 { state.pauses.append((now, late)) }
            state.beat = now
            return !state.isOver
        }
    }

    private static func late(
        _ start: ContinuousClock.Instant, _ end: ContinuousClock.Instant
    ) -> Double {
        (end - start) / .seconds(1) - 0.1
    }

    /// The seconds of all late beats that ended since then, and of the one under way.
    func lateSeconds(since start: ContinuousClock.Instant) -> Double {
        state.withLock { state in
            let past = state.pauses.filter { $0.end > start }.reduce(0) { $0 + $1.seconds }
            return past + max(Self.late(state.beat, .now), 0)
        }
    }

    /// The longest late beat, in milliseconds.
    var longestMilliseconds: Int {
        state.withLock { Int(($0.pauses.map(\.seconds).max() ?? 0) * 1_000) }
    }

    func stop() { state.withLock { $0.isOver = true } }
}
