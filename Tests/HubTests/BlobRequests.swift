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

/// Photos at a hub: who may have which, and what becomes of them.
@Suite("Blobs", .timeLimit(.minutes(20)))
struct BlobRequests {
    private let forum: TrustedForum
    private static let (kz, uz) = ("delegation/KZ", "delegation/UZ")

    init() throws { forum = try TrustedForum() }

    /// The hub as a port, for one device.
    private final class Line: BlobHubPort {
        let hub: HubStore
        let key: [UInt8]

        init(_ hub: HubStore, _ laptop: TrustedLaptop) {
            (self.hub, key) = (hub, laptop.replica.publicKey)
        }

        func blobs(_ request: BlobRequest) throws(TransportFailure) -> BlobReply? {
            do {
                return try BlobReply(
                    decoding: hub.blobs(BlobRequest(decoding: request.encode()), from: key).encode()
                )
            } catch let refusal as Refusal {
                throw .refused(refusal)
            } catch {
                throw .notOurHub("\(error)")
            }
        }
    }

    @discardableResult
    private func move(
        _ laptop: TrustedLaptop, _ extent: BlobDriver.Extent = .sendAndFetch
    ) throws -> BlobDriver.Progress {
        let driver = BlobDriver(port: ReplicaBlobs(laptop.replica), hub: Line(forum.hub, laptop))
        let (outcome, progress) = try driver.run(extent)
        #expect(outcome == .completed)
        return progress
    }

    private func holding(
        _ name: BlobName, for laptop: TrustedLaptop, from offset: UInt64? = 0
    ) throws -> BlobReply.Holding? {
        let request = BlobRequest(asks: [BlobRequest.Ask(name, from: offset)])
        let reply = try forum.hub.blobs(request, from: laptop.replica.publicKey)
        return reply.holdings[0]
    }

    private func offer(
        _ bytes: [UInt8], as name: BlobName, from laptop: TrustedLaptop, size: UInt64? = nil
    ) throws -> Refusal.Code? {
        let part = BlobPart(
            name: name, size: size ?? UInt64(bytes.count), offset: 0, bytes: bytes)
        let reply = try forum.hub.blobs(BlobRequest(part: part), from: laptop.replica.publicKey)
        guard case .refused(let refusal)? = reply.taken else { return nil }
        return refusal.code
    }

    @Test func `who may read a scope has its photos, and nobody else`() throws {
        let office = try forum.office()
        let (ofKZ, ofAll) = (TrustedForum.photo(300_000, 1), TrustedForum.photo(1_000, 2))
        let theirs = try forum.add(ofKZ, to: Forum.visit, TrustedForum.visit("KZ"), at: office).name
        let everybodys = try forum.add(
            ofAll, to: Forum.person, TrustedForum.person("KZ-001"), at: office
        ).name
        #expect(theirs.scope == Self.kz && everybodys.scope == Forum.scope)
        try forum.sync(office)
        #expect(try move(office).sentCount == 2)
        for (number, (role, scopes, sees)) in [
            ("coordinator", [], true), ("recorder", [Self.kz], true), ("viewer", [Self.kz], true),
            ("viewer", [], true), ("lead", [Self.uz], false), ("viewer", [Forum.scope], false),
        ].enumerated() {
            let laptop = try forum.member("L\(number)", as: role, for: scopes)
            #expect(try holding(everybodys, for: laptop)?.bytes == ofAll)
            #expect(try (holding(theirs, for: laptop) != nil) == sees, "\(role) \(scopes)")
            #expect(try move(laptop).receivedCount == (sees ? 2 : 1))
            #expect(laptop.replica.blobs.entries().count == (sees ? 2 : 1))
        }
        // Nobody learns more by another scope's name, or by a digest.
        let lead = try forum.member("UZ", as: "lead", for: [Self.uz])
        for scope in [Forum.scope, Self.uz, "delegation/AZ", "*", ""] {
            #expect(try holding(BlobName(scope: scope, digest: theirs.digest), for: lead) == nil)
        }
        // A record of his own that names what he hasn't got opens nothing either.
        try lead.replica.write { transaction in
            try transaction.upsert(
                Forum.photo,
                key: [
                    .integer(Int64(Forum.visit.id)),
                    .blob(TrustedForum.visit("UZ").identifier.bytes),
                    .blob(theirs.digest.bytes),
                ], [])
        }
        try forum.sync(lead)
        #expect(try holding(BlobName(scope: Self.uz, digest: theirs.digest), for: lead) == nil)
        #expect(try holding(theirs, for: lead) == nil)
        #expect(try move(lead).lackingCount == 1)
    }

    @Test func `a stranger is refused whatever it asks`() throws {
        let office = try forum.office()
        let name = try forum.add(
            TrustedForum.photo(9, 1), to: Forum.person, TrustedForum.person("KZ-001"), at: office
        ).name
        try forum.sync(office)
        try move(office)
        let stranger = try forum.laptop("stranger")
        for request in [
            BlobRequest(), BlobRequest(asks: [BlobRequest.Ask(name)]),
            BlobRequest(
                part: BlobPart(name: name, size: 9, offset: 0, bytes: TrustedForum.photo(9, 1))),
        ] {
            do {
                _ = try forum.hub.blobs(request, from: stranger.replica.publicKey)
                Issue.record("answered")
            } catch let refusal as Refusal {
                #expect(refusal.code == .revoked)
            }
        }
    }

    @Test func `a laptop that was revoked gets nothing, and what it took can be admitted`() throws {
        let office = try forum.office()
        let everybodys = try forum.add(
            TrustedForum.photo(90, 3), to: Forum.person, TrustedForum.person("KZ-001"), at: office
        )
        .name
        try forum.sync(office)
        try move(office)
        let lost = try forum.member("lost", for: [])
        let bytes = TrustedForum.photo(300_000, 4)
        let name = try forum.add(bytes, to: Forum.visit, TrustedForum.visit("KZ"), at: lost).name
        try forum.revoke(lost)
        let batch = try lost.replica.outgoingBatch(of: Self.kz, asksForBodies: false)
        _ = try forum.exchange(lost, batch.runs, in: Self.kz)
        #expect(try holding(everybodys, for: lost) == nil)
        #expect(try move(lost, .send).sentCount == 1)
        // It lies there, and counts nowhere.
        #expect(try holding(name, for: lost) == nil && holding(name, for: office) == nil)
        let kept = try forum.hub.replica.quarantinedRuns()
        try forum.hub.admit(kept)
        #expect(try holding(name, for: office)?.size == 300_000)
        try forum.sync(office)
        #expect(try move(office).receivedCount == 1)
    }

    @Test func `an erasure takes what runs name that count nowhere`() throws {
        let office = try forum.office()
        let lost = try forum.member("lost", for: [])
        forum.pass(1_000)
        let before = forum.now
        forum.pass(1_000)
        let portrait = try forum.add(
            TrustedForum.photo(5_000, 5), to: Forum.person, TrustedForum.person("KZ-001"), at: lost
        )
        .name
        let hall = try forum.add(
            TrustedForum.photo(6_000, 6), to: Forum.visit, TrustedForum.visit("KZ"), at: lost
        ).name
        try forum.sync(lost)
        try move(lost)
        try forum.sync(office)
        #expect(try move(office).receivedCount == 2)
        // It is taken out of the state, from before it took them on.
        try forum.revoke(lost, receivedBy: before)
        try forum.sync(office)
        #expect(try office.replica.namedBlobs().isEmpty)
        try office.replica.write { transaction in
            try transaction.upsert(
                Forum.erasure, key: [.blob(TrustedForum.person("KZ-001").identifier.bytes)], [])
        }
        for _ in 0..<2 {
            try forum.sync(office)
            try office.replica.emptyFreePages()
        }
        for replica in [forum.hub.replica, office.replica] {
            #expect(replica.blobs.entries().map(\.name) == [hall], "\(replica.path)")
        }
        #expect(try offer(TrustedForum.photo(5_000, 5), as: portrait, from: office) == .scope)
    }

    @Test func `nobody spoils what another brings, or learns of it`() throws {
        let office = try forum.office()
        let bytes = TrustedForum.photo(600_000, 7)
        let name = try forum.add(bytes, to: Forum.visit, TrustedForum.visit("KZ"), at: office).name
        try forum.sync(office)
        let other = try forum.member("UZ", as: "recorder", for: [Self.uz])
        func bring(_ range: Range<Int>, _ laptop: TrustedLaptop, size: Int = 600_000) throws
            -> UInt64?
        {
            let part = BlobPart(
                name: name, size: UInt64(size), offset: UInt64(range.lowerBound),
                bytes: Array(bytes[range]))
            let reply = try forum.hub.blobs(BlobRequest(part: part), from: laptop.replica.publicKey)
            guard case .held(let holding)? = reply.taken else { return nil }
            return holding.held
        }
        #expect(try bring(0..<250_000, office) == 250_000)
        #expect(try bring(0..<1, other, size: 1) == nil)
        #expect(try bring(0..<9, other) == 9)
        #expect(try holding(name, for: office)?.held == 250_000)
        #expect(try bring(250_000..<500_000, office) == 500_000)
        #expect(try bring(500_000..<600_000, office) == 600_000)
        // To him it is as it was: until he has brought all of it.
        #expect(try holding(name, for: other) == nil)
        #expect(try bring(9..<200_000, other) == 200_000)
        #expect(try bring(200_000..<400_000, other) == 400_000)
        #expect(try bring(400_000..<600_000, other) == 600_000)
        #expect(try bring(0..<9, office) == 600_000)
        #expect(try holding(name, for: office, from: 599_990)?.bytes == Array(bytes.suffix(10)))
        #expect(forum.hub.replica.blobs.entries().count == 1)
    }

    @Test func `the hub takes what a record names, byte for byte, and nothing else`() throws {
        let office = try forum.office()
        let bytes = TrustedForum.photo(1_000, 3)
        let name = try forum.add(bytes, to: Forum.visit, TrustedForum.visit("KZ"), at: office).name
        // Before the record is there.
        #expect(try offer(bytes, as: name, from: office) == .scope)
        try forum.sync(office)
        let elsewhere = BlobName(scope: Forum.scope, digest: name.digest)
        #expect(try offer(bytes, as: elsewhere, from: office) == .scope)
        #expect(try offer(bytes, as: name, from: office, size: Limits.blobBytes + 1) == .tooLarge)
        #expect(try offer(TrustedForum.photo(1_000, 4), as: name, from: office) == .poison)
        #expect(forum.hub.replica.blobs.entries().isEmpty)
        // A viewer of another scope that shows the bytes may bring them: he learns nothing by it.
        let other = try forum.member("UZ", as: "viewer", for: [Self.uz])
        #expect(try offer(bytes, as: name, from: other) == nil)
        #expect(try holding(name, for: office)?.bytes == bytes)
        #expect(try holding(name, for: other) == nil)
    }

    @Test func `one range's room is shared by all that is asked for`() throws {
        let office = try forum.office()
        let sizes = [200_000, 100_000, 9]
        let names = try sizes.enumerated().map { number, size in
            try forum.add(
                TrustedForum.photo(size, UInt8(number)), to: Forum.person,
                TrustedForum.person("KZ-001"), at: office
            ).name
        }
        try forum.sync(office)
        try move(office)
        let request = BlobRequest(asks: names.map { BlobRequest.Ask($0, from: 0) })
        let reply = try forum.hub.blobs(request, from: office.replica.publicKey)
        #expect(reply.holdings.map { $0?.bytes.count } == [200_000, 62_144, 0])
        #expect(reply.holdings.allSatisfy { $0?.isWhole == true })
        // Nothing lies behind the end, and of what isn't asked for in bytes none come.
        let size = UInt64(sizes[0])
        #expect(try holding(names[0], for: office, from: size - 1)?.bytes.count == 1)
        #expect(try holding(names[0], for: office, from: size)?.bytes == [])
        #expect(try holding(names[0], for: office, from: .max)?.bytes == [])
        #expect(try holding(names[0], for: office, from: nil)?.bytes == [])
    }

    @Test func `an erasure takes the photos of whom it is about, wherever they lie`() throws {
        let office = try forum.office()
        let other = try forum.member("L2", for: [])
        let (portrait, group) = (TrustedForum.photo(70_000, 5), TrustedForum.photo(80_000, 6))
        let person = TrustedForum.person("KZ-001")
        let ofHer = try forum.add(portrait, to: Forum.person, person, at: office)
        let ofVisit = try forum.add(group, to: Forum.visit, TrustedForum.visit("KZ"), at: office)
            .name
        // A hidden record names one too; the same bytes are of somebody else as well, and stay.
        let hidden = try forum.add(TrustedForum.photo(500, 7), to: Forum.person, person, at: office)
        let shared = try forum.add(TrustedForum.photo(600, 8), to: Forum.person, person, at: office)
            .name
        try office.replica.write { transaction in
            try transaction.upsert(Forum.site, key: [.text("S1")], [])
        }
        let site = Forum.schema.rowID(in: Forum.site, key: [.text("S1")])
        try forum.add(TrustedForum.photo(600, 8), to: Forum.site, site, at: office)
        try office.replica.write { try $0.delete(Forum.photo, hidden.row) }
        try forum.sync(office)
        try move(office)
        try forum.sync(other)
        #expect(try move(other).receivedCount == 3)
        // What is half there goes too.
        let half = try forum.add(
            TrustedForum.photo(300_000, 9), to: Forum.person, person, at: office
        ).name
        try forum.sync(office)
        let part = BlobPart(
            name: half, size: 300_000, offset: 0,
            bytes: Array(TrustedForum.photo(300_000, 9).prefix(1_000)))
        _ = try forum.hub.blobs(BlobRequest(part: part), from: office.replica.publicKey)
        #expect(
            forum.hub.replica.blobs.part(half, from: office.replica.device.description)?.held
                == 1_000)

        try office.replica.write { transaction in
            try transaction.upsert(
                Forum.erasure, key: [.blob(person.identifier.bytes)], [])
        }
        for laptop in [office, other, office] {
            try forum.sync(laptop)
            try laptop.replica.emptyFreePages()
        }
        for replica in [forum.hub.replica, office.replica, other.replica] {
            let left = Set(replica.blobs.entries().map(\.name))
            #expect(left == [ofVisit, shared], "\(replica.path)")
        }
        // Nobody brings it back.
        #expect(try offer(portrait, as: ofHer.name, from: other) == .scope)
        #expect(try holding(ofHer.name, for: other) == nil)
        let standing = try other.replica.blobStanding()
        #expect(standing.lacking.isEmpty && standing.unsent.isEmpty)
        // Also when an earlier build of the hub had carried it out.
        let scope = URL(filePath: forum.hub.replica.blobs.path).appending(path: "forum")
        try Data(portrait).write(to: scope.appending(path: ofHer.name.digest.description))
        try forum.whileClosed { _ in }
        #expect(Set(forum.hub.replica.blobs.entries().map(\.name)) == [ofVisit, shared])
    }

    @Test func `what a deleted record named stays, and comes back with it`() throws {
        let office = try forum.office()
        let (name, row) = try forum.add(
            TrustedForum.photo(900, 1), to: Forum.visit, TrustedForum.visit("KZ"), at: office)
        try forum.sync(office)
        try move(office)
        try office.replica.write { try $0.delete(Forum.photo, row) }
        try forum.sync(office)
        #expect(try holding(name, for: office) == nil)
        #expect(try office.replica.blobStanding().heldCount == 0)
        try forum.add(
            TrustedForum.photo(900, 1), to: Forum.visit, TrustedForum.visit("KZ"), at: office)
        try forum.sync(office)
        #expect(try holding(name, for: office)?.size == 900)
        #expect(try office.replica.blobStanding().heldCount == 1)
    }

    @Test func `a scope that is lost goes once its photos are with the hub`() throws {
        let office = try forum.office()
        let lead = try forum.member("KZ", as: "lead", for: [Self.kz])
        let bytes = TrustedForum.photo(5_000, 1)
        let name = try forum.add(bytes, to: Forum.visit, TrustedForum.visit("KZ"), at: lead).name
        try forum.sync(lead)
        let device = try #require(
            try forum.hub.devices().first { $0.device == lead.replica.device.description })
        _ = try forum.hub.grant(device, scopes: [Self.uz], role: nil)
        for _ in 0..<3 { try forum.sync(lead) }
        #expect(try !lead.replica.readableScopes().contains(Self.kz))
        #expect(try lead.replica.dropUnreadableScopes().isEmpty)
        #expect(lead.replica.blobs.entries().map(\.name) == [name])
        #expect(try move(lead, .send).sentCount == 1)
        #expect(try lead.replica.dropUnreadableScopes() == [Self.kz])
        #expect(lead.replica.blobs.entries().isEmpty)
        #expect(try holding(name, for: office)?.bytes == bytes)
    }

    @Test func `a hub that went back in time is offered again what it lost`() throws {
        let office = try forum.office()
        let backup = forum.folder.file("backup")
        _ = try forum.hub.backUp(to: backup)
        let bytes = TrustedForum.photo(40_000, 2)
        let name = try forum.add(bytes, to: Forum.visit, TrustedForum.visit("KZ"), at: office).name
        try forum.sync(office)
        #expect(try move(office).sentCount == 1)
        try forum.restoreHub(backup)
        // Its disk is another one.
        try FileManager.default.removeItem(atPath: forum.hub.replica.blobs.path)
        for _ in 0..<2 { try forum.sync(office) }
        #expect(try move(office).sentCount == 1)
        #expect(try holding(name, for: office)?.bytes == bytes)
    }
}
