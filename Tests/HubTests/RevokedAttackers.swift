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

/// Laptops that were revoked, and that bring whatever they like.
@Suite("Revoked devices that attack", .timeLimit(.minutes(20)))
struct RevokedAttackers {
    private let forum: TrustedForum
    private let text = Forum.note.declared("text")
    init() throws { forum = try TrustedForum() }

    private func junk(
        _ laptop: TrustedLaptop, incarnation: UInt64, firstSeq: UInt64 = 1, count: Int = 1,
        bytes: Int = 0, previous: Digest? = nil
    ) throws -> SealedRun {
        let origin = StreamOrigin(
            publicKey: laptop.replica.publicKey, scope: Forum.scope, incarnation: incarnation)
        var random = SplitMix64(seed: incarnation &* 1000 &+ firstSeq)
        let body = (0..<bytes).map { _ in UInt8(random.below(256)) }
        return SealedRun(
            sealing: body, stream: origin.stream, firstSeq: firstSeq, count: count,
            previous: previous, dependencies: [], schemaVersion: 1, origin: origin,
            key: try laptop.replica.key())
    }

    @Test func `a full hub refuses nothing that nobody counted as sent`() throws {
        let (lost, friend) = (try forum.member("L5"), try forum.member("L1"))
        try forum.revoke(lost)
        try forum.sync(friend)
        for number in 0..<132 {
            _ = try forum.exchange(
                lost, [try junk(lost, incarnation: 7_000 + UInt64(number), bytes: 520_000)])
        }
        // The friend meets it, with a stream that the hub has not been brought.
        let run = try junk(lost, incarnation: 99_999, count: 3, bytes: 520_000)
        let kept = try friend.replica.ingest([run])
        if case .setAside = kept[0] {} else { Issue.record("\(kept)") }
        try friend.note("mine")
        let batch = try friend.replica.outgoingBatch()
        let reply = try forum.exchange(friend, batch.runs)
        let refused = batch.runs.filter { run in
            reply.rejections.contains { $0.run == RunStub(run) }
        }
        let refusedCount = refused.reduce(0) { $0 + UInt64($1.header.count) }
        #expect(batch.changesetCount >= refusedCount, "SyncSession.take traps here")
    }

    @Test func `after many streams, one that somebody built on is named all the same`() throws {
        let (lost, friend, third) = (
            try forum.member("L5"), try forum.member("L1"), try forum.member("L2")
        )
        try forum.revoke(lost)
        _ = try forum.exchange(
            lost, try (0..<460).map { try junk(lost, incarnation: 7_000 + UInt64($0)) })
        let again = try forum.copy(of: lost, as: "again")
        let (row, _) = try again.note("from elsewhere")
        try friend.meet(again)
        #expect(try friend.replica.rowCount(of: Forum.note) == 1)
        try friend.replica.write {
            try $0.set(Forum.note, row, [(text, .text("on top"))])
        }
        #expect(try forum.sync(friend).isEmpty)
        let dot = try friend.note("the next day").dot
        #expect(try forum.sync(friend).isEmpty)
        try forum.agree([friend, third])
        #expect(try third.replica.changeset(dot) != nil)
    }

    @Test func `more kept aside than a batch holds back nothing`() throws {
        let (lost, friend) = (try forum.member("L5"), try forum.member("L1"))
        try forum.revoke(lost)
        _ = try forum.exchange(
            lost, try (0..<460).map { try junk(lost, incarnation: 7_000 + UInt64($0)) })
        try forum.sync(friend)
        let runs = try (0..<3).map {
            try junk(lost, incarnation: 90_000 + UInt64($0), bytes: 500_000)
        }
        _ = try friend.replica.ingest(runs)
        let dot = try friend.note("mine").dot
        do { try forum.sync(friend) } catch { Issue.record("\(error)") }
        #expect(try forum.hub.replica.changeset(dot) != nil)
    }

    @Test func `what waited behind a gap is kept aside when its device is revoked`() throws {
        let (lost, friend) = (try forum.member("L5"), try forum.member("L1"))
        try forum.sync(friend)
        try lost.note("never sent")
        let run = try lost.seal()
        // As a repair leaves it.
        try friend.replica.transaction {
            try friend.replica.connection.run(
                """
                INSERT INTO sy_quar(scope, stream, last_seq, received, reason, head, sig, body)
                VALUES(?, ?, ?, ?, ?, ?, ?, ?)
                """, .text(Forum.scope), .blob(run.header.stream.identifier.bytes),
                .integer(Int64(run.header.lastSeq)), .integer(1), .text("GAP: it waits"),
                .blob(run.headerBytes), .blob(run.signature), .blob(run.body))
        }
        #expect(try friend.replica.quarantinedRuns().count == 1)
        try forum.revoke(lost)
        try forum.sync(friend)
        #expect(try friend.replica.quarantinedRuns().count == 1, "the run is gone")
    }

    @Test func `a revoked device isn't told where others stand`() throws {
        let (lost, friend) = (try forum.member("L5"), try forum.member("L1"))
        try forum.revoke(lost)
        for number in 0..<7 { try friend.note("\(number)") }
        try forum.sync(friend)
        let origin = StreamOrigin(
            publicKey: lost.replica.publicKey, scope: Forum.scope, incarnation: 3)
        let run = SealedRun(
            sealing: [], stream: friend.replica.stream, firstSeq: 100, count: 1,
            previous: Digest(.run, [1]), dependencies: [], schemaVersion: 1, origin: origin,
            key: try lost.replica.key())
        let reply = try forum.exchange(lost, [run])
        #expect(reply.heads.allSatisfy { $0.lastSeq == 0 || $0.lastSeq == 100 })
    }

    @Test func `a cut that came before the enrolment counts from then on`() throws {
        let (lost, friend) = (try forum.member("L5"), try forum.member("L1"))
        try lost.note("kept")
        try forum.sync(lost)
        forum.pass(60_000)
        try lost.note("forged")
        try forum.sync(lost)
        let late = try forum.laptop("late")
        try late.meet(lost)
        try forum.revoke(lost, receivedBy: forum.now - 1)
        try forum.sync(friend)
        try late.meet(friend)
        try late.replica.setHubLink(.test, membership: try forum.enrol(late, as: "coordinator"))
        try forum.sync(late)
        try forum.agree([late, friend])
    }

    @Test func `a device of more streams than a cut names is revoked whole`() throws {
        let (lost, friend) = (try forum.member("L5"), try forum.member("L1"))
        var random = SplitMix64(seed: 5)
        func long(_ count: Int) -> String {
            String(
                (0..<count).map { _ in
                    Character(Unicode.Scalar(UInt32(33 + random.below(90)))!)
                })
        }
        for number in 0..<475 {
            let again = try forum.copy(of: lost, as: "copy\(number)")
            try again.note(long(100))
            let run = try again.seal()
            let reply = try forum.exchange(lost, [run])
            #expect(reply.rejections.isEmpty)
            again.replica.close()
            for suffix in ["", "-wal", ".key"] {
                try? FileManager.default.removeItem(
                    atPath: forum.folder.file("copy\(number)") + suffix)
            }
        }
        try forum.sync(friend)
        try friend.note("seen them all")
        try forum.sync(friend)
        try forum.revoke(lost, receivedBy: 0)
        try forum.sync(friend)
        let dot = try friend.note(long(100)).dot
        do { try forum.sync(friend) } catch { Issue.record("friend: \(error)") }
        #expect(try forum.hub.replica.changeset(dot) != nil, "the friend is stranded")
        let late = try forum.member("late")
        try forum.agree([friend, late])
    }

    @Test func `a repair brings back nothing that was cut off`() throws {
        let (lost, friend) = (try forum.member("L5"), try forum.member("L1"))
        var random = SplitMix64(seed: 1)
        for _ in 0..<60 {
            let text = String(
                (0..<1_200).map { _ in
                    Character(Unicode.Scalar(UInt32(33 + random.below(90)))!)
                })
            try lost.note(text)
            try forum.sync(lost)
        }
        try forum.sync(friend)
        #expect(try friend.replica.rowCount(of: Forum.note) == 60)
        // A log that SQLite would not read to its end was kept beside, before the cut.
        try FileManager.default.copyItem(
            atPath: friend.replica.path + "-wal", toPath: friend.replica.path + "-wal.lost-1")
        try forum.revoke(lost, receivedBy: 0)
        try forum.sync(friend)
        #expect(try friend.replica.rowCount(of: Forum.note) == 0)
        let environment = friend.replica.environment
        let path = friend.replica.path
        friend.replica.close()
        _ = try Replica.repair(at: path, schema: Forum.schema, environment: environment)
        let again = TrustedLaptop(
            replica: try Replica.open(at: path, schema: Forum.schema, environment: environment))
        #expect(try again.replica.rowCount(of: Forum.note) == 0)
        #expect(try again.replica.verify().problems == [])
        try forum.sync(again)
        #expect(try again.replica.stateHash() == forum.hub.replica.stateHash())
        #expect(try again.replica.verify().problems == [])
    }
}
