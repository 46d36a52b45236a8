internal import AntiEntropy
internal import Foundation
internal import ProgramOutput
internal import ReplicaStore

/// Tells how far a session is.
final class SyncProgressLine {
    private let isQuiet: Bool
    private var line: ProgressLine
    private var sentCount: UInt64 = 0
    private var remainingCount: UInt64 = 0
    /// Of the replies before, and of the one that is being taken in.
    private var receivedCounts: (before: UInt64, now: UInt64) = (0, 0)

    init(_ environment: Environment, isQuiet: Bool) {
        self.isQuiet = isQuiet
        line = .standardError(environment)
    }

    /// After each transaction that takes something in.
    func received(_ applied: Applied) {
        receivedCounts.now = applied.changesetCount
        show()
    }

    /// After each answer of the hub.
    func answered(_ progress: SyncSession.Progress) {
        receivedCounts = (progress.receivedChangesets, 0)
        (sentCount, remainingCount) = (progress.sentChangesets, progress.remainingChangesets)
        show()
    }

    /// After each piece of photos that went or came.
    func moved(_ progress: BlobDriver.Progress) {
        guard !isQuiet else { return }
        line.show {
            let sent = ProgressLine.part(
                progress.sentCount, of: progress.sentCount + progress.unsentCount, "photos sent")
            return progress.receivedCount == 0
                ? sent : sent + ", \(progress.receivedCount) received"
        }
    }

    func end() { line.end() }

    private func show() {
        guard !isQuiet else { return }
        line.show {
            let sent =
                remainingCount == 0
                ? "\(sentCount) sent"
                : ProgressLine.part(
                    Int(clamping: sentCount), of: Int(clamping: sentCount + remainingCount), "sent")
            return "\(sent), \(receivedCounts.before + receivedCounts.now) received"
        }
    }
}

extension ProgressLine {
    /// On standard error.
    static func standardError(_ environment: Environment) -> ProgressLine {
        ProgressLine(
            isTerminal: isatty(STDERR_FILENO) != 0, now: environment.monotonicMilliseconds
        ) {
            StandardError.put($0)
        }
    }
}
