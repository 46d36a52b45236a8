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

/// Hubs that went back in time: laptops bring back what they hold, and the hub's own words with it.
@Suite("Restored hubs", .timeLimit(.minutes(20)))
struct RestoredHubs {
    private let forum: TrustedForum
    private let backup: String

    init() throws {
        forum = try TrustedForum()
        backup = forum.folder.file("monday.karvan")
    }

    private var epoch: Identifier {
        get throws { try forum.hub.replica.feedEnd().epoch }
    }

    private func names() throws -> [String] {
        try forum.hub.devices().map { "\($0.role) \($0.revokedMilliseconds != nil)" }
    }

    /// How the store goes back to what it was.
    enum Way: CaseIterable {
        case backup, olderFiles, wholeDisk
    }

    /// - Returns: what takes the store back to now.
    private func remember(_ way: Way) throws -> () throws -> Void {
        switch way {
        case .backup:
            _ = try forum.hub.backUp(to: backup)
            return { try forum.restoreHub(backup) }
        case .olderFiles, .wholeDisk:
            let files = try forum.hubFiles()
            return { try forum.putBack(files, isWholeDisk: way == .wholeDisk) }
        }
    }

    @Test(arguments: Way.allCases)
    func `laptops bring back all that they hold`(_ way: Way) throws {
        let (one, two, lost) = (
            try forum.member("L1"), try forum.member("L2"), try forum.member("L5")
        )
        try one.note("before")
        for laptop in [one, two, lost] { try forum.sync(laptop) }
        let before = try epoch
        let goBack = try remember(way)
        let late = try forum.member("L3", as: "recorder")
        try lost.note("by the lost one")
        try forum.sync(lost)
        try forum.revoke(lost)
        let dots = [
            try one.note("one").dot, try two.note("two").dot, try late.note("three").dot,
        ]
        // What the second and the third brought comes back by the first alone.
        for laptop in [two, late, one] { try forum.sync(laptop) }
        try one.note("later")
        try two.note("later")
        let devices = try names()

        try goBack()
        #expect(try forum.hub.replica.rowCount(of: Forum.note) == 1)
        #expect(try forum.hub.devices().count == 3)
        #expect(try forum.sync(one).isEmpty)
        for dot in dots { #expect(try forum.hub.replica.changeset(dot) != nil) }
        #expect(try names() == devices)
        #expect(try epoch != before)
        let refusal = #expect(throws: Refusal.self) { try forum.sync(lost) }
        #expect(refusal?.code == .revoked)
        for laptop in [two, late] { try forum.sync(laptop) }
        try forum.agree([one, two, late, try forum.member("L4")])
        #expect(try forum.hub.replica.rowCount(of: Forum.note) == 7)
        #expect(try late.replica.pending().count == 0)
        // And it goes on.
        try forum.revoke(two)
        try forum.agree([one, late])
    }

    @Test(arguments: Way.allCases)
    func `a laptop that was let in since is known by the hub's own word`(_ way: Way) throws {
        let first = try forum.member("L1")
        let goBack = try remember(way)
        let late = try forum.member("L2", as: "recorder")
        let dot = try late.note("mine").dot
        try forum.sync(late)
        try late.note("and this")
        try goBack()
        #expect(try forum.hub.devices().count == 1)
        #expect(try forum.sync(late).isEmpty)
        #expect(try forum.hub.replica.changeset(dot) != nil)
        #expect(try forum.hub.devices().map(\.role).sorted() == ["coordinator", "recorder"])
        try forum.agree([first, late])
    }

    @Test(arguments: [Way.backup, .olderFiles])
    func `tokens that were not used are void`(_ way: Way) throws {
        let token = try forum.token(as: "coordinator")
        let goBack = try remember(way)
        let laptop = try forum.laptop("L1")
        let request = EnrolmentRequest(
            secret: token.secret, name: "a laptop", key: try laptop.replica.key())
        _ = try forum.hub.enrol(request)
        try goBack()
        let thief = try forum.laptop("L2")
        let refusal = #expect(throws: Refusal.self) {
            try forum.hub.enrol(
                EnrolmentRequest(
                    secret: token.secret, name: "a thief", key: try thief.replica.key()))
        }
        #expect(refusal?.code == .revoked)
        #expect(try forum.hub.devices().isEmpty)
        _ = try forum.member("L3")
    }

    @Test func `nobody but the hub itself makes it begin anew`() throws {
        let (one, stranger) = (try forum.member("L1"), try forum.laptop("L9"))
        try one.note("here")
        try forum.sync(one)
        let before = try forum.hub.replica.feedEnd()
        var forged = before
        forged.offset += 100
        for publicKey in [one.replica.publicKey, stranger.replica.publicKey] {
            let request = ExchangeRequest(
                scope: Forum.scope, cursor: forged, ahead: [], runs: [])
            let refusal = #expect(throws: Refusal.self) {
                try forum.exchange(request, from: publicKey)
            }
            #expect(refusal?.code == .epoch)
        }
        // A run that says it is the hub's, and isn't signed by it.
        let hub = forum.hub.replica
        let forgery = SealedRun(
            sealing: [], stream: hub.stream,
            firstSeq: hub.sealedHeads(of: hub.stream)[0].lastSeq + 1, count: 1,
            previous: hub.sealedHeads(of: hub.stream)[0].hash, dependencies: [], schemaVersion: 1,
            origin: StreamOrigin(
                publicKey: hub.publicKey, scope: Forum.scope, incarnation: 0),
            key: try one.replica.key())
        for laptop in [one, stranger] {
            _ = try? forum.exchange(laptop, [forgery])
        }
        #expect(try forum.hub.replica.feedEnd() == before)
        #expect(try forum.hub.devices().count == 1)
        try forum.agree([one])
    }

    @Test func `a backup holds what the hub needs, and no store takes a laptop's`() throws {
        let one = try forum.member("L1")
        let key = HubCertificate.keyPath(besideStore: forum.folder.file("hub"))
        try Data("a key".utf8).write(to: URL(filePath: key))
        _ = try forum.hub.backUp(to: backup)
        try one.note("later")
        try forum.sync(one)
        #expect(throws: StoreError.self) { try forum.restoreHub(backup, replaces: false) }
        try forum.whileClosed { _ in try Data("another".utf8).write(to: URL(filePath: key)) }
        try forum.restoreHub(backup)
        #expect(FileManager.default.contents(atPath: key) == Data("a key".utf8))
        #expect(FileManager.default.contents(atPath: key + ".before") == Data("another".utf8))
        let mode = try FileManager.default.attributesOfItem(atPath: key)[.posixPermissions]
        #expect(mode as? Int == 0o600)

        let laptops = forum.folder.file("laptop.karvan")
        _ = try one.replica.backUp(to: laptops)
        let error = #expect(throws: StoreError.self) { try forum.restoreHub(laptops) }
        #expect(error?.explanation.contains("karvan restore") == true)
        let environment = one.replica.environment
        let other = #expect(throws: StoreError.self) {
            try Replica.restore(
                backup, to: forum.folder.file("new"), schema: Forum.schema,
                environment: environment)
        }
        #expect(other?.explanation.contains("karvan-hub restore") == true)
        try forum.agree([one])
    }

    /// The admission came back to the hub, and what was admitted did not: whoever kept it aside learns
    /// of it in the answer to what builds on it.
    @Test(arguments: [true, false])
    func `what was admitted comes back from who kept it aside`(_ buildsOnIt: Bool) throws {
        let (lost, builder, third) = (
            try forum.member("L1"), try forum.member("L2"), try forum.member("L3")
        )
        let dot = try lost.note("by the lost one").dot
        try builder.meet(lost)
        if buildsOnIt { try builder.note("on top") }
        try builder.replica.seal()
        try forum.revoke(lost)
        try takeWords(of: forum.hub, at: builder)
        #expect(try builder.replica.changeset(dot) == nil)
        _ = try forum.hub.backUp(to: backup)
        try forum.sync(lost)
        _ = try forum.hub.admit(try forum.hub.replica.quarantinedRuns())
        try takeWords(of: forum.hub, at: third)

        try forum.restoreHub(backup)
        try forum.sync(third)
        #expect(try forum.hub.replica.changeset(dot) == nil)
        try forum.sync(builder)
        #expect(try forum.hub.replica.changeset(dot) != nil)
        try forum.agree([builder, third])
        #expect(try builder.replica.pending().count == 0)
    }

    /// What it offers first takes a whole message.
    @Test func `what is lost without the hub's knowing is offered again`() throws {
        let laptop = try forum.member("L1")
        try laptop.note("before")
        try forum.sync(laptop)
        let goBack = try remember(.wholeDisk)
        let before = try epoch
        let dot = try laptop.note("mine").dot
        // The laptop hears that the hub holds it, and no more.
        let batch = try laptop.replica.outgoingBatch()
        var reply = try forum.exchange(laptop, batch.runs)
        reply.entries = []
        reply.cursor = try #require(batch.cursor)
        reply.hasMore = true
        _ = try laptop.replica.apply(reply, from: batch.cursor)
        #expect(try laptop.replica.pending().count == 0)

        try goBack()
        #expect(try forum.hub.replica.changeset(dot) == nil)
        #expect(try forum.sync(laptop).isEmpty)
        #expect(try forum.hub.replica.changeset(dot) != nil)
        #expect(try epoch == before && laptop.replica.pending().count == 0)
        try forum.agree([laptop, try forum.member("L2")])
    }

    /// A hub that says that it holds all, whatever it is brought.
    @Test func `a hub's word alone is not believed for long`() throws {
        let laptop = try forum.member("L1")
        let (_, dot) = try laptop.note("mine")
        var trips = 0
        while trips < 5 {
            trips += 1
            let batch = try laptop.replica.outgoingBatch()
            var reply = try forum.exchange(laptop, [])
            let feed = try forum.hub.replica.feedEntries(after: batch.cursor, ahead: batch.ahead)
            (reply.entries, reply.cursor, reply.hasMore) = (feed.entries, feed.cursor, feed.hasMore)
            reply.heads = batch.runs.map { RunStub($0) }
            let applied = try laptop.replica.apply(reply, from: batch.cursor)
            // As long as it lies, there is something to send.
            #expect(applied.hasMoreToSend)
        }
        #expect(try laptop.replica.pending().count == 1)
        #expect(try forum.sync(laptop).isEmpty)
        #expect(try forum.hub.replica.changeset(dot) != nil)
        #expect(try laptop.replica.pending().count == 0)
    }

    @Test func `a laptop that was let in since is known though it brings a lot`() throws {
        let first = try forum.member("L1")
        let goBack = try remember(.olderFiles)
        var late = try forum.member("L2", as: "recorder")
        var count = 2
        // Its own changes come before the hub's words in the order of streams.
        while count < 60, late.replica.stream > forum.hub.replica.stream {
            count += 1
            late = try forum.member("L\(count)", as: "recorder")
        }
        var random = SplitMix64(seed: 1)
        for _ in 0..<24 {
            let text = (0..<3_750).map { _ in String(random.next(), radix: 16) }.joined()
            try late.note(String(text.prefix(60_000)))
            try late.replica.seal()
        }
        try goBack()
        #expect(try forum.sync(late).isEmpty)
        #expect(try forum.hub.devices().count == count)
        try forum.agree([first, late])
        #expect(try first.replica.rowCount(of: Forum.note) == 24)
    }

    /// The disk goes back with all that could tell, and the hub would write at once: a certificate is
    /// due.
    @Test func `a hub takes back its own words before it writes any`() throws {
        let one = try forum.member("L1")
        forum.pass(5 * 86_400_000)
        let goBack = try remember(.wholeDisk)
        forum.pass(6 * 86_400_000)
        let two = try forum.member("L2")
        try forum.sync(one)
        try two.note("on top of it")
        try forum.sync(two)
        forum.pass(86_400_000)
        try goBack()
        #expect(try forum.sync(one).isEmpty)
        // Certificates are due.
        for laptop in [two, one] { try forum.sync(laptop) }
        try forum.agree([one, two])
        #expect(try forum.hub.devices().count == 2)
    }

    /// A laptop gets the hub's own records by hand, and nothing else.
    private func takeWords(of hub: HubStore, at laptop: TrustedLaptop) throws {
        try hub.replica.seal()
        let runs = try hub.replica.sealedRuns(after: laptop.replica.versionVector())
        _ = try laptop.replica.ingest(
            runs.filter { $0.header.stream == hub.replica.stream })
    }

    @Test(arguments: 0..<40)
    func `whatever the order, what returning laptops hold is back`(_ seed: UInt64) throws {
        var day = DayWithRestores(forum, seed: 9_000 + seed)
        try day.run()
    }
}

/// Laptops that record, sync and meet while their hub goes back in time now and then. One never
/// returns.
private struct DayWithRestores {
    private let forum: TrustedForum
    private var random: SplitMix64
    private var laptops: [TrustedLaptop] = []
    private var acknowledged: [Dot] = []
    private var files: [[String: Data]] = []

    init(_ forum: TrustedForum, seed: UInt64) {
        self.forum = forum
        random = SplitMix64(seed: seed)
    }

    mutating func run() throws {
        for number in 0..<4 { laptops.append(try forum.member("L\(number)")) }
        files.append(try forum.hubFiles())
        let last = 30 + random.below(30)
        for step in 0..<80 {
            // The fourth is gone after that.
            let count = step < last ? 4 : 3
            switch random.below(14) {
            case 0...5: try note(random.below(count), step)
            case 6...9: try sync(random.below(count))
            case 10, 11: try meet(random.below(count), random.below(count))
            case 12: files.append(try forum.hubFiles())
            default:
                if let old = random.pick(files) { try forum.putBack(old) }
            }
            forum.pass(1_000)
        }
        let held = Array(laptops[..<3])
        for laptop in held { try forum.sync(laptop) }
        try forum.agree(held + [try forum.member("late")])
        for dot in acknowledged {
            #expect(try forum.hub.replica.changeset(dot) != nil, "\(dot) is lost")
        }
        for laptop in held { #expect(try laptop.replica.pending().count == 0) }
    }

    private mutating func note(_ number: Int, _ step: Int) throws {
        let dot = try laptops[number].note("\(number) in \(step)").dot
        // What nobody else holds of the one that is gone is gone with it.
        if number < 3 { acknowledged.append(dot) }
    }

    private func sync(_ number: Int) throws {
        let rejections = try forum.sync(laptops[number])
        #expect(rejections.allSatisfy { $0.refusal.code == .gap })
    }

    private func meet(_ number: Int, _ other: Int) throws {
        guard number != other else { return }
        try laptops[number].meet(laptops[other])
    }
}
