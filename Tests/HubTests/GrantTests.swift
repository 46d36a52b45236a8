import Causality
import FieldRecords
import Hub
import Merge
import RecordSchema
import ReplicaStore
import Synchronization
import SyncProtocol
import Testing

/// What a device's certificates let it write: at the hub, on its own laptop, and on others.
@Suite("Grants", .timeLimit(.minutes(20)))
struct GrantTests {
    private let forum: TrustedForum

    init() throws { forum = try TrustedForum() }

    @Test(arguments: ["coordinator", "lead", "recorder", "viewer"])
    func `each role writes its tables, and no other`(role: String) throws {
        let tables = try #require(Forum.role(named: role)).tables ?? Self.all
        // Where certificates lie, only the hub writes.
        let declared = Set(tables).subtracting([Forum.device.id])
        var (taken, refused) = (0, 0)
        for table in Forum.schema.tables {
            let laptop = try forum.laptop("\(role)-\(table.name)")
            let membership = try forum.enrol(laptop, as: role)
            // Whatever the program on the laptop lets its user do, the hub decides.
            let run = try laptop.forgedRun(writing: table)
            let reply = try forum.exchange(laptop, [run])
            if declared.contains(table.id) {
                #expect(reply.rejections.isEmpty, "\(table.name)")
                taken += 1
            } else {
                #expect(reply.rejections.map(\.refusal.code) == [.scope], "\(table.name)")
                let words = reply.rejections.first?.refusal.explanation ?? ""
                #expect(words.contains("may not change \(table.name)"), "\(words)")
                refused += 1
            }
            // And its own program says so before anything is written; see also ``ScopeTests``.
            if table.dividedBy == "delegation" { continue }
            try laptop.replica.setHubLink(.test, membership: membership)
            if declared.contains(table.id) {
                try laptop.write(table, key: 2)
            } else {
                let error = #expect(throws: StoreError.self) { try laptop.write(table, key: 2) }
                let text = error?.explanation ?? ""
                #expect(text.contains("change \(table.name): it is enrolled as \(role)"), "\(text)")
            }
        }
        #expect(taken == declared.intersection(Self.all).count)
        #expect(taken + refused == Forum.schema.tables.count)
    }

    private static let all = Forum.schema.tables.map(\.id)

    @Test func `a run that is allowed in part is refused as a whole`() throws {
        let laptop = try forum.laptop("L1")
        try forum.enrol(laptop, as: "recorder")
        try laptop.write(Forum.note)
        try laptop.write(Forum.site)
        let reply = try forum.exchange(laptop, [try laptop.seal()])
        #expect(reply.rejections.map(\.refusal.code) == [.scope])
        #expect(try forum.hub.replica.rowCount(of: Forum.note) == 0)
        // The operator gives it another role, and nothing of it is lost.
        try forum.enrol(laptop, as: "coordinator")
        #expect(try forum.exchange(laptop, [try laptop.seal()]).rejections.isEmpty)
        #expect(try forum.hub.replica.rowCount(of: Forum.note) == 1)
    }

    @Test func `a device that was a coordinator goes on standing for what it wrote then`() throws {
        let (laptop, late) = (try forum.laptop("L1"), try forum.laptop("L2"))
        try forum.enrol(laptop, as: "coordinator")
        let first = try laptop.signedRun(writing: Forum.site)
        #expect(try forum.exchange(laptop, [first]).rejections.isEmpty)
        try forum.enrol(laptop, as: "recorder")
        // Whoever comes later takes the old run by the old certificate.
        let membership = try forum.enrol(late, as: "recorder")
        try late.replica.setHubLink(.test, membership: membership)
        let reply = try forum.exchange(late, [])
        let applied = try late.replica.apply(reply, from: nil)
        #expect(applied.quarantinedCount == 0 && applied.changesetCount > 2)
        #expect(try late.replica.rowCount(of: Forum.site) == 1)
    }

    @Test func `a laptop keeps aside what a hub should not have taken`() throws {
        let (laptop, stranger) = (try forum.laptop("L1"), try forum.laptop("L2"))
        let membership = try forum.enrol(laptop, as: "recorder")
        try laptop.replica.setHubLink(.test, membership: membership)
        let run = try stranger.signedRun(writing: Forum.note)
        var reply = try forum.exchange(laptop, [])
        reply.entries.append(.whole(run))
        reply.cursor = reply.cursor.advanced(by: RunStub(run))
        let applied = try laptop.replica.apply(reply, from: nil)
        #expect(applied.quarantinedCount == 1)
        #expect(try laptop.replica.rowCount(of: Forum.note) == 0)
        let reasons = try laptop.replica.quarantined().map(\.reason)
        #expect(reasons.count == 1 && reasons[0].contains("is not here yet"))
    }

    /// Else all that the laptop records once its clock is right would lie years ahead as well.
    @Test func `what is not let leaves the clock where it was`() throws {
        let laptop = try forum.member("L1", as: "recorder")
        try laptop.note("before")
        let years: Int64 = 7 * 365 * 86_400_000
        forum.pass(years)
        #expect(throws: StoreError.self) {
            try laptop.replica.write { try $0.upsert(Forum.site, key: [.text("S9")], []) }
        }
        forum.pass(-years)
        let dot = try laptop.note("after").dot
        let time = try #require(try laptop.replica.changeset(dot)).time.milliseconds
        #expect(time < forum.now + 60_000)
        try forum.sync(laptop)
        #expect(try laptop.replica.verify().problems == [])
    }

    @Test func `certificates that nobody of this forum signed allow nothing`() throws {
        let laptop = try forum.laptop("L1")
        let own = try laptop.replica.key()
        let other = try TrustedForum()
        try forum.enrol(laptop, as: "viewer")
        let hub = forum.hub.replica
        let everything = [Grant(scope: Forum.scope, role: "coordinator", tables: nil)]
        let issuers = [own, DeviceKey(), try other.hub.replica.key()]
        let forged = issuers.map { issuer in
            Certificate(
                signing: Certificate.Statement(
                    kind: .device, publicKey: own.publicKey, encryptionKey: own.encryptionPublicKey,
                    name: "L1", issuer: issuer.publicKey, issuedMilliseconds: forum.now,
                    expiryMilliseconds: .max, grants: everything), key: issuer)
        }
        // Even where they lie among the true ones.
        let row = Forum.schema.rowID(in: Forum.device, key: [.text(own.device.description)])
        try hub.write { transaction in
            try transaction.add(
                Forum.device, row, Forum.device.declared("certificates"),
                forged.map { .blob($0.encode()) } + [.blob([1, 2, 3]), .blob([])])
        }
        let reply = try forum.exchange(laptop, [try laptop.signedRun(writing: Forum.note)])
        #expect(reply.rejections.map(\.refusal.code) == [.scope])
    }

    @Test func `certificates are renewed by themselves, also when they have expired`() throws {
        let laptop = try forum.laptop("L1")
        try forum.enrol(laptop, as: "recorder")
        let device = laptop.replica.device
        func newest() throws -> Int64? {
            try forum.hub.certificates(of: device).map(\.statement.expiryMilliseconds).max()
        }
        let day: Int64 = 24 * 3_600_000
        let first = try #require(try newest())
        #expect(first == forum.now + 30 * day)
        for (days, isNew) in [(9, false), (2, true), (60, true), (1, false)] as [(Int64, Bool)] {
            forum.pass(days * day)
            let before = try newest()
            let reply = try forum.exchange(laptop, [])
            #expect(try (newest() != before) == isNew, "after \(days) days")
            #expect(reply.rejections.isEmpty)
        }
        #expect(try newest() == forum.now + 29 * day)
        // Renewals don't pile up.
        #expect(try forum.hub.certificates(of: device).count == 1)
    }

    @Test(arguments: [
        "UPDATE site SET name_en = 'theirs' WHERE code = 'X1'", "DELETE FROM site",
        "INSERT OR REPLACE INTO site(id, code) SELECT id, 'X9' FROM site",
        "INSERT INTO site(id, code) VALUES(zeroblob(16), 'X')", "DELETE FROM device",
    ])
    func `what another program wrote and may not is taken back, and told`(statement: String) throws
    {
        let (hq, laptop) = (try forum.laptop("HQ"), try forum.laptop("L1"))
        try forum.enrol(hq, as: "coordinator")
        let membership = try forum.enrol(laptop, as: "recorder")
        try laptop.replica.setHubLink(.test, membership: membership)
        let name = Forum.site.declared("name_en")
        func rename(_ text: String) throws -> ExchangeReply {
            try hq.replica.write {
                try $0.upsert(
                    Forum.site, key: [.text("X1")], [(name, .text(text))])
            }
            #expect(try forum.exchange(hq, [try hq.seal()]).rejections.isEmpty)
            return try forum.exchange(laptop, [])
        }
        _ = try laptop.replica.apply(try rename("first"), from: nil)
        try Shell.run(laptop.replica.path, statement)
        // The others go on, and so does this laptop.
        let reply = try rename("second")
        #expect(try laptop.replica.apply(reply, from: nil).quarantinedCount == 0)
        try laptop.write(Forum.note, key: 3)
        let sites = try laptop.replica.query("SELECT code, name_en FROM site")
        #expect(sites == [[.text("X1"), .text("second")]])
        #expect(try laptop.replica.unreadableForeignWrites().isEmpty)
        let told = try laptop.replica.quarantined()
        #expect(!told.isEmpty && told.allSatisfy { $0.reason.contains("was taken back: ") })
        let found = try laptop.replica.verify()
        #expect(found.damagedRows.isEmpty && found.otherProblems.isEmpty, "\(found)")
        #expect(try forum.exchange(laptop, [try laptop.seal()]).rejections.isEmpty)
        // All hold the same now.
        for replica in [hq, laptop] {
            _ = try replica.replica.apply(try forum.exchange(replica, []), from: nil)
        }
        #expect(try hq.replica.stateHash() == laptop.replica.stateHash())
    }

    @Test func `a certificate that comes late lets in what was kept aside`() throws {
        let (laptop, other) = (try forum.laptop("L1"), try forum.laptop("L2"))
        let run = try other.signedRun(writing: Forum.note)
        let membership = try forum.enrol(laptop, as: "recorder")
        try laptop.replica.setHubLink(.test, membership: membership)
        // As from a hub whose feed was made anew.
        var early = try forum.exchange(laptop, [])
        early.entries.append(.whole(run))
        early.cursor = early.cursor.advanced(by: RunStub(run))
        #expect(try laptop.replica.apply(early, from: nil).quarantinedCount == 1)
        try forum.enrol(other, as: "recorder")
        let late = try forum.exchange(laptop, [])
        _ = try laptop.replica.apply(late, from: nil)
        #expect(try laptop.replica.quarantined().isEmpty)
        #expect(try laptop.replica.rowCount(of: Forum.note) == 1)
    }

    @Test func `whoever enrols twice under a clock that stands still keeps a certificate`() throws {
        let laptop = try forum.laptop("L1")
        for _ in 0..<3 {
            try forum.enrol(laptop, as: "recorder")
            #expect(try forum.hub.certificates(of: laptop.replica.device).count == 1)
        }
        let run = try laptop.signedRun(writing: Forum.note)
        #expect(try forum.exchange(laptop, [run]).rejections.isEmpty)
    }

    @Test func `a token that is used again changes nothing`() throws {
        let laptop = try forum.laptop("L1")
        let key = try laptop.replica.key()
        let token = try forum.token(as: "recorder")
        let request = EnrolmentRequest(secret: token.secret, name: "L1", key: key)
        let first = try forum.hub.enrol(request)
        let second = try forum.hub.enrol(request)
        #expect(first.device == second.device)
        try forum.enrol(laptop, as: "coordinator")
        for _ in 0..<3 {
            let again = try forum.hub.enrol(request)
            #expect(again.device.statement.grants.map(\.role) == ["coordinator"])
        }
        #expect(try forum.hub.devices().map(\.role) == ["coordinator"])
        #expect(try forum.hub.certificates(of: laptop.replica.device).count == 2)
    }

    @Test func `a role that was given under a clock ahead does not come back at each session`()
        throws
    {
        let laptop = try forum.laptop("L1")
        forum.pass(5 * 3_600_000)
        try forum.enrol(laptop, as: "recorder")
        forum.pass(-5 * 3_600_000)
        try forum.enrol(laptop, as: "coordinator")
        let before = try forum.hub.certificates(of: laptop.replica.device)
        for _ in 0..<3 { _ = try forum.exchange(laptop, []) }
        #expect(try forum.hub.certificates(of: laptop.replica.device) == before)
    }

    @Test func `whoever may write nothing writes no empty run either`() throws {
        let laptop = try forum.laptop("L1")
        try forum.enrol(laptop, as: "viewer")
        var writer = BodyWriter(stream: laptop.replica.stream, previousRun: nil)
        writer.begin(seq: 1, time: HybridTime(milliseconds: forum.now))
        let (body, _) = writer.finish(author: "", claimedMilliseconds: 0, action: nil, source: "")
        let key = try laptop.replica.key()
        let run = SealedRun(
            signing: RunHeader(
                stream: laptop.replica.stream, firstSeq: 1, count: 1, previous: nil,
                bodyHash: Digest(sha256: body), dependencies: [],
                schemaVersion: Forum.schema.version, encoding: .plain, expandedBytes: body.count,
                origin: StreamOrigin(
                    publicKey: key.publicKey, scope: Forum.scope, incarnation: 0)),
            body: body, key: key)
        #expect(try forum.exchange(laptop, [run]).rejections.map(\.refusal.code) == [.scope])
    }

    @Test func `a hub that lost what it knew of its root finds it in the key beside it`() throws {
        let laptop = try forum.laptop("L1")
        let membership = try forum.enrol(laptop, as: "recorder")
        forum.hub.close()
        try Shell.run(forum.folder.file("hub"), "DELETE FROM sy_meta WHERE key LIKE '%root%'")
        let again = try HubStore(
            path: forum.folder.file("hub"), environment: .system(command: "test"))
        defer { again.close() }
        #expect(try again.replica.membership()?.anchor == membership.anchor)
    }

    @Test func `a token of one forum joins no hub of another`() throws {
        let laptop = try forum.laptop("L1")
        let other = try TrustedForum()
        let token = try other.token(as: "recorder")
        // The right token's secret, and a hub in the middle with certificates of its own.
        let mine = try forum.token(as: "recorder")
        let reply = try forum.hub.enrol(
            EnrolmentRequest(secret: mine.secret, name: "L1", key: try laptop.replica.key()))
        #expect(throws: CertificateError.otherRoot) {
            try Membership(
                anchor: TrustAnchor(root: token.root), hub: reply.hub, own: reply.device,
                device: laptop.replica.publicKey)
        }
    }
}
