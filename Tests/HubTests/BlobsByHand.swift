import AntiEntropy
import Bundles
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

/// Photos on sticks, and between laptops that meet without a hub.
@Suite("Blobs by hand", .timeLimit(.minutes(20)))
struct BlobsByHand {
    private let forum: TrustedForum
    private static let (kz, uz) = ("delegation/KZ", "delegation/UZ")

    init() throws { forum = try TrustedForum() }

    private func recipient(_ other: TrustedLaptop, at replica: Replica) throws -> BundleRecipient {
        try #require(
            try replica.bundleRecipients().first { $0.device == other.replica.device })
    }

    /// - Returns: the files' paths.
    private func export(
        _ from: TrustedLaptop, for other: TrustedLaptop?, _ name: String,
        _ blobs: BundledBlobs = .all, limitBytes: UInt64 = Limits.bundleBytes
    ) throws -> [String] {
        let whom =
            try other.map { try recipient($0, at: from.replica) }
            ?? from.replica.bundleRecipient(named: "hub")
        return try BundleExchange(from.replica).write(
            to: forum.folder.file(name), for: whom, blobs: blobs, limitBytes: limitBytes
        ).files.map(\.path)
    }

    private func exportHub(
        for laptop: TrustedLaptop, _ name: String, _ blobs: BundledBlobs = .none
    ) throws -> String {
        let store = forum.hub
        let whom = try store.bundleRecipient(recipient(laptop, at: store.replica))
        let path = forum.folder.file(name)
        _ = try BundleExchange(store.replica).write(
            to: path, for: whom, blobs: blobs, epoch: try store.replica.feedEnd().epoch)
        return path
    }

    private func bring(
        _ path: String, to laptop: TrustedLaptop
    ) throws -> BundleExchange.BlobTally {
        try BundleExchange(laptop.replica).read(path).blobs
    }

    private func bringToHub(_ path: String) throws -> BundleExchange.BlobTally {
        let taken = try BundleExchange(forum.hub.replica).read(
            path, take: { try forum.hub.take($0) }, wanted: { try forum.hub.wantedBlobs() })
        try forum.hub.decide(after: taken.list)
        return taken.blobs
    }

    private func bytes(_ name: BlobName, at replica: Replica) throws -> [UInt8]? {
        guard replica.blobs.file(holding: name) != nil else { return nil }
        return try replica.blobs.bytes(of: name, from: 0, count: Int(Limits.blobBytes))
    }

    /// An office with two photos, of a visit and of a person; the records are with the hub.
    private func photographed() throws -> (
        office: TrustedLaptop, visit: BlobName, person: BlobName
    ) {
        let office = try forum.office()
        let visit = try forum.add(
            TrustedForum.photo(700_000, 1), to: Forum.visit, TrustedForum.visit("KZ"), at: office)
        let person = try forum.add(
            TrustedForum.photo(1_000, 2), to: Forum.person, TrustedForum.person("KZ-001"),
            at: office)
        return (office, visit.name, person.name)
    }

    // MARK: Sticks

    @Test func `photos go to the hub on a stick, and it tells in another that they came`() throws {
        let (office, visit, person) = try photographed()
        let stick = try export(office, for: nil, "monday", .unsent)
        let taken = try bringToHub(stick[0])
        #expect(taken.newCount == 2 && taken.newBytes == 701_000)
        for name in [visit, person] {
            #expect(try bytes(name, at: forum.hub.replica) == bytes(name, at: office.replica))
        }
        #expect(try bringToHub(stick[0]) == BundleExchange.BlobTally(knownCount: 2))
        #expect(try office.replica.blobStanding().unsent.count == 2, "nobody has told it yet")
        let back = try exportHub(for: office, "back")
        #expect(try bring(back, to: office).confirmedCount == 2)
        #expect(try office.replica.blobStanding().unsent.isEmpty)
        #expect(try bring(back, to: office).confirmedCount == 0)
        // What has arrived goes onto no further stick, unless it is asked for.
        #expect(try bringToHub(try export(office, for: nil, "tuesday", .unsent)[0]).knownCount == 0)
        #expect(try bringToHub(try export(office, for: nil, "all")[0]).knownCount == 2)
    }

    @Test func `whom a bundle is for gets the photos of what it may read, and carries them on`()
        throws
    {
        let (office, visit, person) = try photographed()
        try forum.sync(office)
        let lead = try forum.member("UZ", as: "lead", for: [Self.uz])
        let friend = try forum.member("L2", for: [])
        try forum.sync(office)
        let some = try bring(try export(office, for: lead, "lead")[0], to: lead)
        #expect(some.newCount == 1 && some.unnamedCount == 0)
        #expect(lead.replica.blobs.entries().map(\.name) == [person])
        #expect(try bring(try export(office, for: friend, "friend")[0], to: friend).newCount == 2)
        #expect(try bring(try export(office, for: friend, "none", .none)[0], to: friend) == .init())
        // The hub isn't known to have it by that.
        #expect(
            try friend.replica.blobStanding().unsent.map(\.name).sorted()
                == [visit, person].sorted())
        #expect(try bringToHub(try export(friend, for: nil, "on", .unsent)[0]).newCount == 2)
        // And the hub gives them back.
        let other = try forum.member("L3", for: [])
        #expect(try bring(try exportHub(for: other, "by the hub", .all), to: other).newCount == 2)
        #expect(try bytes(visit, at: other.replica) == TrustedForum.photo(700_000, 1))
        let second = try forum.member("UZ 2", as: "lead", for: [Self.uz])
        #expect(
            try bring(try exportHub(for: second, "by the hub too", .all), to: second).newCount == 1)
        #expect(second.replica.blobs.entries().map(\.name) == [person])
    }

    @Test func `a photo lies in one file where it has room, and in several where none has`() throws
    {
        let (office, _, _) = try photographed()
        let large = try forum.add(
            TrustedForum.photo(2_500_000, 3), to: Forum.person, TrustedForum.person("KZ-001"),
            at: office
        ).name
        try forum.sync(office)
        let files = try export(office, for: nil, "series", limitBytes: 1 << 20)
        #expect(files.count >= 4)
        for file in files {
            let size = try #require(
                FileManager.default.attributesOfItem(atPath: file)[.size] as? UInt64)
            #expect(size <= 1 << 20, "\(file)")
        }
        // In another order the large one isn't whole; read again it is.
        var tallies = try files.reversed().map(bringToHub)
        #expect(tallies.reduce(0) { $0 + $1.newCount } == 2)
        #expect(try bytes(large, at: forum.hub.replica) == nil)
        tallies = try files.map(bringToHub)
        #expect(tallies.reduce(0) { $0 + $1.newCount } == 1)
        #expect(try bytes(large, at: forum.hub.replica) == TrustedForum.photo(2_500_000, 3))
    }

    @Test func `what a disk has no room for keeps no change back`() throws {
        let (office, _, _) = try photographed()
        let friend = try forum.member("L2", for: [])
        try forum.sync(office)
        let file = try export(office, for: friend, "stick")[0]
        // Nobody can make a folder there.
        let place = friend.replica.blobs.path
        try Data().write(to: URL(filePath: place))
        let taken = try BundleExchange(friend.replica).read(file)
        #expect(taken.blobProblem != nil && taken.blobs.newCount == 0)
        #expect(try friend.replica.stateHash() == office.replica.stateHash())
        try FileManager.default.removeItem(atPath: place)
        let again = try BundleExchange(friend.replica).read(file)
        #expect(again.blobProblem == nil && again.blobs.newCount == 2)
    }

    /// A bundle by hand: what a device signs that says whatever it likes.
    private func bundle(
        _ name: String, by sender: TrustedLaptop, to recipient: DeviceKey, _ pieces: [BlobPart],
        _ holdings: [BlobHoldings] = [], epoch: Identifier? = nil
    ) throws -> String {
        let root = try #require(try sender.replica.membership()?.anchor.root)
        let path = forum.folder.file(name)
        let list = BundleList(schemaVersion: Forum.schema.version, epoch: epoch, scopes: [])
        let output = try BundleOutput(
            path: path, limitBytes: Limits.bundleBytes, key: sender.replica.key(), root: root,
            madeMilliseconds: 0,
            recipients: [
                BundleOutput.Recipient(
                    device: recipient.device, encryptionKey: recipient.encryptionPublicKey)
            ], list: list)
        for piece in pieces { try output.add(piece) }
        for some in holdings { try output.add(some) }
        _ = try output.finish()
        return path
    }

    @Test func `what is no photo of a record is passed over, and what isn't whole doesn't count`()
        throws
    {
        let (office, visit, person) = try photographed()
        try forum.sync(office)
        let friend = try forum.member("L2", for: [])
        try forum.sync(office)
        let nobodys = BlobName(scope: Forum.scope, digest: visit.digest)
        let bytes = TrustedForum.photo(1_000, 2)
        let path = try bundle(
            "odd", by: office, to: friend.replica.key(),
            [
                BlobPart(name: nobodys, size: 3, offset: 0, bytes: [1, 2, 3]),
                BlobPart(name: person, size: 1_000, offset: 10, bytes: Array(bytes[10...])),
                BlobPart(name: visit, size: 3, offset: 0, bytes: [1, 2, 3]),
            ])
        let tally = try bring(path, to: friend)
        #expect(
            tally == BundleExchange.BlobTally(unnamedCount: 1, partialCount: 1, refusedCount: 1))
        #expect(friend.replica.blobs.entries().isEmpty)
        let large = try bundle(
            "large", by: office, to: friend.replica.key(),
            [BlobPart(name: visit, size: Limits.blobBytes + 1, offset: 0, bytes: [1])])
        #expect(try bring(large, to: friend).refusedCount == 1)
        #expect(friend.replica.blobs.entries().isEmpty)
        // What another has begun is neither spoilt by that, nor of use to it.
        let half = try bundle(
            "half", by: office, to: friend.replica.key(),
            [BlobPart(name: person, size: 1_000, offset: 0, bytes: Array(bytes[..<400]))])
        #expect(try bring(half, to: friend).partialCount == 1)
        let rest = [BlobPart(name: person, size: 1_000, offset: 400, bytes: Array(bytes[400...]))]
        let third = try forum.member("L3", for: [])
        try forum.sync(friend)
        let others = try bundle("others", by: third, to: friend.replica.key(), rest)
        #expect(try bring(others, to: friend).partialCount == 1)
        #expect(
            try bring(try bundle("rest", by: office, to: friend.replica.key(), rest), to: friend)
                .newCount == 1)
        #expect(try self.bytes(person, at: friend.replica) == bytes)
    }

    /// A line broke within a photo; then a stick brings it, in pieces that begin elsewhere.
    @Test func `a stick goes on within a piece, where a line broke`() throws {
        let (office, visit, _) = try photographed()
        try forum.sync(office)
        let bytes = TrustedForum.photo(700_000, 1)
        for held in [1_000, 262_144, 300_000] {
            let part = BlobPart(
                name: visit, size: 700_000, offset: 0,
                bytes: Array(bytes.prefix(min(held, 262_144))))
            _ = try forum.hub.blobs(BlobRequest(part: part), from: office.replica.publicKey)
            if held > 262_144 {
                let more = BlobPart(
                    name: visit, size: 700_000, offset: 262_144, bytes: Array(bytes[262_144..<held])
                )
                _ = try forum.hub.blobs(BlobRequest(part: more), from: office.replica.publicKey)
            }
            let sender = office.replica.device.description
            #expect(forum.hub.replica.blobs.part(visit, from: sender)?.held == UInt64(held))
            #expect(try bringToHub(try export(office, for: nil, "after \(held)")[0]).newCount >= 1)
            #expect(try self.bytes(visit, at: forum.hub.replica) == bytes)
            let file = try #require(forum.hub.replica.blobs.file(holding: visit))
            try FileManager.default.removeItem(atPath: file)
        }
    }

    @Test func `nobody but the hub of now says what the hub has`() throws {
        let (office, visit, person) = try photographed()
        try forum.sync(office)
        let friend = try forum.member("L2", for: [])
        try forum.sync(office)
        let sizes: [(BlobName, UInt64)] = [(visit, 700_000), (person, 1_000)]
        let holdings = sizes.map { name, size in
            BlobHoldings(
                scope: name.scope, blobs: [BlobHoldings.Blob(digest: name.digest, size: size)])
        }
        let epoch = try forum.hub.replica.feedEnd().epoch
        let key = try office.replica.key()
        let byFriend = try bundle("friend", by: friend, to: key, [], holdings, epoch: epoch)
        #expect(try bring(byFriend, to: office).confirmedCount == 0)
        let hub = TrustedLaptop(replica: forum.hub.replica)
        let other = try bundle(
            "epoch", by: hub, to: key, [], holdings, epoch: Identifier(high: 1, low: 2))
        #expect(try bring(other, to: office).confirmedCount == 0)
        let without = try bundle("no epoch", by: hub, to: key, [], holdings)
        #expect(try bring(without, to: office).confirmedCount == 0)
        var wrong = holdings
        wrong[0].blobs[0].size += 1
        let sized = try bundle("size", by: hub, to: key, [], wrong, epoch: epoch)
        #expect(try bring(sized, to: office).confirmedCount == 1)
        #expect(try office.replica.blobStanding().unsent.map(\.name) == [visit])
        let right = try bundle("right", by: hub, to: key, [], holdings, epoch: epoch)
        #expect(try bring(right, to: office).confirmedCount == 1)
    }

    @Test func `of whom is erased no stick brings a photo back`() throws {
        let (office, visit, person) = try photographed()
        try forum.sync(office)
        let friend = try forum.member("L2", for: [])
        try forum.sync(office)
        let old = try export(office, for: friend, "old")[0]
        let forHub = try export(office, for: nil, "old for the hub")[0]
        try office.replica.write { transaction in
            let erased = TrustedForum.person("KZ-001").identifier.bytes
            try transaction.upsert(Forum.erasure, key: [.blob(erased)], [])
        }
        try forum.sync(office)
        try forum.sync(friend)
        let tally = try bring(old, to: friend)
        #expect(tally.newCount == 1 && tally.unnamedCount == 1)
        #expect(try bringToHub(forHub).unnamedCount == 1)
        for replica in [friend.replica, forum.hub.replica] {
            #expect(replica.blobs.entries().map(\.name) == [visit])
        }
        #expect(try bring(try export(office, for: friend, "new")[0], to: friend).unnamedCount == 0)
        #expect(friend.replica.blobs.file(holding: person) == nil)
    }

    // MARK: Nearby

    /// A laptop that serves, without HTTP around it.
    private final class Served: PeerPort, BlobHubPort {
        let server: Replica
        let exchange: PeerExchange
        let caller: DeviceKey
        var guests: [[UInt8]: PeerExchange.Guest] = [:]
        let statement: PeerStatement

        init(_ server: TrustedLaptop, caller: TrustedLaptop) throws {
            self.server = server.replica
            exchange = PeerExchange(server.replica)
            statement = try exchange.statement(pin: [UInt8](repeating: 7, count: 32))
            self.caller = try caller.replica.key()
        }

        private func signature(_ path: String, _ body: [UInt8]) -> RequestSignature {
            RequestSignature(hub: server.publicKey, path: path, body: body, key: caller)
        }

        func meet(_ meeting: Meeting) throws(TransportFailure) -> [UInt8] {
            let body = meeting.encode()
            do {
                let (bundle, met) = try exchange.answer(
                    body, signature: signature(Meeting.path, body))
                guests[met.peer.publicKey] = met.guest
                return bundle
            } catch {
                throw .notOurHub("\(error)")
            }
        }

        func blobs(_ request: BlobRequest) throws(TransportFailure) -> BlobReply? {
            let body = request.encode()
            do {
                let met = try exchange.answerBlobs(
                    body, signature: signature(BlobRequest.path, body), guests: guests)
                return try BlobReply(decoding: met.reply.encode())
            } catch let refusal as Refusal {
                throw .refused(refusal)
            } catch {
                throw .notOurHub("\(error)")
            }
        }
    }

    private func visit(
        _ server: TrustedLaptop, by caller: TrustedLaptop, _ offered: BundledBlobs = .unsent,
        _ extent: BlobDriver.Extent = .sendAndFetch
    ) throws -> BlobDriver.Progress {
        let port = try Served(server, caller: caller)
        let peer = try PeerExchange(caller.replica).visit(port.statement, over: port).peer
        let driver = BlobDriver(
            port: PeerBlobs(caller.replica, with: peer, offering: offered), hub: port)
        let (outcome, progress) = try driver.run(extent)
        #expect(outcome == .completed)
        return progress
    }

    private func refusal(_ port: Served, _ request: BlobRequest) -> Refusal.Code? {
        do {
            _ = try port.blobs(request)
            return nil
        } catch .refused(let refusal) {
            return refusal.code
        } catch {
            return nil
        }
    }

    @Test func `laptops that meet give each other photos, and the first at the hub brings all`()
        throws
    {
        let (office, visited, person) = try photographed()
        try forum.sync(office)
        let friend = try forum.member("L2", for: [])
        try forum.sync(office)
        let own = try forum.add(
            TrustedForum.photo(5_000, 4), to: Forum.visit, TrustedForum.visit("UZ"), at: friend
        ).name
        let progress = try visit(office, by: friend)
        #expect(progress.sentCount == 1 && progress.receivedCount == 2)
        for name in [visited, person, own] {
            #expect(try bytes(name, at: office.replica) == bytes(name, at: friend.replica))
        }
        // Nothing goes twice, and nothing counts as had by the hub.
        let again = try visit(office, by: friend)
        #expect(again.sentCount == 0 && again.receivedCount == 0)
        #expect(try friend.replica.blobStanding().unsent.count == 3)
        #expect(try office.replica.blobStanding().unsent.count == 3)
        // One that only gives fetches nothing.
        let third = try forum.member("L3", for: [])
        let given = try visit(office, by: third, .unsent, .send)
        #expect(given.receivedCount == 0 && given.lackingCount == 3)
        // Its own delegation's alone.
        let lead = try forum.member("UZ", as: "lead", for: [Self.uz])
        #expect(try visit(office, by: lead).receivedCount == 2)
        #expect(lead.replica.blobs.entries().map(\.name).sorted() == [own, person].sorted())
        #expect(try visit(lead, by: friend, .all).sentCount == 0)
    }

    @Test func `whoever hasn't shown who it is gets and brings nothing`() throws {
        let (office, visited, person) = try photographed()
        try forum.sync(office)
        let lead = try forum.member("UZ", as: "lead", for: [Self.uz])
        try forum.sync(office)
        let port = try Served(office, caller: lead)
        let asks = [visited, person].map { BlobRequest.Ask($0, from: 0) }
        #expect(refusal(port, BlobRequest(asks: asks)) == .revoked)
        _ = try PeerExchange(lead.replica).visit(port.statement, over: port)
        let reply = try #require(try port.blobs(BlobRequest(asks: asks)))
        #expect(reply.holdings[0] == nil && reply.holdings[1]?.bytes.count == 1_000)
        // Of what the other may not read it isn't even asked.
        let outline = try PeerBlobs(
            lead.replica, with: recipient(office, at: lead.replica), offering: .all
        ).outline()
        #expect(outline.lacking.map(\.name) == [person])
        let back = try PeerBlobs(
            office.replica, with: recipient(lead, at: office.replica), offering: .all)
        #expect(try back.outline().unsent.map(\.name) == [person])
        // What is only known by its digest nobody brings.
        let part = BlobPart(name: visited, size: 700_000, offset: 0, bytes: [1])
        guard case .refused(let refused)? = try port.blobs(BlobRequest(part: part))?.taken else {
            Issue.record("taken")
            return
        }
        #expect(refused.code == .scope)
        // The word that it was revoked counts at once.
        try forum.revoke(lead)
        try forum.sync(office)
        #expect(refusal(port, BlobRequest(asks: asks)) == .revoked)
        #expect(office.replica.blobs.entries().count == 2)
    }
}
