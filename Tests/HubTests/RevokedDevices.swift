import Causality
import FieldRecords
import Foundation
import Hub
import Merge
import RecordSchema
import ReplicaStore
import SyncProtocol
import TestSupport
import Testing

/// Laptops that are lost, and what they had recorded: it does no harm, and none of it is gone.
@Suite("Revoked devices", .timeLimit(.minutes(20)))
struct RevokedDevices {
    private let forum: TrustedForum

    init() throws { forum = try TrustedForum() }

    @Test func `a lost laptop's unsent changes wait at the hub, and count nowhere`() throws {
        let (lost, other) = (try forum.member("L5"), try forum.member("L1"))
        try lost.note("sent before")
        try forum.sync(lost)
        let unsent = try (0..<63).map { try lost.note("unsent \($0)").dot }
        #expect(try forum.revoke(lost).keptCount == 1)
        let before = try forum.hub.replica.stateHash()
        let rejections = try forum.sync(lost)
        #expect(rejections.map(\.refusal.code) == [.revoked])
        #expect(rejections.first?.refusal.explanation.contains(": lost. What it recorded") == true)
        #expect(try forum.hub.replica.stateHash() == before)
        // It has been received: nothing waits on the laptop, and nothing of it is gone.
        #expect(try lost.replica.pending().count == 0)
        #expect(try lost.replica.rowCount(of: Forum.note) == 64)
        let kept = try forum.hub.replica.quarantinedRuns()
        #expect(kept.map(\.device) == [lost.replica.device])
        let changesets = try forum.hub.replica.changesets(of: try #require(kept.first))
        #expect(changesets?.map(\.dot) == unsent)
        // Bringing it again changes nothing, and with nothing to bring it is told no.
        try lost.replica.forgetHub()
        #expect(try forum.sync(lost).count == 1)
        #expect(try forum.hub.replica.quarantinedRuns().count == 1)
        let refusal = #expect(throws: Refusal.self) { try forum.sync(lost) }
        #expect(refusal?.code == .revoked)
        try forum.sync(other)
        #expect(try other.replica.rowCount(of: Forum.note) == 1)
        #expect(try forum.hub.devices().filter { $0.revokedMilliseconds != nil }.count == 1)
    }

    @Test func `who thinks that the hub has it hands it over all the same`() throws {
        let lost = try forum.member("L5")
        try lost.note("thrown away by a hub that says that it has it")
        let run = try lost.seal()
        let cursor = try #require(try lost.replica.cursor())
        let lie = ExchangeReply(
            heads: [RunStub(run)], rejections: [], entries: [], cursor: cursor, hasMore: true,
            hubMilliseconds: forum.now)
        _ = try lost.replica.apply(lie, from: cursor)
        #expect(try lost.replica.pending().count == 0)
        try forum.revoke(lost)
        try lost.note("later")
        let rejections = try forum.sync(lost)
        #expect(rejections.last?.refusal.code == .revoked)
        let kept = try forum.hub.replica.quarantinedRuns()
        #expect(kept.map(\.run.header.firstSeq) == [1, 2])
        #expect(try lost.replica.pending().count == 0)
    }

    @Test func `a revoked laptop gets nothing of the forum`() throws {
        let (lost, other) = (try forum.member("L5"), try forum.member("L1"))
        try forum.revoke(lost)
        try other.note("a canary")
        try forum.sync(other)
        try lost.note("bait")
        try lost.replica.forgetHub()
        try forum.sync(lost)
        #expect(try lost.replica.rowCount(of: Forum.note) == 1)
        #expect(try lost.replica.cursor()?.offset == 0)
        // A new token for the old key changes nothing.
        let refusal = #expect(throws: Refusal.self) { try forum.enrol(lost, as: "coordinator") }
        #expect(refusal?.explanation.contains("karvan init") == true)
    }

    @Test func `what others recorded on top of it goes its way`() throws {
        let (lost, friend, late) = (
            try forum.member("L5"), try forum.member("L1"), try forum.member("L2")
        )
        let (row, _) = try lost.note("before")
        try forum.sync(lost)
        // Seen in a valley without a network: by another way than the hub.
        let (later, _) = try lost.note("later")
        try lost.replica.write { try $0.set(Forum.note, row, [(text, .text("changed"))]) }
        try friend.meet(lost)
        #expect(try friend.replica.rowCount(of: Forum.note) == 2)
        try forum.revoke(lost)
        var dots: [Dot] = []
        for number in 0..<375 {
            dots.append(try friend.note("check-in \(number)").dot)
            if number == 200 { try friend.replica.seal() }
        }
        // Each of these replaces what doesn't count.
        for id in [row, later] {
            dots += try friend.replica.write {
                try $0.set(Forum.note, id, [(text, .text("by a friend"))])
            }.receipt.dots
        }
        #expect(try forum.sync(friend).isEmpty)
        #expect(try friend.replica.pending().count == 0)
        for dot in dots { #expect(try forum.hub.replica.changeset(dot) != nil) }
        #expect(try friend.replica.quarantinedRuns().map(\.device) == [lost.replica.device])
        try forum.sync(late)
        try agree([friend, late, try forum.member("L3")])
        // Both notes show what the friend made of them.
        let shown = try late.replica.query(
            "SELECT count(*) FROM note WHERE text = 'by a friend'")
        #expect(shown == [[.integer(2)]])
        // And so it goes on.
        try friend.replica.write { try $0.set(Forum.note, later, [(text, .text("again"))]) }
        #expect(try forum.sync(friend).isEmpty)
        try forum.sync(late)
        try agree([friend, late])
    }

    @Test func `what waits unsealed on top of it goes its way as well`() throws {
        let (lost, friend, late) = (
            try forum.member("L5"), try forum.member("L1"), try forum.member("L2")
        )
        let (row, _) = try lost.note("later")
        try friend.meet(lost)
        try friend.replica.write { try $0.set(Forum.note, row, [(text, .text("on top"))]) }
        try forum.revoke(lost)
        // The cut comes to it while its own change lies in the tail.
        try forum.sync(late)
        try friend.meet(late)
        #expect(try friend.replica.quarantinedRuns().count == 1)
        try friend.note("and one more")
        #expect(try forum.sync(friend).isEmpty)
        try forum.sync(late)
        try agree([friend, late])
        #expect(try late.replica.query("SELECT text FROM note ORDER BY text").count == 2)
    }

    @Test func `that a lost laptop's clock was ahead is no damage of those who had its changes`()
        throws
    {
        let (lost, other) = (try forum.member("L5"), try forum.member("L1"))
        try other.note("by another")
        let years: Int64 = 2 * 365 * 86_400_000
        forum.pass(years)
        try lost.note("from the future")
        try forum.sync(lost)
        try forum.sync(other)
        forum.pass(-years)
        try forum.revoke(lost, receivedBy: forum.now)
        try forum.sync(other)
        #expect(try other.replica.rowCount(of: Forum.note) == 1)
        #expect(try other.replica.verify().problems == [])
    }

    @Test func `with a time, what came later is taken out everywhere`() throws {
        let (lost, early) = (try forum.member("L5"), try forum.member("L1"))
        let (row, _) = try lost.note("true")
        try forum.sync(lost)
        forum.pass(60_000)
        try lost.replica.write { try $0.set(Forum.note, row, [(text, .text("forged"))]) }
        try lost.note("made up")
        try forum.sync(lost)
        try forum.sync(early)
        #expect(try early.replica.rowCount(of: Forum.note) == 2)
        let result = try forum.revoke(lost, receivedBy: forum.now - 1)
        #expect((result.keptCount, result.cutOffCount) == (1, 2))
        try forum.sync(early)
        try agree([early, try forum.member("L2")])
        #expect(try early.replica.query("SELECT text FROM note") == [[.text("true")]])
        #expect(try early.replica.quarantinedRuns().count == 1)
        // A second cut can only end it earlier.
        try forum.revoke(lost)
        #expect(try forum.hub.replica.rowCount(of: Forum.note) == 1)
        try forum.revoke(lost, receivedBy: 0)
        try forum.sync(early)
        #expect(try early.replica.rowCount(of: Forum.note) == 0)
        try agree([early, try forum.member("L3")])
    }

    @Test func `a stream that it made after that counts nowhere, and strands nobody`() throws {
        let (lost, friend) = (try forum.member("L5"), try forum.member("L1"))
        try forum.revoke(lost)
        // A copy of it goes on under another stream.
        let again = try forum.copy(of: lost, as: "again")
        let (row, _) = try again.note("from elsewhere")
        try friend.meet(again)
        #expect(try friend.replica.rowCount(of: Forum.note) == 1)
        let dots = try friend.replica.write {
            try $0.set(Forum.note, row, [(text, .text("on top"))])
        }.receipt.dots
        #expect(try forum.sync(friend).allSatisfy { $0.refusal.code == .gap })
        #expect(try forum.hub.replica.changeset(dots[0]) != nil)
        try agree([friend, try forum.member("L2")])
        #expect(try friend.replica.query("SELECT text FROM note") == [[.text("on top")]])
    }

    @Test func `a device that the hub hears of after that strands nobody either`() throws {
        let (lost, friend) = (try forum.laptop("L5"), try forum.member("L1"))
        let membership = try forum.enrol(lost, as: "coordinator")
        try lost.replica.setHubLink(.test, membership: membership)
        // It has never brought anything, and its certificate came to the friend by the hub.
        try forum.revoke(lost)
        let known = try forum.member("L2")
        let (row, _) = try lost.note("never sent")
        try friend.meet(known)
        try friend.meet(lost)
        #expect(try friend.replica.rowCount(of: Forum.note) == 0)
        try lost.note("nor this")
        try friend.meet(lost)
        let devices = try friend.replica.quarantinedRuns().map(\.device)
        #expect(devices == [lost.replica.device, lost.replica.device])

        let (early, second) = (try forum.member("L3"), try forum.member("L4"))
        let unheard = try forum.laptop("L6")
        try unheard.replica.setHubLink(
            .test, membership: try forum.enrol(unheard, as: "coordinator"))
        try forum.sync(early)
        let (other, _) = try unheard.note("never sent either")
        try early.meet(unheard)
        try early.replica.write { transaction in
            try transaction.set(Forum.note, other, [(text, .text("on top"))])
        }
        try forum.revoke(unheard)
        try forum.sync(early)
        try agree([friend, early, second, known])
        let shown = try second.replica.query("SELECT text FROM note")
        #expect(shown == [[.text("on top")]])
        #expect(row != other)
    }

    @Test func `only a hub's cuts cut, and what is none is passed over`() throws {
        let (one, two) = (try forum.member("L1"), try forum.member("L2"))
        try one.note("here")
        try forum.sync(one)
        let cut = try forum.hub.replica.revocation(
            of: one.replica.publicKey, receivedBy: 0, note: "")
        #expect(cut.flatMap(\.streams).map(\.end) == [.beforeFirst])
        let row = Forum.schema.rowID(
            in: Forum.device, key: [.text(one.replica.device.description)])
        let column = Forum.device.declared("cuts")
        let denied = #expect(throws: StoreError.self) {
            try two.replica.write { transaction in
                try transaction.add(Forum.device, row, column, cut.map { .blob($0.encode()) })
            }
        }
        #expect(denied?.explanation.contains("not let change device") == true)
        // Another device's, in this one's row.
        let other = try forum.hub.replica.revocation(
            of: two.replica.publicKey, receivedBy: 0, note: "")
        let elements: [Value] = [.blob([1, 2]), .blob([])] + other.map { .blob($0.encode()) }
        let hub = forum.hub.replica
        try hub.write { transaction in
            try transaction.add(Forum.device, row, column, elements)
        }
        try forum.sync(two)
        try forum.sync(one)
        #expect(try two.replica.rowCount(of: Forum.note) == 1)
        try agree([one, two])
    }

    // MARK: Any schedule

    @Test(arguments: 0..<12)
    func `whatever the order, all agree, and nobody else loses anything`(part: Int) throws {
        for seed in 0..<10 {
            let forum = try TrustedForum()
            var day = DayWithALoss(forum, seed: UInt64(part * 10 + seed))
            try day.run()
        }
    }

    private let text = Forum.note.declared("text")

    private func agree(_ laptops: [TrustedLaptop]) throws {
        try forum.agree(laptops)
    }
}

extension TrustedForum {
    /// Holds the hub and laptops against each other and against themselves.
    func agree(_ laptops: [TrustedLaptop]) throws {
        // Whoever was let in last made a record of it.
        for laptop in laptops { #expect(try sync(laptop).isEmpty) }
        let hash = try hub.replica.stateHash()
        let found = try hub.replica.verify().problems
        #expect(found == [], "\(found)")
        for laptop in laptops {
            #expect(try laptop.replica.stateHash() == hash)
            let problems = try laptop.replica.verify().problems
            #expect(problems == [], "\(problems)")
            #expect(try laptop.replica.openConflicts() == hub.replica.openConflicts())
        }
    }
}

/// Laptops that edit the same rows, sync and meet, one of which is revoked some time.
struct DayWithALoss {
    private let forum: TrustedForum
    /// Whether the operator lets some of it count after all.
    private let admits: Bool
    private var random: SplitMix64
    private var laptops: [TrustedLaptop] = []
    private var isRevoked = false
    /// What everybody but the lost one was told is safe.
    private var acknowledged: [Dot] = []
    private var rows: [RowID] = []

    init(_ forum: TrustedForum, seed: UInt64, admits: Bool = false) {
        (self.forum, self.admits) = (forum, admits)
        random = SplitMix64(seed: seed)
    }

    mutating func run() throws {
        for number in 0..<4 { laptops.append(try forum.member("L\(number)")) }
        let loss = 20 + random.below(40)
        for step in 0..<90 {
            if step == loss { try lose() }
            if admits, isRevoked, random.chance(1, in: 8) { try admit() }
            switch random.below(10) {
            case 0...5: try write(random.below(4), step)
            case 6, 7: try sync(random.below(4))
            default: try meet(random.below(4), random.below(4))
            }
            forum.pass(1_000)
        }
        if admits { try admitAll() }
        // Everybody but the lost one comes home.
        for _ in 0..<2 {
            for number in 1..<4 { try sync(number) }
        }
        try forum.agree(Array(laptops[1...]) + [try forum.member("late")])
        for dot in acknowledged {
            #expect(try forum.hub.replica.changeset(dot) != nil, "\(dot) is lost")
        }
    }

    private mutating func lose() throws {
        isRevoked = true
        let limit = random.chance(1, in: 2) ? forum.now - Int64(random.below(30_000)) : nil
        try forum.revoke(laptops[0], receivedBy: limit)
    }

    private mutating func admit() throws {
        guard let run = random.pick(try forum.hub.replica.quarantinedRuns()) else { return }
        #expect(try forum.hub.admit([run]).reduce(0) { $0 + $1.changeCount } > 0)
    }

    /// The lost one is found, and all that it had counts.
    private mutating func admitAll() throws {
        try sync(0)
        let kept = try forum.hub.replica.quarantinedRuns()
        if !kept.isEmpty { try forum.hub.admit(kept) }
        #expect(try forum.hub.replica.quarantinedRuns() == [])
        try laptops[0].replica.forEachChangeset { changeset, _ in
            acknowledged.append(changeset.dot)
        }
    }

    private mutating func write(_ number: Int, _ step: Int) throws {
        let known = try laptops[number].replica.query("SELECT id FROM note").compactMap { row in
            if case .blob(let bytes) = row[0] { Identifier(bytes).map { RowID($0) } } else { nil }
        }
        let (row, choice) = (random.pick(known), random.below(10))
        let amount = Int64(random.below(9)) + 1
        let receipt = try laptops[number].replica.write { transaction in
            let value = Value.text("\(number) in \(step)")
            switch (row, choice) {
            case (let row?, 0): try transaction.delete(Forum.note, row)
            case (let row?, 1...5):
                try transaction.set(Forum.note, row, [(Forum.note.declared("text"), value)])
            case (_, 6...7):
                let item = Value.blob(Array(repeating: 7, count: 16))
                let (tally, _) = try transaction.upsert(
                    Forum.tally, key: [item, .text("C"), .text("door")], [])
                try transaction.count(
                    Forum.tally, tally, Forum.tally.declared("count"), by: amount)
            default: _ = try transaction.insert(into: Forum.note, [nil, nil, nil, value])
            }
        }.receipt
        if number > 0 { acknowledged += receipt.dots }
    }

    private func sync(_ number: Int) throws {
        do {
            let rejections = try forum.sync(laptops[number])
            if number > 0 { #expect(rejections.allSatisfy { $0.refusal.code == .gap }) }
        } catch let refusal as Refusal where number == 0 && isRevoked {
            #expect(refusal.code == .revoked)
        }
    }

    private func meet(_ number: Int, _ other: Int) throws {
        guard number != other else { return }
        try laptops[number].meet(laptops[other])
    }
}
