import AntiEntropy
import Causality
import FieldRecords
import Foundation
import Hub
import Merge
import RecordSchema
import ReplicaStore
import ReplicaSync
import SyncProtocol
import Testing

/// Laptops that meet without a hub, as the bytes that travel between them.
@Suite("Meetings", .timeLimit(.minutes(20)))
struct MeetingForum {
    private let forum: TrustedForum
    private static let pin = [UInt8](repeating: 7, count: 32)

    init() throws { forum = try TrustedForum() }

    /// The laptop that serves, without HTTP around it.
    private final class Served: PeerPort {
        let statement: PeerStatement
        private let exchange: PeerExchange
        private let caller: DeviceKey
        /// What passed, both ways, and what each round came to.
        var messages: [[UInt8]] = []
        var rounds: [PeerExchange.Met] = []
        /// Done to what comes next.
        var change: (inout Meeting) -> Void = { _ in }
        var signer: DeviceKey?

        init(_ server: Replica, caller: Replica) throws {
            exchange = PeerExchange(server)
            statement = try exchange.statement(pin: MeetingForum.pin)
            self.caller = try caller.key()
        }

        func meet(_ meeting: Meeting) throws(TransportFailure) -> [UInt8] {
            var meeting = meeting
            change(&meeting)
            let body = meeting.encode()
            do {
                let (bundle, met) = try exchange.answer(
                    body,
                    signature: RequestSignature(
                        hub: statement.device.statement.publicKey, path: Meeting.path, body: body,
                        key: signer ?? caller))
                messages += [body, bundle]
                rounds.append(met)
                return bundle
            } catch let refusal as Refusal {
                throw .refused(refusal)
            } catch {
                throw .notOurHub("\(error)")
            }
        }
    }

    @discardableResult
    private func visit(
        _ server: TrustedLaptop, by caller: TrustedLaptop, served: Served? = nil
    ) throws -> PeerExchange.Visit {
        let port = try served ?? Served(server.replica, caller: caller.replica)
        return try PeerExchange(caller.replica).visit(port.statement, over: port)
    }

    /// The code with which a visit is refused.
    private func refusal(
        _ server: TrustedLaptop, by caller: TrustedLaptop, served: Served? = nil
    ) -> Refusal.Code? {
        do {
            try visit(server, by: caller, served: served)
            return nil
        } catch TransportFailure.refused(let refusal) {
            return refusal.code
        } catch {
            return (error as? Refusal)?.code
        }
    }

    private func texts(_ laptop: TrustedLaptop) throws -> Set<Value> {
        Set(try laptop.replica.query("SELECT text FROM note").map { $0[0] })
    }

    private func pair() throws -> (one: TrustedLaptop, two: TrustedLaptop) {
        let one = try forum.member("one")
        let two = try forum.member("two")
        try forum.sync(one)
        return (one, two)
    }

    @Test func `each has what the other recorded, and a second visit is one round trip`() throws {
        let (one, two) = try pair()
        try one.note("by one")
        try two.note("by two")
        let first = try visit(one, by: two)
        #expect(first.givenCount == 1 && first.taken.newCount == 1 && first.roundTrips == 2)
        #expect(try one.replica.stateHash() == two.replica.stateHash())
        #expect(try texts(one) == [.text("by one"), .text("by two")])
        let second = try visit(one, by: two)
        #expect(second.givenCount == 0 && second.taken.newCount == 0 && second.roundTrips == 1)
        // Whoever comes to the hub first brings both.
        #expect(try two.replica.pending().count == 2)
        try forum.sync(two)
        #expect(try forum.hub.replica.stateHash() == one.replica.stateHash())
        try forum.sync(one)
        #expect(try one.replica.pending().count == 0)
    }

    @Test func `who was let in since the other's last sync is known by what it shows`() throws {
        let old = try forum.member("old")
        try old.note("by old")
        let new = try forum.member("new")
        try new.note("by new")
        #expect(try !old.replica.isMember(new.replica.publicKey))
        let served = try Served(old.replica, caller: new.replica)
        #expect(try visit(old, by: new, served: served).givenCount > 0)
        #expect(try texts(old) == [.text("by old"), .text("by new")])
        #expect(try texts(new) == texts(old))
        // The other way round: the new one serves.
        let newer = try forum.member("newer")
        try newer.note("by newer")
        try visit(newer, by: old)
        #expect(try texts(old).contains(.text("by newer")))
        #expect(try texts(newer) == texts(old))
    }

    @Test func `each gets what it may read, and nothing else passes`() throws {
        let office = try forum.member("HQ", for: [])
        try office.replica.write { transaction in
            for code in ["KZ", "UZ"] {
                try transaction.upsert(Forum.delegation, key: [.text(code)], [])
            }
        }
        let kz = try forum.member("L-KZ", as: "lead", for: ["delegation/KZ"])
        let uz = try forum.member("L-UZ", as: "lead", for: ["delegation/UZ"])
        for laptop in [office, kz] { try forum.sync(laptop) }
        let outcome = Forum.visit.declared("outcome")
        for code in ["KZ", "UZ"] {
            try office.replica.write { transaction in
                let keys = [("item", "V12"), ("delegation", code)].map { table, key in
                    Value.blob(
                        Forum.schema.rowID(
                            in: Forum.schema.tables.first { $0.name == table }!,
                            key: [.text(key)]
                        ).identifier.bytes)
                }
                try transaction.upsert(
                    Forum.visit, key: keys, [(outcome, .text("canary of \(code)"))])
            }
        }
        try visit(office, by: kz)
        #expect(
            try kz.replica.query("SELECT outcome FROM visit") == [[.text("canary of KZ")]])
        // Two of different delegations share the base scope alone.
        let served = try Served(kz.replica, caller: uz.replica)
        try visit(kz, by: uz, served: served)
        #expect(try uz.replica.query("SELECT outcome FROM visit").isEmpty)
        #expect(served.messages.count >= 2)
        for message in served.messages {
            for canary in ["canary", "delegation/KZ"] {
                #expect(Data(message).range(of: Data(canary.utf8)) == nil)
            }
        }
        // And the office gets both.
        try visit(office, by: uz)
        #expect(
            try uz.replica.query("SELECT outcome FROM visit") == [[.text("canary of UZ")]])
    }

    @Test func `a revoked one gets nothing from who knows it, on either side`() throws {
        let (one, two) = try pair()
        try two.note("by two")
        try forum.revoke(two)
        // Nobody can know yet.
        try visit(one, by: two)
        #expect(try texts(one) == [.text("by two")])
        try forum.sync(one)
        #expect(try texts(one).isEmpty)
        #expect(refusal(one, by: two) == .revoked)
        #expect(refusal(two, by: one) == .revoked)
    }

    @Test func `an expired one is told to renew, and goes on once it has`() throws {
        let (one, two) = try pair()
        forum.pass(40 * 86_400_000)
        try forum.sync(one)
        #expect(refusal(one, by: two) == .revoked)
        #expect(refusal(two, by: one) == .revoked, "by its own clock one has no other of two")
        try forum.sync(two)
        try forum.sync(one)
        #expect(refusal(one, by: two) == nil)
    }

    @Test func `strangers, other forums and borrowed certificates get nothing`() throws {
        let (one, two) = try pair()
        try one.note("by one")
        let other = try TrustedForum()
        let theirs = try other.member("theirs")
        #expect(refusal(one, by: theirs) == .revoked)
        #expect(refusal(theirs, by: one) == .revoked)
        let nobody = try forum.laptop("nobody")
        #expect(throws: StoreError.self) {
            try PeerExchange(nobody.replica).statement(pin: Self.pin)
        }
        // Another one's certificates, under a key of one's own.
        let served = try Served(one.replica, caller: two.replica)
        served.signer = try theirs.replica.key()
        #expect(refusal(one, by: two, served: served) == .revoked)
        served.signer = nil
        let stolen = try #require(try theirs.replica.membership()?.own)
        served.change = { $0.device = stolen }
        #expect(refusal(one, by: two, served: served) == .revoked)
        served.change = { $0.bundle = [UInt8](repeating: 1, count: 99) }
        #expect(refusal(one, by: two, served: served) == .poison)
        #expect(served.rounds.isEmpty)
        #expect(refusal(one, by: one) == .revoked, "it meets itself")
    }

    @Test func `a statement counts with the key that signed it alone`() throws {
        let (one, two) = try pair()
        let honest = try PeerExchange(one.replica).statement(pin: Self.pin)
        let caller = PeerExchange(two.replica)
        #expect(try caller.check(honest).device == one.replica.device)
        #expect(try PeerStatement(decoding: honest.encode()) == honest)
        var another = honest
        another.pin[0] ^= 1
        #expect(throws: Refusal.self) { try caller.check(another) }
        another = honest
        another.device = try #require(try two.replica.membership()?.own)
        #expect(throws: Refusal.self) { try caller.check(another) }
        let bytes = honest.encode()
        for index in bytes.indices {
            var flipped = bytes
            flipped[index] ^= 1
            guard let read = try? PeerStatement(decoding: flipped) else { continue }
            #expect(throws: (any Error).self, "byte \(index)") { try caller.check(read) }
        }
    }

    @Test func `what one message has no room for comes in the next`() throws {
        let (one, two) = try pair()
        // Random text doesn't compress: some 9 MB.
        var random = SystemRandomNumberGenerator()
        for number in 0..<150 {
            let text = (0..<60_000).map { _ in
                String(UnicodeScalar(UInt8.random(in: 33...126, using: &random)))
            }.joined()
            try (number % 2 == 0 ? one : two).note(text)
        }
        let served = try Served(one.replica, caller: two.replica)
        let visit = try visit(one, by: two, served: served)
        #expect(visit.givenCount == 75 && visit.taken.newCount == 75)
        #expect(visit.roundTrips > 2)
        #expect(served.messages.allSatisfy { $0.count <= Limits.messageBytes })
        #expect(try one.replica.stateHash() == two.replica.stateHash())
        #expect(served.rounds.reduce(0) { $0 + $1.taken.newCount } == 75)
    }

    private func random(_ count: Int) -> String {
        var random = SystemRandomNumberGenerator()
        return (0..<count).map { _ in
            String(UnicodeScalar(UInt8.random(in: 33...126, using: &random)))
        }.joined()
    }

    /// What both hold already takes more than one message, and neither knows that it does.
    @Test(arguments: [1, 3])
    func `a fork behind more than a message is found, and both branches go both ways`(
        _ count: Int
    ) throws {
        let first = try forum.member("first")
        let (one, two) = try pair()
        try forum.sync(first)
        for _ in 0..<100 { try first.note(random(60_000)) }
        try first.replica.seal()
        let twin = try forum.clone(of: first, as: "twin")
        for number in 0..<count { try first.note("first \(number)") }
        // In the same millisecond both would make the same row.
        forum.pass(7)
        for number in 0..<2 { try twin.note("twin \(number)") }
        try visit(first, by: one)
        try visit(twin, by: two)
        let met = try visit(one, by: two)
        #expect(met.untakenCount == 0 && !met.isCutShort && met.taken.refused.isEmpty)
        #expect(try texts(one).count == 102 + count)
        #expect(try one.replica.stateHash() == two.replica.stateHash())
        #expect(try visit(one, by: two).roundTrips == 1)
    }

    @Test func `what isn't taken holds back nothing behind it`() throws {
        let (one, two) = try pair()
        let served = try Served(one.replica, caller: two.replica)
        for _ in 0..<100 { try two.note(random(60_000)) }
        try one.note("by one")
        // The other loses each bundle that it gets.
        served.change = { $0.bundle = nil }
        let met = try visit(one, by: two, served: served)
        #expect(met.untakenCount > 0 && met.givenCount == 0)
        #expect(try texts(two).contains(.text("by one")))
        #expect(met.roundTrips < 10)
    }

    @Test func `the certificate that was issued last is shown`() throws {
        let day: Int64 = 86_400_000
        let old = try forum.member("old")
        forum.pass(11 * day)
        let new = try forum.member("new")
        forum.pass(day)
        try forum.sync(old)
        // That of the enrolment has expired, and nobody has the renewed one but its device.
        forum.pass(19 * day + 1)
        #expect(refusal(new, by: old) == nil)
        #expect(refusal(old, by: new) == nil)
    }

    @Test func `a key with which everything lies open is let in nowhere`() throws {
        let laptop = try forum.laptop("open")
        let token = try forum.token(as: "recorder")
        let key = try laptop.replica.key()
        var request = EnrolmentRequest(secret: token.secret, name: "open", key: key)
        request.encryptionKey = [UInt8](repeating: 0, count: 32)
        request.signature = key.sign(
            Digest(
                .enrolment, request.secret, request.publicKey, request.encryptionKey,
                Array(request.name.utf8)))
        #expect { try forum.hub.enrol(request) } throws: { ($0 as? Refusal)?.code == .poison }
        for usable in [key.encryptionPublicKey, [UInt8](repeating: 9, count: 32)] {
            #expect(ContentKey.isUsable(usable))
        }
        #expect(!ContentKey.isUsable([UInt8](repeating: 0, count: 32)))
    }

    @Test func `a message that is lost at any place is made up for by the next visit`() throws {
        for lost in 0..<2 {
            for isAnswer in [false, true] {
                let forum = try TrustedForum()
                let one = try forum.member("one")
                let two = try forum.member("two")
                try forum.sync(one)
                try one.note("by one")
                try two.note("by two")
                let port = try Cut(
                    Served(one.replica, caller: two.replica), at: lost, losesAnswer: isAnswer)
                #expect(throws: TransportFailure.self) {
                    try PeerExchange(two.replica).visit(port.served.statement, over: port)
                }
                try visit(one, by: two)
                #expect(try one.replica.stateHash() == two.replica.stateHash())
                #expect(try texts(one).count == 2)
            }
        }
    }

    private final class Cut: PeerPort {
        let served: Served
        private var left: Int
        private let losesAnswer: Bool

        init(_ served: Served, at round: Int, losesAnswer: Bool) {
            (self.served, left, self.losesAnswer) = (served, round, losesAnswer)
        }

        func meet(_ meeting: Meeting) throws(TransportFailure) -> [UInt8] {
            defer { left -= 1 }
            if left == 0, !losesAnswer { throw .timedOut("lost") }
            let answer = try served.meet(meeting)
            if left == 0 { throw .timedOut("lost") }
            return answer
        }
    }
}
