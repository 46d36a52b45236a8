import AntiEntropy
import Causality
import FieldRecords
import Hub
import ReplicaStore
import ReplicaSync
import StoreTestSupport
import SyncProtocol
import TestSupport

/// What the network does to one exchange.
package enum NetworkFault: String, Sendable {
    case requestLost = "request lost"
    case replyLost = "reply lost"
    case requestTwice = "request twice"
    /// It arrives when others have talked to the hub, and nobody waits for its answer.
    case requestLate = "request late"
    case requestDamaged = "request damaged"
    case replyDamaged = "reply damaged"
    case hubLies = "hub lies"

    static let losses: [Self] = [.requestLost, .replyLost, .requestTwice, .requestLate]
    static let noises: [Self] = [.requestDamaged, .replyDamaged]
}

extension World {
    /// A session to its end.
    func session(_ laptop: Laptop) throws -> String {
        var result = try advance(laptop)
        // Each exchange brings something new, or the session ends.
        for _ in 0..<10_000 where laptop.session != nil { result = try advance(laptop) }
        guard laptop.session == nil else {
            throw Violation("I13", "laptop \(laptop.number)'s session does not end")
        }
        return result
    }

    /// One action of a session.
    func advance(_ laptop: Laptop) throws -> String {
        guard case (var session, let action)? = laptop.session else {
            var session = SyncSession(scopes: try ReplicaSide(laptop.replica).scopes())
            let action = session.handle(.started)
            laptop.beginSession(session, action)
            return "begins"
        }
        let side = ReplicaSide(laptop.replica)
        let event: SyncSession.Event
        let result: String
        switch action {
        case .prepare(let scope, let asksForBodies, let room):
            let outgoing = try side.prepare(
                scope: scope, asksForBodies: asksForBodies, room: room)
            event = .prepared(outgoing, wallMilliseconds: laptop.clock.wallMilliseconds)
            result = "brings \(outgoing.runs.count) runs"
        case .exchange(let request):
            event = try exchange(request, laptop)
            if case .failed(let failure) = event {
                result = "\(failure)"
            } else {
                result = "is answered"
            }
        case .note(let scopes):
            event = .noted(isBelieved: try side.note(scopes: scopes))
            result = "may read \(scopes.count)"
        case .apply(let reply, let scope, let cursor):
            (event, result) = try apply(reply, in: scope, from: cursor, laptop)
        case .forgetHub(let scope):
            try side.forgetHub(scope: scope)
            event = .forgotHub
            result = "forgets the hub"
        case .finish(let outcome):
            laptop.session = nil
            try checkOutcome(outcome, session.progress, laptop)
            return "\(outcome)"
        }
        // Who has forgotten the hub begins anew, whatever was read.
        for scope in laptop.cursors.keys where try laptop.replica.cursor(in: scope) == nil {
            laptop.cursors[scope] = nil
        }
        // A fault that came meanwhile has ended the session.
        guard laptop.session != nil else { return result }
        let next = session.handle(event)
        laptop.session = (session, next)
        return result
    }

    private func apply(
        _ reply: ExchangeReply, in scope: String, from cursor: Cursor?, _ laptop: Laptop
    ) throws -> (SyncSession.Event, String) {
        do {
            let applied = try ReplicaSide(laptop.replica)
                .apply(reply, scope: scope, from: cursor)
            if applied.quarantinedCount > 0 { laptop.hasPutAside = true }
            return (.applied(applied), "got \(applied.changesetCount)")
        } catch let refusal as Refusal {
            return (.failed(.refused(refusal)), "can't take the answer")
        }
    }

    private func checkOutcome(
        _ outcome: SyncSession.Outcome, _ progress: SyncSession.Progress, _ laptop: Laptop
    ) throws {
        // Only a hub that went back lacks what others depend on.
        let isBlocked = outcome == .completed && progress.remainingChangesets > 0
        guard !isBlocked || hub.wentBack || laptop.isSessionNoisy else {
            throw Violation(
                "I13", "laptop \(laptop.number) can't send \(progress.remainingChangesets) changes")
        }
        switch outcome {
        case .completed where laptop.hasPutAside && !laptop.isSessionNoisy:
            // What lies behind a run that is asked for may be what another waits for.
            try checkAside(laptop.replica, "laptop \(laptop.number)", mayWait: hub.wentBack)
        case .completed, .failed: break
        case _ where laptop.isSessionNoisy: break
        case .rejected(let rejections) where revoked.contains(laptop.number):
            // A hub that went back may lack what others' runs depend on.
            guard
                rejections.allSatisfy({
                    $0.refusal.code == .revoked || $0.refusal.code == .gap && hub.wentBack
                })
            else {
                throw Violation("I13", "laptop \(laptop.number) is told \(rejections)")
            }
        case .rejected(let rejections):
            throw Violation("I13", "the hub rejects laptop \(laptop.number)'s \(rejections)")
        case .stalled(let reason):
            throw Violation("I13", "laptop \(laptop.number)'s session stalls: \(reason)")
        }
    }

    /// Every message passes as the bytes that would travel.
    private func exchange(
        _ request: SyncRequest, _ laptop: Laptop
    ) throws -> SyncSession.Event {
        let heard = heard(request, by: laptop)
        let fault = laptop.networkFault
        laptop.networkFault = nil
        if let fault, fault != .hubLies { count("fault: \(fault.rawValue)") }
        var bytes = heard.encode()
        let publicKey = laptop.replica.publicKey
        try deliverLateRequests()
        switch fault {
        case .requestLost: return .failed(.timedOut("request lost"))
        case .requestLate:
            lateRequests.append((bytes, publicKey))
            return .failed(.timedOut("request late"))
        case .requestTwice: _ = try hub.answer(bytes, from: publicKey)
        case .requestDamaged: laptop.damage(&bytes)
        case .replyLost, .replyDamaged, .hubLies, nil: break
        }
        let crashCount = hub.crashCount
        let armed = hub.disk.fault
        let answer = try hub.answer(bytes, from: publicKey)
        if let armed, answer == nil || hub.crashCount > crashCount {
            count("fault: hub: \(armed)")
        }
        guard let store = hub.store else { throw Violation("error", "the hub is not open") }
        try Laptop.checkGroups(store.replica, ledger, "the hub")
        guard fault != .replyLost else { return .failed(.timedOut("reply lost")) }
        switch answer {
        case .success(let honest):
            let reply = fault == .hubLies ? try lie(honest, to: request, laptop) : honest
            laptop.note(answer: honest)
            return try read(reply, isDamaged: fault == .replyDamaged, laptop)
        case .failure(let refusal): return .failed(.refused(refusal))
        case nil: return .failed(.unreachable("the hub ended"))
        }
    }

    private func deliverLateRequests() throws {
        for late in lateRequests { _ = try hub.answer(late.bytes, from: late.publicKey) }
        lateRequests = []
    }

    private func read(
        _ reply: [UInt8], isDamaged: Bool, _ laptop: Laptop
    ) throws -> SyncSession.Event {
        var bytes = reply
        if isDamaged { laptop.damage(&bytes) }
        do {
            return .replied(
                try SyncReply(decoding: bytes), wallMilliseconds: laptop.clock.wallMilliseconds)
        } catch {
            guard isDamaged else { throw error }
            return .failed(.notOurHub("\(error)"))
        }
    }
}
