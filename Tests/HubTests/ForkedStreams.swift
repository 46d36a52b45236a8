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

/// Whole disks that were copied: two files write under one name, and all of it counts, once.
@Suite("Forked streams", .timeLimit(.minutes(20)))
struct ForkedStreams {
    private let forum: TrustedForum

    init() throws { forum = try TrustedForum() }

    private func notes(_ laptop: TrustedLaptop) throws -> [String] {
        try laptop.replica.query("SELECT text FROM note ORDER BY text").compactMap { row in
            if case .text(let text) = row[0] { text } else { nil }
        }
    }

    private func total(_ laptop: TrustedLaptop) throws -> Int64? {
        guard
            case .integer(let total)? =
                try laptop.replica.query("SELECT sum(count) FROM tally").first?.first
        else { return nil }
        return total
    }

    @Test(arguments: [false, true])
    func `what two copies of a disk record counts once each`(isSealed: Bool) throws {
        let (one, other) = (try forum.member("L1"), try forum.member("L2"))
        try one.note("sent")
        try one.count("door", by: 3)
        try forum.sync(one)
        try one.note("before")
        try one.count("door", by: 5)
        if isSealed { try one.replica.seal() }
        let two = try forum.clone(of: one, as: "copy")
        try one.note("by the first")
        try one.count("door", by: 10)
        forum.pass(1)
        try two.note("by the second")
        try two.count("door", by: 100)
        try forum.sync(one)
        try forum.sync(two)
        // Each finds that it is not alone.
        try one.note("later, by the first")
        try one.count("door", by: 1_000)
        forum.pass(1)
        try two.note("later, by the second")
        try forum.sync(one)
        try forum.agree([one, two, other, one, two, other])
        #expect(
            try notes(other) == [
                "before", "by the first", "by the second", "later, by the first",
                "later, by the second", "sent",
            ])
        #expect(try total(other) == 1_118)
        #expect(one.replica.stream != two.replica.stream)
        #expect(try other.replica.openConflicts().isEmpty)
    }

    @Test func `copies that meet in a valley need no hub`() throws {
        let one = try forum.member("L1")
        try one.note("before")
        let two = try forum.clone(of: one, as: "copy")
        try one.note("by the first")
        forum.pass(1)
        try two.note("by the second")
        try one.meet(two)
        try two.meet(one)
        try one.meet(two)
        #expect(try one.replica.stateHash() == two.replica.stateHash())
        #expect(try notes(one) == ["before", "by the first", "by the second"])
        try one.note("after that")
        try two.note("after that, too")
        try forum.agree([one, two, try forum.member("L2"), one, two])
        #expect(try notes(two).count == 5)
    }

    @Test func `an edit of one copy's change is no edit of the other's`() throws {
        let (one, reader) = (try forum.member("L1"), try forum.member("L2"))
        let (row, _) = try one.note("before")
        try forum.sync(one)
        let two = try forum.clone(of: one, as: "copy")
        try one.set(row, "by the first")
        try two.set(row, "by the second")
        // It sees one of them, and replaces that.
        try reader.meet(one)
        try reader.set(row, "by the reader")
        try forum.sync(two)
        try forum.sync(reader)
        try forum.sync(one)
        try forum.agree([one, two, reader, one, two, reader])
        let open = try reader.replica.openConflicts()
        #expect(open.count == 1)
        let state = try reader.replica.state(Forum.note.id, row)
        let values = RegisterFold(
            state[CellKey(Forum.note.declared("text").id)], policy: .latest)
        #expect(values.candidates.count == 2, "by the second and by the reader")
    }

    @Test
    func `of a lost laptop whose disk was copied, all branches end, and each may be admitted`()
        throws
    {
        let (one, reader) = (try forum.member("L1"), try forum.member("L2"))
        let stream = one.replica.stream
        try one.note("sent")
        try forum.sync(one)
        let two = try forum.clone(of: one, as: "copy")
        try one.note("by the first")
        forum.pass(1)
        try two.note("by the second")
        try forum.sync(one)
        forum.pass(10_000)
        try forum.sync(two)
        try forum.agree([reader])
        #expect(try notes(reader).count == 3)
        // The hub has had what the second sent for a short time only.
        try forum.revoke(one, receivedBy: forum.now - 5_000)
        try forum.agree([reader])
        #expect(try notes(reader) == ["by the first", "sent"])
        #expect(try reader.replica.quarantined().count >= 1)
        let kept = try forum.hub.replica.quarantinedRuns()
        try forum.hub.admit(kept.filter { $0.run.header.stream == stream })
        try forum.agree([reader])
        #expect(try notes(reader) == ["by the first", "by the second", "sent"])
        // Who reads the feed from its start finds each where it lies now.
        let fresh = try forum.member("L3")
        try forum.agree([fresh, reader])
        #expect(try notes(fresh) == notes(reader))
    }

    @Test(arguments: 0..<8)
    func `in every order of meeting, all agree and nothing is lost`(part: Int) throws {
        for seed in 0..<7 {
            let forum = try TrustedForum()
            var day = DayWithCopies(forum, seed: UInt64(part * 7 + seed))
            try day.run()
        }
    }
}

/// Laptops of which some are copies of one another: they record, sync and meet in any order.
private struct DayWithCopies {
    private let forum: TrustedForum
    private var random: SplitMix64
    private var laptops: [TrustedLaptop] = []
    private var notes: [String] = []
    private var total: Int64 = 0
    private var row: RowID?

    init(_ forum: TrustedForum, seed: UInt64) {
        self.forum = forum
        random = SplitMix64(seed: seed)
    }

    mutating func run() throws {
        for number in 0..<3 { laptops.append(try forum.member("L\(number)")) }
        row = try laptops[0].note("everybody's").row
        notes.append("everybody's")
        for laptop in laptops { try forum.sync(laptop) }
        for laptop in laptops { try forum.sync(laptop) }
        for step in 0..<40 {
            // Two copies that write in the same millisecond give their rows one id.
            forum.pass(1)
            let laptop = laptops[random.below(laptops.count)]
            switch random.below(10) {
            case 0 where laptops.count < 8:
                laptops.append(try forum.clone(of: laptop, as: "copy \(step)"))
            case 1, 2: try forum.sync(laptop)
            case 3, 4: try laptop.meet(laptops[random.below(laptops.count)])
            case 5: try laptop.replica.seal()
            case 6:
                let amount = Int64(1 + random.below(1_000))
                total += amount
                try laptop.count("door", by: amount)
            case 7:
                let row = row!
                if try laptop.replica.rowCount(of: Forum.note) > 0 {
                    try laptop.set(row, "step \(step)")
                }
            default:
                notes.append("note \(step)")
                try laptop.note("note \(step)")
            }
        }
        try settle()
        // Whoever has written since he was copied knows that he was.
        for (number, laptop) in laptops.enumerated() {
            forum.pass(1)
            notes.append("last of \(number)")
            try laptop.note("last of \(number)")
        }
        try settle()
        #expect(Set(laptops.map(\.replica.stream)).count == laptops.count)
    }

    private func settle() throws {
        for _ in 0..<3 { for laptop in laptops { try forum.sync(laptop) } }
        try forum.agree(laptops)
        for laptop in laptops {
            let found = try laptop.replica.query(
                "SELECT text FROM note WHERE id <> ?", .blob(row!.identifier.bytes))
            #expect(found.count == notes.count - 1)
            let sum = try laptop.replica.query("SELECT sum(count) FROM tally").first?.first
            #expect(total == 0 || sum == .integer(total))
            #expect(try laptop.replica.quarantined().isEmpty)
            #expect(try laptop.replica.pending().count == 0)
        }
    }
}

extension TrustedLaptop {
    fileprivate func count(_ item: String, by amount: Int64) throws {
        try replica.write { transaction in
            let (row, _) = try transaction.upsert(
                Forum.tally, key: [.blob(Array(repeating: 7, count: 16)), .text("C"), .text(item)],
                [])
            try transaction.count(Forum.tally, row, Forum.tally.declared("count"), by: amount)
        }
    }

    /// Sets a note's text.
    func set(_ row: RowID, _ text: String) throws {
        try replica.write { transaction in
            try transaction.set(Forum.note, row, [(Forum.note.declared("text"), .text(text))])
        }
    }
}
