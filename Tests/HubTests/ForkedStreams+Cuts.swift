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

/// Lost laptops whose disks were copied: what the cuts of their branches do to what others recorded.
@Suite("Forked streams that end", .timeLimit(.minutes(20)))
struct ForkedStreamsThatEnd {
    private let forum: TrustedForum

    init() throws { forum = try TrustedForum() }

    private func notes(_ laptop: TrustedLaptop) throws -> [String] {
        try laptop.replica.query("SELECT text FROM note ORDER BY text").compactMap { row in
            if case .text(let text) = row[0] { text } else { nil }
        }
    }

    /// A laptop and a copy of its disk that have each sent a note, the copy's later; and where it had to
    /// be received to count no more.
    private func twins() throws -> (
        one: TrustedLaptop, two: TrustedLaptop, rows: [RowID], limit: Int64
    ) {
        let one = try forum.member("L1")
        try one.note("sent")
        try forum.sync(one)
        let two = try forum.clone(of: one, as: "copy")
        let first = try one.note("by the first").row
        forum.pass(1)
        let second = try two.note("by the second").row
        try forum.sync(one)
        forum.pass(10_000)
        let limit = forum.now - 5_000
        try forum.sync(two)
        return (one, two, [first, second], limit)
    }

    /// Which of the two goes on with the stream's name is decided by hashes: both are tried.
    @Test(arguments: 0..<4, [false, true])
    func `what was recorded on top of a branch goes out when that was cut off`(
        turn: Int, isLeft: Bool
    ) throws {
        let lost = try twins()
        var reader = try forum.member("L2")
        try reader.replica.write { transaction in
            for row in lost.rows {
                try transaction.set(
                    Forum.note, row, [(Forum.note.declared("text"), .text("edited"))])
            }
        }
        if isLeft { reader = try forum.copy(of: reader, as: "file") }
        try forum.revoke(lost.one, receivedBy: lost.limit)
        try reader.note("before the cut")
        try forum.sync(reader)
        try reader.note("behind the cut")
        try forum.sync(reader)
        #expect(try reader.replica.pending().count == 0)
        let fresh = try forum.member("L3")
        try forum.agree([reader, fresh])
        #expect(
            try notes(reader) == ["before the cut", "behind the cut", "edited", "edited", "sent"])
        #expect(try reader.replica.verify().problems == [])
        #expect(try reader.replica.openConflicts().isEmpty)
    }

    @Test(arguments: 0..<4)
    func `changes of several streams of a lost laptop are admitted at once`(turn: Int) throws {
        let lost = try twins()
        // Each goes on as a new incarnation.
        try forum.sync(lost.one)
        try lost.one.note("later, by the first")
        forum.pass(1)
        try lost.two.note("later, by the second")
        for laptop in [lost.one, lost.two, lost.one] { try forum.sync(laptop) }
        let reader = try forum.member("L2")
        let all = try notes(reader)
        #expect(all.count == 5)
        try forum.revoke(lost.one, receivedBy: lost.limit)
        try forum.agree([reader])
        #expect(try notes(reader) == ["by the first", "sent"])
        let kept = try forum.hub.replica.quarantinedRuns()
        #expect(Set(kept.map(\.run.header.stream)).count == 3)
        try forum.hub.admit(kept)
        try forum.agree([reader, try forum.member("L3")])
        #expect(try notes(reader) == all)
        #expect(try forum.hub.replica.verify().problems == [])
    }

    @Test func `who builds on a branch that nobody else holds is read alike by all`() throws {
        let one = try forum.member("L1")
        let (old, other) = (try one.note("old").row, try one.note("other").row)
        try forum.sync(one)
        let reader = try forum.member("L2")
        let two = try forum.clone(of: one, as: "copy")
        forum.pass(10_000)
        let limit = forum.now
        forum.pass(10_000)
        for number in 1...3 {
            try one.set(old, "by the first \(number)")
            try two.set(old, "by the second \(number)")
            _ = (try one.seal(), try two.seal())
        }
        try forum.sync(one)
        // What the copy wrote counts nowhere, ever.
        try reader.meet(two)
        try reader.set(old, "old, by the reader")
        try reader.set(other, "other, by the reader")
        try forum.revoke(one, receivedBy: limit)
        try forum.agree([reader, try forum.member("L3")])
        #expect(try notes(reader) == ["old, by the reader", "other, by the reader"])
        let its = try one.replica.sealedRuns(after: VersionVector())
        let kept = try forum.hub.replica.quarantinedRuns().filter { its.contains($0.run) }
        #expect(kept.count == 3)
        try forum.hub.admit(kept)
        try forum.agree([reader, try forum.member("L4")])
        // What he had seen of the first's edits can't be told any more: they are shown beside.
        let state = try reader.replica.state(Forum.note.id, old)
        let values = RegisterFold(
            state[CellKey(Forum.note.declared("text").id)], policy: .latest)
        #expect(values.candidates.count == 2)
    }

    /// A copy's branch of two runs, and a reader who edits what is in them and what was before.
    private func branchOfTwo() throws -> (
        one: TrustedLaptop, two: TrustedLaptop, reader: TrustedLaptop, limits: [Int64]
    ) {
        let one = try forum.member("L1")
        let sent = try one.note("sent").row
        try forum.sync(one)
        let two = try forum.clone(of: one, as: "copy")
        let reader = try forum.member("L2")
        forum.pass(10_000)
        var limits = [forum.now - 5_000]
        try one.note("by the first")
        _ = try one.seal()
        try one.note("by the first, too")
        try forum.sync(one)
        forum.pass(10_000)
        limits.append(forum.now - 5_000)
        var rows = [sent, try two.note("by the second").row]
        _ = try two.seal()
        rows.append(try two.note("by the second, too").row)
        try forum.sync(two)
        try forum.sync(reader)
        for row in rows { try reader.set(row, "edited") }
        try forum.sync(reader)
        return (one, two, reader, limits)
    }

    @Test(arguments: 0..<4)
    func `a branch comes back run by run to who never had it`(turn: Int) throws {
        let lost = try branchOfTwo()
        try forum.revoke(lost.one, receivedBy: lost.limits[1])
        let late = try forum.member("L3")
        try forum.agree([lost.reader, late])
        #expect(try notes(late).filter { $0 == "edited" }.count == 3)
        try forum.hub.admit(forum.hub.replica.quarantinedRuns())
        try forum.agree([lost.reader, late, try forum.member("L4")])
        #expect(
            try notes(late) == ["by the first", "by the first, too", "edited", "edited", "edited"])
        #expect(try late.replica.openConflicts().isEmpty)
    }

    @Test(arguments: 0..<4)
    func `a stream that forked ends once more, before that`(turn: Int) throws {
        let lost = try branchOfTwo()
        try forum.revoke(lost.one, receivedBy: lost.limits[1])
        try forum.agree([lost.reader, try forum.member("L3")])
        try forum.revoke(lost.one, receivedBy: lost.limits[0])
        try forum.agree([lost.reader, try forum.member("L4")])
        #expect(try notes(lost.reader) == ["edited", "edited", "edited"])
    }

    @Test(arguments: 0..<4)
    func `a file that knew a branch is repaired when that is gone`(turn: Int) throws {
        let lost = try branchOfTwo()
        try forum.revoke(lost.one, receivedBy: lost.limits[1])
        try forum.agree([lost.reader])
        let path = lost.reader.replica.path
        let hash = try lost.reader.replica.stateHash()
        lost.reader.replica.close()
        let environment = lost.one.replica.environment
        let repair = try Replica.repair(at: path, schema: Forum.schema, environment: environment)
        #expect(repair.lost.isEmpty && repair.stateHash == hash)
        let reader = TrustedLaptop(
            replica: try Replica.open(at: path, schema: Forum.schema, environment: environment))
        try reader.note("after that")
        try forum.agree([reader, try forum.member("L3")])
    }

    /// The file holds a branch, and has lost changes of its own: it goes on as another incarnation.
    @Test(arguments: 0..<4)
    func `a file with branches is repaired that lost changes of its own`(turn: Int) throws {
        let lost = try branchOfTwo()
        try lost.reader.note("lost")
        let (path, environment) = (lost.reader.replica.path, lost.one.replica.environment)
        lost.reader.replica.close()
        try Shell.run(path, "DELETE FROM sy_tail")
        try Shell.run(
            path, "DELETE FROM sy_run WHERE sid = (SELECT value FROM sy_meta WHERE key = 'own')")
        _ = try Replica.repair(at: path, schema: Forum.schema, environment: environment)
        let reader = TrustedLaptop(
            replica: try Replica.open(at: path, schema: Forum.schema, environment: environment))
        try forum.sync(reader)
        try reader.note("after that")
        try forum.agree([reader, try forum.member("L3")])
        #expect(try notes(reader).filter { $0 == "edited" }.count == 3)
    }

    /// A hub that went back has cut one branch, and cuts the other one now.
    @Test(arguments: 0..<4)
    func `of branches that two cuts let count, one is left, whoever hears of them first`(
        turn: Int
    ) throws {
        let one = try forum.member("L1")
        try one.note("sent")
        try forum.sync(one)
        let two = try forum.clone(of: one, as: "copy")
        let (early, late) = (try forum.member("L2"), try forum.member("L3"))
        let both = try forum.member("L4")
        let backup = forum.folder.file("backup")
        _ = try forum.hub.backUp(to: backup)
        for number in 1...4 { try one.note("by the first \(number)") }
        for number in 1...3 { try two.note("by the second \(number)") }
        try forum.sync(one)
        for laptop in [early, late, both] { try forum.sync(laptop) }
        if turn % 2 == 0 { try both.meet(two) }
        try forum.revoke(one)
        try forum.sync(early)
        try forum.restoreHub(backup)
        try forum.sync(two)
        try forum.revoke(one)
        let new = try forum.member("L5")
        for laptop in turn < 2 ? [early, late, both] : [both, late, early] {
            try forum.sync(laptop)
        }
        for laptop in [early, late, both, new, early, late, both] { try forum.sync(laptop) }
        try forum.agree([early, late, both, new, try forum.member("L6")])
        #expect(
            try notes(new) == [
                "by the second 1", "by the second 2", "by the second 3", "sent",
            ])
    }
}
