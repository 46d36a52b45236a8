internal import Causality
package import Logging
package import ReplicaStore
internal import ReplicaSync
internal import ServiceLifecycle
internal import Synchronization
internal import SyncProtocol

/// What a laptop that serves others answers, one at a time, on a thread of its own.
package actor PeerService {
    private let replica: Replica
    private let exchange: PeerExchange
    private let pin: [UInt8]
    /// Answered without waiting for a meeting under way.
    private let statement: Mutex<[UInt8]>
    private let logger: Logger
    private let onMeeting: @Sendable (PeerMeeting) -> Void
    /// Who has met it so far, by public key.
    private var guests: [[UInt8]: PeerExchange.Guest] = [:]
    private let executor = QueueExecutor()

    package nonisolated var unownedExecutor: UnownedSerialExecutor {
        executor.asUnownedSerialExecutor()
    }

    /// - Parameters:
    ///   - replica: nobody else uses it from now on.
    ///   - pin: of the TLS key that is served with.
    ///   - onMeeting: told of each.
    /// - Throws: `StoreError` invalid for a replica that belongs to no forum.
    package init(
        replica: sending Replica, pin: [UInt8], logger: Logger,
        onMeeting: @escaping @Sendable (PeerMeeting) -> Void
    ) throws {
        let exchange = PeerExchange(replica)
        statement = Mutex(try exchange.statement(pin: pin).encode())
        self.pin = pin
        self.replica = replica
        self.exchange = exchange
        self.logger = logger
        self.onMeeting = onMeeting
    }

    package func close() { replica.close() }

    package nonisolated var routes: [HubServerRoute] {
        [
            HubServerRoute(.get, PeerStatement.path) { _, _ in
                .message(self.statement.withLock { $0 })
            },
            HubServerRoute(.post, Meeting.path) { body, signature in
                await self.meet(body, signature: signature)
            },
            HubServerRoute(.post, BlobRequest.path) { body, signature in
                await self.blobs(body, signature: signature)
            },
        ]
    }

    private func meet(_ body: [UInt8], signature: String?) -> HubAnswer {
        guard !Task.isCancelled, !Task.isShuttingDownGracefully else {
            return .refusal(Refusal(.retry, "the other laptop serves no longer"))
        }
        // Whoever is to be forgotten is; and its own certificate may have been renewed.
        defer {
            _ = try? replica.emptyFreePages()
            if let stated = try? exchange.statement(pin: pin) {
                statement.withLock { $0 = stated.encode() }
            }
        }
        return HubAnswer.of("meet", logger, by: "the other laptop") {
            let (bundle, met) = try exchange.answer(
                body, signature: signature.flatMap(RequestSignature.init(headerValue:)))
            guests[met.peer.publicKey] = met.guest
            let meeting = PeerMeeting(
                name: met.peer.name, givenCount: met.givenCount, takenCount: met.taken.newCount)
            logger.info(
                "met",
                metadata: [
                    "device": "\(met.peer.device.short)", "given": "\(met.givenCount)",
                    "taken": "\(met.taken.newCount)", "waiting": "\(met.taken.waiting.count)",
                    "refused": "\(met.taken.refused.count)",
                ])
            onMeeting(meeting)
            return bundle
        }
    }

    private func blobs(_ body: [UInt8], signature: String?) -> HubAnswer {
        HubAnswer.of("blobs", logger, by: "the other laptop") {
            let met = try exchange.answerBlobs(
                body, signature: signature.flatMap(RequestSignature.init(headerValue:)),
                guests: guests)
            let meeting = PeerMeeting(met)
            if meeting.givenBlobCount + meeting.takenBlobCount > 0 { onMeeting(meeting) }
            return met.reply.encode()
        }
    }
}

/// What one round of a meeting came to.
package struct PeerMeeting: Sendable {
    /// Who came.
    package var name: String
    /// Changesets in the bundle that went to it.
    package var givenCount: UInt64
    /// Changesets that are new here.
    package var takenCount: UInt64
    /// Blobs of which the last bytes went to it.
    package var givenBlobCount = 0
    /// Blobs that are whole here with what it brought.
    package var takenBlobCount = 0
}

extension PeerMeeting {
    init(_ met: PeerExchange.BlobsMet) {
        self.init(name: met.peer.name, givenCount: 0, takenCount: 0)
        givenBlobCount = zip(met.request.asks, met.reply.holdings).count { ask, holding in
            guard let holding, let offset = ask.offset, !holding.bytes.isEmpty else { return false }
            return offset + UInt64(holding.bytes.count) == holding.size
        }
        if case .held(let holding)? = met.reply.taken, holding.isWhole { takenBlobCount = 1 }
    }
}
