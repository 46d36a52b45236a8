internal import Causality
internal import Dispatch
package import Logging
internal import ReplicaStore
internal import ServiceLifecycle
internal import SyncProtocol

/// The hub's answers, one at a time, on a thread of their own: SQLite blocks, and must not do so
/// on the threads that serve connections.
package actor HubService: HubHandler {
    private let store: HubStore
    private let logger: Logger
    private let executor = QueueExecutor()
    /// What this process has let in so far: who waits looks again when it changes.
    private var answerCount = 0
    private var waiterCount = 0
    /// The last wait of each device: one before it was given up.
    private var lastWaits: [[UInt8]: Int] = [:]
    private var waitCount = 0
    private var feedsSeen: (look: Look, mark: Int64)?

    package nonisolated var unownedExecutor: UnownedSerialExecutor {
        executor.asUnownedSerialExecutor()
    }

    /// - Parameters:
    ///   - store: nobody else uses it from now on.
    ///   - waiters: how many may wait for news at once.
    package init(store: sending HubStore, logger: Logger, waiters: Int = 128) {
        self.store = store
        self.logger = logger
        self.waiters = waiters
    }

    package func close() { store.close() }

    package func enrol(_ body: [UInt8]) async -> HubAnswer {
        HubAnswer.of("enrol", logger) {
            let request = try EnrolmentRequest(decoding: body)
            let reply = try store.enrol(request)
            answerCount += 1
            logger.info(
                "enrolled",
                metadata: [
                    "device": "\(DeviceID(publicKey: request.publicKey).short)",
                    "name": "\(request.name)",
                    "role": "\(reply.device.statement.grants.first?.role ?? "none")",
                ])
            return reply.encode()
        }
    }

    package func exchange(_ body: [UInt8], signature: String?) async -> HubAnswer {
        HubAnswer.of("exchange", logger) {
            let sender = try sender(signature, of: body, at: RequestSignature.exchangePath)
            let request = try SyncRequest(decoding: body)
            defer { answerCount += 1 }
            let reply = try store.exchange(request, from: sender)
            log(request, reply, DeviceID(publicKey: sender))
            return reply.encode()
        }
    }

    package func blobs(_ body: [UInt8], signature: String?) async -> HubAnswer {
        HubAnswer.of("blobs", logger) {
            let sender = try sender(signature, of: body, at: BlobRequest.path)
            let request = try BlobRequest(decoding: body)
            let reply = try store.blobs(request, from: sender)
            if case .refused(let refusal)? = reply.taken {
                logger.notice(
                    "refused",
                    metadata: [
                        "request": "blobs", "device": "\(DeviceID(publicKey: sender).short)",
                        "code": "\(refusal.code.name)",
                    ])
            }
            return reply.encode()
        }
    }

    /// - Returns: the key of the device that signed a request.
    /// - Throws: `Refusal`.
    private func sender(
        _ signature: String?, of body: [UInt8], at path: String
    ) throws -> [UInt8] {
        guard let signature = signature.flatMap(RequestSignature.init(headerValue:)),
            signature.isValid(hub: store.publicKey, path: path, body: body)
        else {
            throw Refusal(
                .revoked, "the request isn't signed for this hub; enrol this laptop again")
        }
        return signature.publicKey
    }

    // MARK: Waiting

    /// How often it is looked whether anything was let in, by this process or another.
    private static let lookMilliseconds = 100
    /// The longest that an answer is held back.
    private static let patienceMilliseconds: UInt64 = 50_000
    /// So many may wait at once; others are answered at once, and come again. Each has a connection, and there
    /// are ``HubServerLimits/connections`` of these.
    private let waiters: Int

    package func wait(_ body: [UInt8], signature: String?) async -> HubAnswer {
        do {
            let sender = try sender(signature, of: body, at: WaitRequest.path)
            let request = try WaitRequest(decoding: body)
            let patience = min(request.patienceMilliseconds, Self.patienceMilliseconds)
            let end = ContinuousClock.now + .milliseconds(Int64(patience))
            let mayWait = waiterCount < waiters
            waiterCount += 1
            waitCount += 1
            let number = waitCount
            lastWaits[sender] = number
            defer {
                waiterCount -= 1
                if lastWaits[sender] == number { lastWaits[sender] = nil }
            }
            while true {
                let seen = try mark()
                let reply = try store.ends(of: request, for: sender)
                if reply.isNews(at: request.places) || !mayWait {
                    return .message(reply.encode())
                }
                while try mark() == seen {
                    let isOver =
                        ContinuousClock.now >= end || Task.isCancelled
                        || Task.isShuttingDownGracefully || lastWaits[sender] != number
                    if isOver { return .message(reply.encode()) }
                    try? await Task.sleep(for: .milliseconds(Self.lookMilliseconds))
                }
            }
        } catch {
            return HubAnswer.failure(error, of: "wait", logger, by: "the hub")
        }
    }

    private struct Look: Equatable {
        var answerCount: Int
        var foreignVersion: Int64
    }

    /// Another number whenever a feed has gone on. What was written otherwise wakes nobody.
    private func mark() throws -> Int64 {
        let look = Look(answerCount: answerCount, foreignVersion: try store.foreignVersion())
        if let feedsSeen, feedsSeen.look == look { return feedsSeen.mark }
        let mark = try store.feedLength()
        feedsSeen = (look, mark)
        return mark
    }

    private func log(_ request: SyncRequest, _ reply: SyncReply, _ device: DeviceID) {
        for (part, answer) in zip(request.parts, reply.parts) {
            switch answer {
            case .answered(let reply): log(part, reply, device)
            case .refused(let refusal):
                logger.notice(
                    "refused",
                    metadata: [
                        "device": "\(device.short)", "scope": "\(part.scope)",
                        "code": "\(refusal.code.name)",
                    ])
            case .postponed: break
            }
        }
    }

    private func log(_ request: ExchangeRequest, _ reply: ExchangeReply, _ device: DeviceID) {
        for rejection in reply.rejections {
            logger.warning(
                "rejected",
                metadata: [
                    "device": "\(device.short)", "stream": "\(rejection.run.stream)",
                    "seq": "\(rejection.run.lastSeq)", "code": "\(rejection.refusal.code.name)",
                ])
        }
        guard !request.runs.isEmpty || !reply.entries.isEmpty else { return }
        logger.info(
            "exchange",
            metadata: [
                "device": "\(device.short)", "scope": "\(request.scope)",
                "runs_in": "\(request.runs.count)",
                "entries_out": "\(reply.entries.count)", "offset": "\(reply.cursor.offset)",
            ])
    }
}

extension HubAnswer {
    /// What comes of a request: what it threw, in words for whoever sent it.
    ///
    /// - Parameters:
    ///   - what: the request's name, for the log.
    ///   - who: answers, for whoever asked.
    static func of(
        _ what: String, _ logger: Logger, by who: String = "the hub", _ body: () throws -> [UInt8]
    ) -> HubAnswer {
        do {
            return .message(try body())
        } catch {
            return failure(error, of: what, logger, by: who)
        }
    }

    /// What an error means to whoever asked.
    static func failure(
        _ error: any Error, of what: String, _ logger: Logger, by who: String
    ) -> HubAnswer {
        switch error {
        case let refusal as Refusal:
            logger.notice(
                "refused", metadata: ["request": "\(what)", "code": "\(refusal.code.name)"])
            return .refusal(refusal)
        case let error as CBORError where error.reason == .later:
            return .refusal(
                Refusal(.upgrade, "\(who) speaks format \(Limits.format): update \(who)"))
        case let error as CBORError:
            return .refusal(Refusal(.poison, "the request can't be read: \(error)"))
        default:
            let detail = (error as? StoreError)?.explanation ?? "\(error)"
            logger.error("failed", metadata: ["request": "\(what)", "error": "\(detail)"])
            return .refusal(Refusal(.retry, "\(who) can't store anything now; try again later"))
        }
    }
}

/// Runs an actor's jobs on one serial queue.
final class QueueExecutor: SerialExecutor {
    private let queue = DispatchQueue(label: "karvan.store")

    func enqueue(_ job: consuming ExecutorJob) {
        let job = UnownedJob(job)
        queue.async { job.runSynchronously(on: self.asUnownedSerialExecutor()) }
    }
}
