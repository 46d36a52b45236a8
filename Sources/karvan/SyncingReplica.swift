internal import AntiEntropy
internal import CurlTransport
internal import Foundation
internal import ProgramOutput
internal import RecordSchema
internal import ReplicaStore
internal import SyncProtocol

/// The replica as the session's port. It tells how far the session is, and ends it between two
/// transactions when somebody asked for that.
final class SyncingReplica: ReplicaPort {
    private let replica: Replica
    private let isQuiet: Bool
    private var line: ProgressLine
    private var sentCount: UInt64 = 0
    private var remainingCount: UInt64 = 0
    private var receivedCount: UInt64 = 0

    init(_ replica: Replica, isQuiet: Bool) {
        self.replica = replica
        self.isQuiet = isQuiet
        line = .standardError(replica.environment)
    }

    func prepare(scope: String, asksForBodies: Bool) throws -> Outgoing {
        let batch = try replica.outgoingBatch(asksForBodies: asksForBodies)
        return Outgoing(
            cursor: batch.cursor, ahead: batch.ahead, runs: batch.runs,
            changesetCount: batch.changesetCount, remainingCount: batch.remainingCount,
            schemaVersion: replica.schema.version)
    }

    func apply(_ reply: ExchangeReply, scope: String, from cursor: Cursor?) throws -> Applied {
        var soFar = Applied(changesetCount: 0, quarantinedCount: 0, lacksBodies: false)
        let applied = try replica.apply(reply, from: cursor) { progress in
            soFar.changesetCount += progress.changesetCount
            soFar.quarantinedCount += UInt64(progress.refusedCount)
            receivedCount += progress.changesetCount
            show()
            if StopSignal.isStopped { throw SyncStopped(applied: soFar) }
        }
        return Applied(
            changesetCount: applied.changesetCount,
            quarantinedCount: applied.quarantinedCount, lacksBodies: applied.lacksBodies,
            hasMoreToSend: applied.hasMoreToSend)
    }

    func forgetHub(scope: String) throws { try replica.forgetHub() }

    // MARK: Progress

    /// After each answer of the hub.
    func sent(_ count: UInt64, remaining: UInt64) {
        (sentCount, remainingCount) = (count, remaining)
        show()
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
            return "\(sent), \(receivedCount) received"
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
