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

/// Files in place of a network: between laptops, to the hub and back.
@Suite("Bundles", .timeLimit(.minutes(20)))
struct BundledForum {
    private let forum: TrustedForum
    private static let (kz, uz) = ("delegation/KZ", "delegation/UZ")

    init() throws { forum = try TrustedForum() }

    private func recipient(
        _ other: Replica, at replica: Replica
    ) throws -> BundleRecipient {
        try #require(try replica.bundleRecipients().first { $0.device == other.device })
    }

    private func hub(at replica: Replica) throws -> BundleRecipient {
        try replica.bundleRecipient(named: "hub")
    }

    /// - Returns: the file's path.
    private func export(
        _ from: TrustedLaptop, for recipient: BundleRecipient, _ name: String,
        _ extent: BundleExtent = .news
    ) throws -> String {
        let path = forum.folder.file(name)
        _ = try BundleExchange(from.replica).write(to: path, for: recipient, extent)
        return path
    }

    private func exportHub(for laptop: TrustedLaptop, _ name: String) throws -> String {
        let path = forum.folder.file(name)
        let store = forum.hub
        let recipient = try store.bundleRecipient(recipient(laptop.replica, at: store.replica))
        _ = try BundleExchange(store.replica).write(
            to: path, for: recipient, epoch: try store.replica.feedEnd().epoch)
        return path
    }

    @discardableResult
    private func bring(_ path: String, to laptop: TrustedLaptop) throws -> BundleExchange.Tally {
        try BundleExchange(laptop.replica).read(path).tally
    }

    @discardableResult
    private func bringToHub(_ path: String) throws -> BundleExchange.Tally {
        let taken = try BundleExchange(forum.hub.replica).read(path) { try forum.hub.take($0) }
        try forum.hub.decide(after: taken.list)
        return taken.tally
    }

    private func texts(_ laptop: TrustedLaptop) throws -> Set<Value> {
        Set(try laptop.replica.query("SELECT text FROM note").map { $0[0] })
    }

    /// Two that know each other's certificates.
    private func pair() throws -> (one: TrustedLaptop, two: TrustedLaptop) {
        let one = try forum.member("one")
        let two = try forum.member("two")
        try forum.sync(one)
        return (one, two)
    }

    @Test func `what one has recorded is with the other, and with the hub, and comes back as sent`()
        throws
    {
        let (one, two) = try pair()
        try one.note("by one")
        try two.note("by two")
        let forTwo = try export(one, for: recipient(two.replica, at: one.replica), "1-2")
        #expect(try bring(forTwo, to: two).newCount == 1)
        #expect(try bring(forTwo, to: two).newCount == 0, "brought twice")
        let forHub = try export(two, for: hub(at: two.replica), "2-hub")
        #expect(try bringToHub(forHub).newCount == 2)
        #expect(try one.replica.pending().count == 1, "nobody has told it yet")
        for laptop in [one, two] {
            try bring(exportHub(for: laptop, "hub-\(laptop.replica.device)"), to: laptop)
            #expect(try laptop.replica.pending().count == 0)
            #expect(try laptop.replica.stateHash() == forum.hub.replica.stateHash())
            #expect(try laptop.replica.verify().problems.isEmpty)
        }
        // A session has nothing left to do.
        for laptop in [one, two] {
            try forum.sync(laptop)
            #expect(try laptop.replica.stateHash() == forum.hub.replica.stateHash())
        }
    }

    @Test func `several sticks come in any order, and the last one alone is enough`() throws {
        let (one, two) = try pair()
        let whom = try recipient(two.replica, at: one.replica)
        var sticks: [String] = []
        for day in 1...3 {
            try one.note("day \(day)")
            sticks.append(try export(one, for: whom, "day \(day)"))
        }
        let third = try forum.member("three")
        try forum.sync(one)
        for order in [[2, 0, 1], [1, 2, 0], [0, 2, 1]] {
            let copy = try forum.copy(of: two, as: "copy \(order)")
            for index in order { #expect(try bring(sticks[index], to: copy).waiting.isEmpty) }
            #expect(try texts(copy).count == 3)
            copy.replica.close()
        }
        let alone = try forum.copy(of: two, as: "alone")
        #expect(try bring(sticks[2], to: alone).newCount == 3)
        // It was made for another one.
        #expect(throws: BundleFileError.self) { try bring(sticks[2], to: third) }
        #expect(try texts(third).isEmpty)
    }

    @Test func `what comes before what it builds on waits for it`() throws {
        let (one, two) = try pair()
        let whom = try recipient(two.replica, at: one.replica)
        try one.note("first")
        let first = try export(one, for: whom, "first")
        try one.note("second")
        let heads = try BundleExchange(one.replica).heads(in: first)
        let second = try export(one, for: whom, "second", .beyond(heads))
        let tally = try bring(second, to: two)
        #expect(tally.newCount == 0 && tally.waiting.count == 1)
        #expect(try texts(two).isEmpty)
        #expect(try bring(first, to: two).newCount == 2)
        #expect(try texts(two) == [.text("first"), .text("second")])
        #expect(try two.replica.quarantined().isEmpty)
        // What two then says of itself leaves out what it has.
        try bring(export(two, for: recipient(one.replica, at: two.replica), "back"), to: one)
        try one.note("third")
        let third = try export(one, for: whom, "third")
        #expect(try BundleExchange(one.replica).show(third).scopes?.map(\.changesetCount) == [1])
    }

    @Test func `a bundle holds what its recipient may read, and nobody else opens it`() throws {
        let office = try forum.member("HQ", for: [])
        try office.replica.write { transaction in
            for code in ["KZ", "UZ"] {
                try transaction.upsert(Forum.delegation, key: [.text(code)], [])
            }
        }
        let guest = try forum.member("L-KZ", as: "recorder", for: [Self.kz])
        let other = try forum.member("L-UZ", as: "recorder", for: [Self.uz])
        try forum.sync(office)
        let column = Forum.contact.declared("phone")
        for code in ["KZ", "UZ"] {
            try office.replica.write { transaction in
                let keys = [("person", "\(code)-1"), ("delegation", code)].map { table, key in
                    Value.blob(
                        Forum.schema.rowID(
                            in: Forum.schema.tables.first { $0.name == table }!,
                            key: [.text(key)]
                        ).identifier.bytes)
                }
                try transaction.upsert(
                    Forum.contact, key: keys, [(column, .text("canary of \(code)"))])
            }
        }
        let path = try export(
            office, for: recipient(guest.replica, at: office.replica), "for KZ", .everything)
        let bytes = try #require(FileManager.default.contents(atPath: path))
        for code in ["KZ", "UZ"] {
            #expect(bytes.range(of: Data("canary of \(code)".utf8)) == nil, "it is encrypted")
        }
        let shown = try BundleExchange(guest.replica).show(path)
        #expect(shown.scopes?.map(\.scope) == [Forum.scope, Self.kz])
        #expect(try BundleExchange(other.replica).show(path).scopes == nil)
        #expect(throws: BundleFileError.self) { try bring(path, to: other) }
        try bring(path, to: guest)
        #expect(
            try guest.replica.query("SELECT phone FROM contact") == [[.text("canary of KZ")]])
    }

    @Test func `who was revoked gets none, and what he made counts as little as ever`() throws {
        let (one, two) = try pair()
        try two.note("before anybody knew")
        let late = try export(two, for: recipient(one.replica, at: two.replica), "late")
        try forum.revoke(two)
        try forum.sync(one)
        #expect(throws: StoreError.self) {
            _ = try one.replica.bundleRecipient(named: "\(two.replica.device)")
        }
        let tally = try bring(late, to: one)
        #expect(tally.newCount == 0 && tally.asideCount == 1)
        #expect(try texts(one).isEmpty)
        let forHub = try export(two, for: hub(at: two.replica), "late for the hub")
        #expect(try bringToHub(forHub).asideCount == 1)
        #expect(try forum.hub.replica.quarantinedRuns().count == 1)
    }

    @Test func `a stranger's bundle, and one of another forum, is refused`() throws {
        let (one, _) = try pair()
        let other = try TrustedForum()
        let theirs = try other.member("theirs")
        let path = try BundleExchange(theirs.replica).write(
            to: other.folder.file("stick"), for: hub(at: theirs.replica)
        ).files[0].path
        #expect {
            try bring(path, to: one)
        } throws: { error in
            guard case BundleFileError.bundle(_, let problem) = error else { return false }
            return problem.reason == .otherRoot
        }
        let nobody = try forum.laptop("nobody")
        #expect(throws: StoreError.self) { _ = try nobody.replica.bundleRecipient(named: "hub") }
    }

    /// The hub once had it, and lost it: what a stick from before says must not keep it from being offered.
    @Test func `a receipt from before the hub went back says nothing`() throws {
        let (one, _) = try pair()
        let backup = forum.folder.file("backup")
        _ = try forum.hub.backUp(to: backup)
        try one.note("lost by the hub")
        try bringToHub(export(one, for: hub(at: one.replica), "stick"))
        let receipt = try exportHub(for: one, "receipt")
        try forum.restoreHub(backup)
        try forum.sync(try forum.member("witness"))
        try forum.sync(one)
        try one.note("another")
        try bring(receipt, to: one)
        #expect(try one.replica.pending().count == 1)
        try forum.sync(one)
        #expect(try forum.hub.replica.query("SELECT count(*) FROM note") == [[.integer(2)]])
    }

    @Test func `what has no room goes into further files, each of them whole`() throws {
        let (one, two) = try pair()
        // Random, so that it doesn't compress.
        var random = SystemRandomNumberGenerator()
        for _ in 0..<60 {
            let text = (0..<60_000).map { _ in
                Character(Unicode.Scalar(UInt8.random(in: 33...126, using: &random)))
            }
            try one.note(String(text))
        }
        let path = forum.folder.file("large")
        let written = try BundleExchange(one.replica).write(
            to: path, for: recipient(two.replica, at: one.replica), limitBytes: 1 << 20)
        #expect(written.files.count > 2 && written.files.allSatisfy { $0.byteCount <= 1 << 20 })
        #expect(written.files[1].path == path + ".2")
        for file in written.files.reversed() { try bring(file.path, to: two) }
        #expect(try texts(two).count == 60)
        #expect(try two.replica.quarantined().isEmpty)
    }

    @Test func `nothing is written over, and nothing is left of what could not be written`() throws
    {
        let (one, two) = try pair()
        let whom = try recipient(two.replica, at: one.replica)
        let path = try export(one, for: whom, "there")
        let before = FileManager.default.contents(atPath: path)
        #expect(throws: BundleFileError.exists(path: path)) {
            _ = try export(one, for: whom, "there")
        }
        #expect(FileManager.default.contents(atPath: path) == before)
        // A link in the place of the file that is being written.
        let link = forum.folder.file("linked")
        let victim = forum.folder.file("victim")
        try Data("precious".utf8).write(to: URL(filePath: victim))
        try FileManager.default.createSymbolicLink(
            atPath: link + ".partial", withDestinationPath: victim)
        #expect(throws: BundleFileError.self) { _ = try export(one, for: whom, "linked") }
        #expect(FileManager.default.contents(atPath: victim) == Data("precious".utf8))
        #expect(throws: BundleFileError.self) { _ = try export(one, for: whom, "no/where") }
        #expect(throws: BundleFileError.self) { try bring("/dev/null", to: two) }
    }

    @Test func `an erasure that comes by hand is carried out`() throws {
        let (one, two) = try pair()
        let column = Forum.person.declared("name_native")
        try one.replica.write { transaction in
            try transaction.upsert(
                Forum.person, key: [.text("UZ-020")], [(column, .text("Canary Name"))])
        }
        let whom = try recipient(two.replica, at: one.replica)
        let early = try export(one, for: whom, "early")
        try bring(early, to: two)
        #expect(try two.replica.query("SELECT name_native FROM person") == [[.text("Canary Name")]])
        let row = Forum.schema.rowID(in: Forum.person, key: [.text("UZ-020")])
        try one.replica.write { transaction in
            try transaction.upsert(Forum.erasure, key: [.blob(row.identifier.bytes)], [])
        }
        try bringToHub(export(one, for: hub(at: one.replica), "asked for"))
        try bring(exportHub(for: two, "erasure"), to: two)
        #expect(try two.replica.query("SELECT name_native FROM person") == [[.null]])
        // What comes from before it brings nothing back.
        try bring(early, to: two)
        #expect(try two.replica.query("SELECT name_native FROM person") == [[.null]])
    }

    /// What may be read no more does not come back by hand, not even as something that waits.
    @Test func `a scope that was taken away stays away`() throws {
        let office = try forum.member("HQ", for: [])
        try office.replica.write { transaction in
            for code in ["KZ", "UZ"] {
                try transaction.upsert(Forum.delegation, key: [.text(code)], [])
            }
        }
        let guest = try forum.member("L", as: "recorder", for: [Self.kz, Self.uz])
        try forum.sync(office)
        let uz = Forum.schema.rowID(in: Forum.delegation, key: [.text("UZ")])
        // Two runs, of which the second has no origin.
        for text in ["canary one", "canary two"] {
            try office.replica.write { transaction in
                _ = try transaction.insert(
                    into: Forum.note, [nil, nil, nil, .text(text)], dividedBy: uz)
            }
            try office.replica.seal()
        }
        let whom = try recipient(guest.replica, at: office.replica)
        let old = try export(office, for: whom, "old", .everything)
        try forum.sync(office)
        try forum.sync(guest)
        let device = try #require(
            try forum.hub.devices().first { $0.device == guest.replica.device.description })
        _ = try forum.hub.grant(device, scopes: [Self.kz], role: nil)
        for _ in 0..<2 { try forum.sync(guest) }
        _ = try guest.replica.dropUnreadableScopes()
        #expect(try texts(guest).isEmpty)
        let tally = try bring(old, to: guest)
        #expect(try guest.replica.quarantined().isEmpty)
        #expect(tally.refused.allSatisfy { $0.refusal.code == .scope } && !tally.refused.isEmpty)
        #expect(try texts(guest).isEmpty)
    }

    /// Between the hub's answer that it began anew and the first cursor of the new feed, nobody knows.
    @Test func `no receipt is believed while the hub's epoch is not known`() throws {
        let (one, _) = try pair()
        try one.note("kept by one alone")
        try bringToHub(export(one, for: hub(at: one.replica), "stick"))
        let receipt = try exportHub(for: one, "receipt")
        try one.replica.forgetHub()
        let before = try one.replica.pending().count
        try bring(receipt, to: one)
        #expect(try one.replica.pending().count == before && before > 0)
        try forum.sync(one)
        #expect(try one.replica.pending().count == 0)
    }

    /// Whoever is a member can make any number of runs that nothing will ever let in.
    @Test func `what waits is bounded`() throws {
        let (one, two) = try pair()
        let stranger = DeviceKey()
        var runs: [SealedRun] = []
        for number in 0..<40 {
            let origin = StreamOrigin(
                publicKey: stranger.publicKey, scope: Forum.scope, incarnation: UInt64(number))
            let first = SealedRun(
                sealing: [], stream: origin.stream, firstSeq: 1, count: 1, previous: nil,
                dependencies: [], schemaVersion: 1, origin: origin, key: stranger)
            var random = SystemRandomNumberGenerator()
            runs.append(
                SealedRun(
                    sealing: (0..<500_000).map { _ in UInt8.random(in: 0...255, using: &random) },
                    stream: origin.stream, firstSeq: 2, count: 1, previous: first.hash,
                    dependencies: [], schemaVersion: 1, origin: origin, key: stranger))
        }
        var codes: [Refusal.Code] = []
        for run in runs {
            for result in try two.replica.take(BundledRuns(scope: Forum.scope, runs: [run])) {
                if case .refused(let refusal) = result { codes.append(refusal.code) }
            }
        }
        #expect(codes.first == .gap && codes.last == .tooLarge && codes.count == 40)
        #expect(try two.replica.quarantined().count < 36)
        // It goes on all the same.
        try one.note("after that")
        for laptop in [one, two] { try forum.sync(laptop) }
        #expect(try texts(two) == [.text("after that")])
    }

    @Test func `a new laptop may bear the name of a lost one`() throws {
        let (one, two) = try pair()
        #expect(throws: StoreError.self) {
            _ = try forum.hub.replica.bundleRecipient(named: "a laptop")
        }
        try forum.revoke(two)
        let found = try forum.hub.replica.bundleRecipient(named: "a laptop")
        #expect(found.device == one.replica.device)
    }

    /// A hub that lost all but what a stick has must be able to judge what is on it.
    @Test func `a hub's own words come first in its bundles`() throws {
        let (one, two) = try pair()
        try one.note("by one")
        try forum.sync(one)
        let path = try exportHub(for: two, "all")
        var senders: [DeviceID?] = []
        try BundleInput(path: path).open(by: two.replica.key(), isWelcome: { _ in }) { content in
            guard case .runs(let bundled) = content else { return }
            for run in bundled.runs {
                senders.append(forum.hub.replica.device(of: run.header.stream))
            }
        }
        let own = forum.hub.replica.device
        let first = try #require(senders.firstIndex { $0 != own })
        #expect(first > 0 && senders[first...].allSatisfy { $0 != own })
    }
}
