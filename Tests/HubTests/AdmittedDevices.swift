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

/// What a lost laptop had recorded, and the operator lets count after all.
@Suite("Admitted changes", .timeLimit(.minutes(20)))
struct AdmittedDevices {
    private let forum: TrustedForum
    private let text = Forum.note.declared("text")

    init() throws { forum = try TrustedForum() }

    private func aside(_ replica: Replica) throws -> [QuarantinedRun] {
        try replica.quarantinedRuns()
    }

    private func notes(_ laptop: TrustedLaptop) throws -> [String] {
        try laptop.replica.query("SELECT text FROM note ORDER BY text").compactMap { row in
            if case .text(let text) = row[0] { text } else { nil }
        }
    }

    private func total(_ replica: Replica) throws -> Int64? {
        guard
            case .integer(let total)? = try replica.connection.value(
                "SELECT sum(count) FROM tally")
        else { return nil }
        return total
    }

    private func count(_ laptop: TrustedLaptop, by amount: Int64) throws {
        try laptop.replica.write { transaction in
            let item = Value.blob(Array(repeating: 7, count: 16))
            let (row, _) = try transaction.upsert(
                Forum.tally, key: [item, .text("C"), .text("door")], [])
            try transaction.count(
                Forum.tally, row, Forum.tally.declared("count"), by: amount)
        }
    }

    @Test func `what waited counts everywhere, by the name of who recorded it`() throws {
        let (lost, other) = (try forum.member("L5"), try forum.member("L1"))
        try lost.note("sent before")
        try forum.sync(lost)
        let dots = try (0..<63).map { try lost.note("unsent \($0)").dot }
        try forum.revoke(lost)
        try forum.sync(lost)
        try forum.sync(other)
        #expect(try other.replica.rowCount(of: Forum.note) == 1)

        let admitted = try forum.hub.admit(try aside(forum.hub.replica))
        #expect(admitted.map(\.changeCount) == [63])
        #expect(admitted.map(\.device) == [lost.replica.device])
        #expect(try aside(forum.hub.replica).isEmpty)
        try forum.agree([other, try forum.member("L2")])
        #expect(try other.replica.rowCount(of: Forum.note) == 64)
        for dot in dots {
            #expect(try other.replica.changeset(dot) != nil)
            #expect(other.replica.device(of: dot.stream) == lost.replica.device)
        }
        // It stays revoked, and what it brings now waits again.
        try lost.note("after that")
        #expect(try forum.sync(lost).map(\.refusal.code) == [.revoked])
        #expect(try other.replica.rowCount(of: Forum.note) == 64)
        #expect(try forum.hub.devices().filter { $0.revokedMilliseconds != nil }.count == 1)
        try forum.hub.admit(try aside(forum.hub.replica))
        try forum.agree([other])
        #expect(try other.replica.rowCount(of: Forum.note) == 65)
    }

    @Test(arguments: [false, true])
    func `what was admitted and came damaged is asked for again`(inBody: Bool) throws {
        let (lost, other) = (try forum.member("L5"), try forum.member("L1"))
        try lost.note("sent before")
        try forum.sync(lost)
        for number in 0..<3 {
            try lost.note("unsent \(number)")
            try lost.replica.seal()
        }
        try forum.revoke(lost)
        try forum.sync(lost)
        try forum.sync(other)
        try forum.hub.admit(try aside(forum.hub.replica))

        // For the laptop, they lie behind the end until it hears that they count.
        let batch = try other.replica.outgoingBatch()
        var reply = try forum.exchange(
            ExchangeRequest(
                scope: Forum.scope, cursor: batch.cursor, ahead: batch.ahead, runs: []),
            from: other.replica.publicKey)
        let place =
            try #require(
                reply.entries.firstIndex { $0.stub.stream == lost.replica.stream }) + 1
        let run = try #require(reply.entries[place].run)
        var (signature, body) = (run.signature, run.body)
        if inBody { body[3] ^= 16 } else { signature[3] ^= 16 }
        reply.entries[place] = .whole(
            try SealedRun(headerBytes: run.headerBytes, signature: signature, body: body))
        let applied = try other.replica.apply(reply, from: batch.cursor)
        #expect(applied.damage?.explanation.contains(":3 to 3 came damaged") == true)
        #expect(try aside(other.replica).map(\.run.header.firstSeq) == [2, 4])
        #expect(try other.replica.cursor() != reply.cursor)

        try forum.agree([other, try forum.member("L2")])
        #expect(try other.replica.rowCount(of: Forum.note) == 4)
        #expect(try aside(other.replica).isEmpty)
    }

    @Test func `what others had replaced doesn't come back`() throws {
        let (lost, friend, late) = (
            try forum.member("L5"), try forum.member("L1"), try forum.member("L2")
        )
        let (row, _) = try lost.note("before")
        try forum.sync(lost)
        let (later, _) = try lost.note("later")
        try lost.replica.write { try $0.set(Forum.note, row, [(text, .text("changed"))]) }
        let (untouched, _) = try lost.note("untouched")
        try friend.meet(lost)
        try forum.revoke(lost)
        for id in [row, later] {
            try friend.replica.write {
                try $0.set(Forum.note, id, [(text, .text("by a friend"))])
            }
        }
        // This one has not seen what the lost laptop made of it, and is told so.
        try forum.sync(late)
        try late.replica.write { try $0.set(Forum.note, row, [(text, .text("by another"))]) }
        try forum.sync(friend)
        try forum.sync(late)
        try forum.sync(lost)
        #expect(try aside(friend.replica).count == 1)

        try forum.hub.admit(try aside(forum.hub.replica))
        try forum.agree([friend, late, try forum.member("L3")])
        #expect(try aside(friend.replica).isEmpty)
        // It has them already, and doesn't offer them as news.
        #expect(try friend.replica.pending().count == 0)
        #expect(try notes(late).filter { $0 == "changed" || $0 == "later" }.isEmpty)
        #expect(try notes(late).contains("untouched"))
        #expect(untouched != later)
        // Only what nobody had compared is a conflict: "by a friend" and "by another".
        let open = try late.replica.openConflicts()
        #expect(open.count == 1)
    }

    /// The word comes by hand, and what was admitted behind it.
    @Test func `what others had replaced doesn't come back with what comes last`() throws {
        let (lost, friend, last) = (
            try forum.member("L5"), try forum.member("L1"), try forum.member("L2")
        )
        let (row, _) = try lost.note("before")
        for laptop in [lost, friend, last] { try forum.sync(laptop) }
        try lost.replica.write { try $0.set(Forum.note, row, [(text, .text("changed"))]) }
        let changed = try lost.seal()
        try lost.note("untouched")
        let untouched = try lost.seal()
        try friend.meet(lost)
        try forum.revoke(lost)
        try friend.replica.write { try $0.set(Forum.note, row, [(text, .text("by a friend"))]) }
        try forum.sync(friend)
        try forum.sync(last)
        try forum.sync(lost)
        // What lies behind it waits there already.
        _ = try last.replica.ingest([untouched])
        try forum.hub.admit(try aside(forum.hub.replica))
        let words = try forum.hub.replica.sealedRuns(after: last.replica.versionVector())
        _ = try last.replica.ingest(
            words.filter { $0.header.stream == forum.hub.replica.stream })
        let results = try last.replica.ingest([changed])
        #expect(results.contains { if case .applied = $0 { true } else { false } })
        #expect(try notes(last) == ["by a friend", "untouched"])
        try forum.agree([friend, last, try forum.member("L3")])
        #expect(try last.replica.openConflicts().isEmpty)
        #expect(try last.replica.pending().count == 0)
    }

    /// What a run builds on was cut off itself since, and the feed says so last.
    @Test func `what waits behind a run that waits comes with it`() throws {
        let (lost, other) = (try forum.member("L5"), try forum.member("L1"))
        try other.note("soon cut off")
        try forum.sync(other)
        let limit = forum.now
        forum.pass(60_000)
        try other.note("cut off")
        try lost.meet(other)
        try lost.note("on top")
        try lost.replica.seal()
        try lost.note("behind that")
        for laptop in [other, lost] { try forum.sync(laptop) }
        try lost.note("unsent")
        try lost.meet(other)
        try forum.revoke(lost, receivedBy: limit)
        try forum.sync(lost)
        try forum.hub.admit(try aside(forum.hub.replica))
        try forum.revoke(other, receivedBy: limit)
        let late = try forum.member("L2")
        try forum.agree([late])
        #expect(
            try notes(late) == ["behind that", "on top", "soon cut off", "unsent"])
        #expect(try aside(late.replica).allSatisfy { $0.device == other.replica.device })
    }

    /// A thief puts the laptop's disk back and writes under the numbers of what is kept aside.
    @Test func `another history of its stream does not hold up an admission`() throws {
        let (lost, other) = (try forum.member("L5"), try forum.member("L1"))
        try lost.note("before")
        for laptop in [lost, other] { try forum.sync(laptop) }
        let files = ["", "-wal", ".install"].map { suffix in
            (
                lost.replica.path + suffix,
                FileManager.default.contents(atPath: lost.replica.path + suffix)
            )
        }
        for text in ["one", "two"] { try lost.note(text) }
        try lost.replica.seal()
        try lost.note("three")
        try forum.revoke(lost)
        try forum.sync(lost)
        try forum.sync(other)
        lost.replica.close()
        for (path, content) in files {
            try? FileManager.default.removeItem(atPath: path)
            try content?.write(to: URL(filePath: path))
        }
        let thief = TrustedLaptop(
            replica: try Replica.open(
                at: lost.replica.path, schema: Forum.schema,
                environment: other.replica.environment))
        try thief.note("by the thief")
        let run = try thief.seal()
        try #require(run.header.stream == lost.replica.stream)
        for replica in [forum.hub.replica, other.replica] { _ = try replica.ingest([run]) }
        #expect(try aside(other.replica).map(\.run) == [run])

        try forum.hub.admit(try aside(forum.hub.replica).filter { $0.run != run })
        try forum.agree([other, try forum.member("L2")])
        #expect(try notes(other) == ["before", "one", "three", "two"])
        #expect(try aside(forum.hub.replica).map(\.run) == [run])
    }

    @Test func `what another process admits is in the feed from then on`() throws {
        let (lost, other) = (try forum.member("L5"), try forum.member("L1"))
        try lost.note("kept aside")
        try forum.revoke(lost)
        try forum.sync(lost)
        try forum.sync(other)
        let cursor = try other.replica.cursor()
        let operators = try HubStore(
            path: forum.folder.file("hub"), environment: forum.hub.replica.environment)
        defer { operators.close() }
        try operators.admit(try aside(operators.replica))
        // The one that serves has read nothing since.
        let entries = try forum.hub.replica.feedEntries(after: cursor, ahead: []).entries
        #expect(entries.count == 2 && entries.allSatisfy { $0.run != nil })
        try forum.agree([other])
        #expect(try notes(other) == ["kept aside"])
    }

    @Test func `a count goes on where it was`() throws {
        let (lost, friend) = (try forum.member("L5"), try forum.member("L1"))
        try count(lost, by: 3)
        try forum.sync(lost)
        try count(lost, by: 4)
        try lost.replica.seal()
        try count(lost, by: 5)
        try friend.meet(lost)
        #expect(try total(friend.replica) == 12)
        try forum.revoke(lost)
        try forum.sync(lost)
        try count(friend, by: 100)
        try forum.sync(friend)
        #expect(try total(forum.hub.replica) == 103)

        let first = try #require(try aside(forum.hub.replica).first)
        #expect(try forum.hub.admit([first]).map(\.earlierRunCount) == [0])
        #expect(try total(forum.hub.replica) == 107)
        try forum.agree([friend])
        #expect(try aside(friend.replica).count == 1)
        try forum.hub.admit(try aside(forum.hub.replica))
        #expect(try total(forum.hub.replica) == 112)
        try forum.agree([friend, try forum.member("L2")])
        #expect(try total(friend.replica) == 112)
    }

    @Test func `with one go those before it, and a cut that doesn't know of it stands`() throws {
        let (lost, friend) = (try forum.member("L5"), try forum.member("L1"))
        try lost.note("one")
        try forum.sync(lost)
        for text in ["two", "three", "four"] {
            forum.pass(1_000)
            try lost.note(text)
            try forum.sync(lost)
        }
        let limit = forum.now - 2_500
        try forum.revoke(lost, receivedBy: limit)
        try forum.sync(friend)
        #expect(try notes(friend) == ["one"])
        let kept = try aside(forum.hub.replica)
        #expect(kept.count == 3)
        #expect(try forum.hub.admit([kept[1]]).map(\.earlierRunCount) == [1])
        try forum.agree([friend])
        #expect(try notes(friend) == ["one", "three", "two"])

        // The laptop was stolen earlier than was thought.
        try forum.revoke(lost, receivedBy: 0)
        try forum.agree([friend, try forum.member("L2")])
        #expect(try notes(friend) == [])
        #expect(try aside(friend.replica).count == 3)
        let again = try aside(forum.hub.replica)
        try forum.hub.admit(again.filter { $0.run.header.lastSeq == 1 })
        try forum.agree([friend, try forum.member("L3")])
        #expect(try notes(friend) == ["one"])

        // A hub that had not heard of the admission, and ends the stream again.
        let cuts = try forum.hub.replica.cuts(of: lost.replica.device)
        #expect(cuts.allSatisfy { $0.reason == .revoked })
        #expect(throws: StoreError.self) { try forum.hub.admit(kept) }
        #expect(try forum.hub.replica.cuts(of: lost.replica.device) == cuts)
    }

    @Test func `what can't be taken is not admitted, and nothing with it`() throws {
        let (lost, other) = (try forum.member("L5"), try forum.member("L1"))
        try forum.revoke(lost)
        try lost.note("good")
        try forum.sync(lost)
        let good = try #require(try aside(forum.hub.replica).first)
        // Signed, and no changesets: what a broken build may have made.
        let broken = SealedRun(
            sealing: [1, 2, 3], stream: lost.replica.stream,
            firstSeq: good.run.header.lastSeq + 1, count: 1, previous: good.run.hash,
            dependencies: [], schemaVersion: 1,
            origin: StreamOrigin(
                publicKey: lost.replica.publicKey, scope: Forum.scope, incarnation: 0),
            key: try lost.replica.key())
        _ = try forum.exchange(lost, [broken])
        let kept = try aside(forum.hub.replica)
        #expect(kept.count == 2)
        let error = #expect(throws: StoreError.self) { try forum.hub.admit(kept) }
        #expect(error?.explanation.contains("POISON") == true, "\(error?.explanation ?? "")")
        #expect(try aside(forum.hub.replica) == kept)
        try forum.hub.admit([good])
        try forum.agree([other])
        #expect(try notes(other) == ["good"])
    }

    @Test func `skipped runs stay, and can be admitted later`() throws {
        let lost = try forum.member("L5")
        try forum.revoke(lost)
        try lost.note("later")
        try forum.sync(lost)
        let kept = try aside(forum.hub.replica)
        try forum.hub.skip(kept)
        #expect(try forum.hub.isSkipped(kept[0]))
        #expect(try aside(forum.hub.replica) == kept)
        try forum.hub.admit(kept)
        #expect(try forum.hub.replica.rowCount(of: Forum.note) == 1)
    }

    @Test func `a repaired laptop knows what was admitted`() throws {
        let (lost, friend) = (try forum.member("L5"), try forum.member("L1"))
        try lost.note("sent")
        try forum.sync(lost)
        try lost.note("unsent")
        try friend.meet(lost)
        try forum.revoke(lost)
        try forum.sync(lost)
        try forum.sync(friend)
        try forum.hub.admit(try aside(forum.hub.replica))
        try forum.sync(friend)
        let (path, environment) = (friend.replica.path, friend.replica.environment)
        friend.replica.close()
        _ = try Replica.repair(at: path, schema: Forum.schema, environment: environment)
        let repaired = TrustedLaptop(
            replica: try Replica.open(at: path, schema: Forum.schema, environment: environment))
        try forum.agree([repaired])
        #expect(try notes(repaired) == ["sent", "unsent"])
    }

    @Test func `a laptop that holds only a part of it aside gets the rest`() throws {
        let (lost, friend) = (try forum.member("L5"), try forum.member("L1"))
        try lost.note("sent")
        try forum.sync(lost)
        try forum.revoke(lost)
        try forum.sync(friend)
        for text in ["one", "two", "three"] {
            try lost.note(text)
            try lost.replica.seal()
        }
        let runs = try lost.replica.sealedRuns(after: VersionVector()).suffix(3)
        // A courier lost the first of them.
        for run in runs.dropFirst() {
            let result = try friend.replica.ingest([run])
            guard case .setAside = result[0] else { throw StoreError.invalid("\(result)") }
        }
        try forum.sync(lost)
        try forum.hub.admit(try aside(forum.hub.replica))
        try forum.agree([friend])
        #expect(try aside(friend.replica) == [])
        #expect(try notes(friend) == ["one", "sent", "three", "two"])
    }

    /// Until all that a repair lost is here again, no stream goes further than was noted.
    @Test func `a laptop with holes takes it when they are closed`() throws {
        let (lost, friend) = (try forum.member("L5"), try forum.member("L1"))
        try forum.revoke(lost)
        try lost.note("later")
        try forum.sync(lost)
        try forum.sync(friend)
        try forum.hub.admit(try aside(forum.hub.replica))
        // As a repair leaves it.
        try friend.replica.transaction {
            try friend.replica.connection.run("INSERT INTO sy_meta VALUES('holes', 1)")
        }
        try forum.sync(friend)
        try forum.agree([friend])
        #expect(try notes(friend) == ["later"])
    }

    @Test(arguments: 0..<60)
    func `whatever the order, all agree, and admitted work is there`(_ seed: UInt64) throws {
        var day = DayWithALoss(forum, seed: 4_000 + seed, admits: true)
        try day.run()
    }
}
