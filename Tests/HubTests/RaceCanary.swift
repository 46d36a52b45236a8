import Foundation
import Testing

/// Races on purpose: `tools/threads` looks whether ThreadSanitizer is there and awake.
@Suite struct RaceCanary {
    private static let isWanted = ProcessInfo.processInfo.environment["KARVAN_RACE"] == "1"

    @Test(.enabled(if: isWanted))
    func `two threads count in one place`() {
        // The race: nothing orders the two.
        nonisolated(unsafe) let count = UnsafeMutablePointer<Int>.allocate(capacity: 1)
        count.initialize(to: 0)
        let threads = (1...2).map { _ in
            Thread { for _ in 0..<10_000 { count.pointee += 1 } }
        }
        for thread in threads { thread.start() }
        var areFinished = false
        for _ in 0..<10_000 where !areFinished {
            usleep(1_000)
            areFinished = threads.allSatisfy(\.isFinished)
        }
        #expect(areFinished)
        #expect((1...20_000).contains(count.pointee))
    }
}
