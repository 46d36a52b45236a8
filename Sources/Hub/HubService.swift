internal import Causality
internal import Dispatch
package import Logging
internal import ReplicaStore
internal import SyncProtocol

/// The hub's answers, one at a time, on a thread of their own: SQLite blocks, and must not do so
/// on the threads that serve connections.
package actor HubService: HubHandler {
    private let store: HubStore
    private let logger: Logger
    private let executor = QueueExecutor()

    package nonisolated var unownedExecutor: UnownedSerialExecutor {
        executor.asUnownedSerialExecutor()
    }

    /// - Parameter store: nobody else uses it from now on.
    package init(store: sending HubStore, logger: Logger) {
        self.store = store
        self.logger = logger
    }

    package func close() { store.close() }

    package func enrol(_ body: [UInt8]) async -> HubAnswer {
        answer("enrol") {
            let request = try EnrolmentRequest(decoding: body)
            let reply = try store.enrol(request)
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
        answer("exchange") {
            guard let signature = signature.flatMap(RequestSignature.init(headerValue:)),
                signature.isValid(
                    hub: store.publicKey, path: RequestSignature.exchangePath, body: body)
            else {
                throw Refusal(
                    .revoked, "the request isn't signed for this hub; enrol this laptop again")
            }
            let request = try SyncRequest(decoding: body)
            let reply = try store.exchange(request, from: signature.publicKey)
            log(request, reply, DeviceID(publicKey: signature.publicKey))
            return reply.encode()
        }
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

    private func answer(_ what: String, _ body: () throws -> [UInt8]) -> HubAnswer {
        do {
            return .message(try body())
        } catch let refusal as Refusal {
            logger.notice(
                "refused", metadata: ["request": "\(what)", "code": "\(refusal.code.name)"])
            return .refusal(refusal)
        } catch let error as CBORError where error.reason == .later {
            return .refusal(
                Refusal(.upgrade, "this hub speaks format \(Limits.format): update the hub"))
        } catch let error as CBORError {
            return .refusal(Refusal(.poison, "the request can't be read: \(error)"))
        } catch {
            let detail = (error as? StoreError)?.explanation ?? "\(error)"
            logger.error("failed", metadata: ["request": "\(what)", "error": "\(detail)"])
            return .refusal(Refusal(.retry, "the hub can't store anything now; try again later"))
        }
    }
}

/// Runs an actor's jobs on one serial queue.
private final class QueueExecutor: SerialExecutor {
    private let queue = DispatchQueue(label: "karvan-hub.store")

    func enqueue(_ job: consuming ExecutorJob) {
        let job = UnownedJob(job)
        queue.async { job.runSynchronously(on: self.asUnownedSerialExecutor()) }
    }
}
