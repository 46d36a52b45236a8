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
@Suite("Forked streams that end", .timeLimit(.minutes(10)))
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

    /// More streams than one cut can name, of which some fork.
    @Test func `all that a lost laptop's branches hold is ended where it stands`() throws {
        let one = try forum.member("L1")
        var copies: [TrustedLaptop] = []
        try one.note("sent")
        try forum.sync(one)
        for number in 0..<3 {
            let copy = try forum.clone(of: one, as: "copy \(number)")
            try copy.note("by copy \(number)")
            forum.pass(1)
            copies.append(copy)
        }
        for copy in copies { try forum.sync(copy) }
        let reader = try forum.member("L2")
        let all = try notes(reader)
        try forum.revoke(one)
        try forum.agree([reader, try forum.member("L3")])
        #expect(try notes(reader) == all)
    }
}
