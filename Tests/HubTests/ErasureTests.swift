import Causality
import FieldRecords
import Foundation
import Hub
import Merge
import RecordSchema
import ReplicaStore
import SyncProtocol
import Testing

/// People who are forgotten: nobody finds what was said of them, and all else is as it was.
@Suite("Erasure", .timeLimit(.minutes(20)))
struct ErasureTests {
    private let forum: TrustedForum
    /// What only the person who is erased has: in no other text of these tests.
    private static let canaries = ["Kanarya", "Canary", "+99890", "kanarya@", "allergic", "limps"]

    init() throws { forum = try TrustedForum() }

    private static let uz = Forum.schema.rowID(in: Forum.delegation, key: [.text("UZ")])

    private static func person(_ badge: String) -> RowID {
        Forum.schema.rowID(in: Forum.person, key: [.text(badge)])
    }

    private func column(_ table: RecordSchema.Table, _ name: String) -> Column {
        table.declared(name)
    }

    /// A coordinator who has recorded two people, all that there is to say of them.
    private func office() throws -> TrustedLaptop {
        let office = try forum.member("HQ", for: [])
        try office.replica.write { transaction in
            try transaction.upsert(Forum.delegation, key: [.text("UZ")], [])
            try transaction.upsert(Forum.item, key: [.text("V1")], [])
        }
        try record("UZ-020", "Kanarya", "Canary", "+99890-1", "allergic", "limps", at: office)
        try record("UZ-021", "Bülbül", "Nightingale", "+99891-2", "vegan", "sings", at: office)
        try forum.sync(office)
        return office
    }

    private func record(
        _ badge: String, _ native: String, _ latin: String, _ phone: String, _ reason: String,
        _ note: String, at laptop: TrustedLaptop
    ) throws {
        let person = Self.person(badge)
        let item = Forum.schema.rowID(in: Forum.item, key: [.text("V1")])
        try laptop.replica.write(author: "Leyla") { transaction in
            try transaction.upsert(
                Forum.person, key: [.text(badge)],
                [
                    (column(Forum.person, "name_native"), .text(native)),
                    (column(Forum.person, "name_latin"), .text(latin)),
                    (column(Forum.person, "delegation"), .blob(Self.uz.identifier.bytes)),
                ])
            try transaction.upsert(
                Forum.contact,
                key: [.blob(person.identifier.bytes), .blob(Self.uz.identifier.bytes)],
                [
                    (column(Forum.contact, "phone"), .text(phone)),
                    (column(Forum.contact, "email"), .text("\(native.lowercased())@forum.uz")),
                ])
            try transaction.insert(
                into: Forum.observation,
                [
                    .blob(item.identifier.bytes), .blob(person.identifier.bytes),
                    .text("excused"), nil, .integer(1), nil, .text(reason), nil, nil,
                ])
            try transaction.insert(
                into: Forum.note,
                [
                    .integer(Int64(Forum.person.id)), .blob(person.identifier.bytes), nil,
                    .text(note),
                ])
        }
    }

    private func ask(_ badge: String, at laptop: TrustedLaptop) throws {
        try laptop.replica.write(author: "Leyla") { transaction in
            try transaction.upsert(
                Forum.erasure, key: [.blob(Self.person(badge).identifier.bytes)],
                [(column(Forum.erasure, "asked_by"), .text("Leyla"))])
        }
    }

    private func name(_ badge: String, at laptop: TrustedLaptop, _ text: String) throws {
        try laptop.replica.write { transaction in
            _ = try transaction.set(
                Forum.person, Self.person(badge),
                [(column(Forum.person, "name_latin"), .text(text))])
        }
    }

    /// Syncs until nobody has anything new, and what was taken off is off the disk.
    private func settle(_ laptops: [TrustedLaptop]) throws {
        for _ in 0..<3 {
            for laptop in laptops {
                try forum.sync(laptop)
                _ = try laptop.replica.dropUnreadableScopes()
            }
        }
    }

    /// The canaries that lie in the files of a replica.
    private func found(in path: String) -> [String] {
        let files = ["", "-wal", "-shm", ".install"].compactMap {
            FileManager.default.contents(atPath: path + $0)
        }
        return Self.canaries.filter { canary in
            files.contains { $0.range(of: Data(canary.utf8)) != nil }
        }
    }

    private func values(_ laptop: TrustedLaptop, _ sql: String) throws -> [Value] {
        try laptop.replica.query(sql).map { $0[0] }
    }

    private func holdsNothing(_ laptop: TrustedLaptop) throws {
        #expect(found(in: laptop.replica.path).isEmpty)
        #expect(try laptop.replica.verify().problems == [])
        #expect(try laptop.replica.missingKeyCount() == 0)
        let cells = try laptop.replica.state(Forum.person.id, Self.person("UZ-020"))
        for name in ["name_native", "name_latin"] {
            let cell = cells[CellKey(column(Forum.person, name).id)]
            #expect(cell.live.allSatisfy { $0.action.value == .erased })
            #expect(!RegisterFold(cell).isConflict)
        }
    }

    @Test func `nobody finds who was erased, and all else is as it was`() throws {
        let office = try office()
        let (guest, other) = (
            try forum.member("L-UZ", as: "recorder", for: ["delegation/UZ"]),
            try forum.member("L-2", for: [])
        )
        // Two who name the person apart, and one who records what has not gone yet.
        try name("UZ-020", at: guest, "Kanarya-2")
        try name("UZ-020", at: other, "Canary-3")
        try settle([guest, other, office])
        try name("UZ-020", at: other, "Canary-4")
        let counts = try [office, guest, other].map { try $0.replica.counts().rows }
        #expect(found(in: office.replica.path).count == Self.canaries.count)
        #expect(found(in: forum.folder.file("hub")).count == Self.canaries.count)

        try ask("UZ-020", at: office)
        try settle([office, guest, other])
        for laptop in [office, guest, other] { try holdsNothing(laptop) }
        #expect(found(in: forum.folder.file("hub")).isEmpty)
        #expect(try forum.hub.replica.verify().problems == [])
        let hashes = try [office, other].map { try $0.replica.stateHash() }
        #expect(hashes[0] == hashes[1])
        #expect(try forum.hub.replica.stateHash() == hashes[0])
        // The request and the hub's own row, which the hub has written first.
        let rows = try [office, guest, other].map { try $0.replica.counts().rows }
        #expect(rows == counts.map { $0 + 1 })
        for laptop in [office, guest, other] {
            #expect(
                try values(laptop, "SELECT name_latin FROM person ORDER BY badge")
                    == [.null, .text("Nightingale")])
            #expect(
                try values(laptop, "SELECT phone FROM contact ORDER BY phone")
                    == [.null, .text("+99891-2")])
            #expect(try values(laptop, "SELECT count(*) FROM observation") == [.integer(2)])
            #expect(
                try values(laptop, "SELECT text FROM note ORDER BY text") == [
                    .null, .text("sings"),
                ])
        }
        // Who comes later gets nothing either.
        let late = try forum.member("L-late", for: [])
        try settle([late])
        try holdsNothing(late)
        #expect(try late.replica.stateHash() == forum.hub.replica.stateHash())
    }

    @Test func `what is said of them later goes nowhere`() throws {
        let office = try office()
        let away = try forum.member("L-away")
        try settle([office, away])
        try ask("UZ-020", at: office)
        try settle([office])
        // One that has not heard of it.
        try name("UZ-020", at: away, "Canary-5")
        try away.replica.seal()
        try name("UZ-020", at: away, "Kanarya-6")
        try settle([away, office])
        for laptop in [office, away] { try holdsNothing(laptop) }
        #expect(found(in: forum.folder.file("hub")).isEmpty)
        // One that has.
        #expect(throws: StoreError.self) { try name("UZ-020", at: away, "Canary-7") }
        try Shell.run(
            away.replica.path,
            "UPDATE person SET name_latin = 'Canary-8', role = 'guest' WHERE badge = 'UZ-020'")
        try away.replica.takeForeignWrites()
        #expect(
            try away.replica.query("SELECT name_latin, role FROM person WHERE badge = 'UZ-020'")
                == [[.null, .text("guest")]])
        #expect(try away.replica.unreadableForeignWrites().isEmpty)
        try settle([away])
    }

    @Test func `a request is not a recorder's to make, and a cut doesn't take it back`() throws {
        let office = try office()
        let guest = try forum.member("L-UZ", as: "lead", for: ["delegation/UZ"])
        #expect(throws: StoreError.self) { try ask("UZ-020", at: guest) }
        try ask("UZ-020", at: office)
        try settle([office])
        try forum.revoke(office, receivedBy: forum.now - 3_600_000)
        try settle([guest])
        #expect(try guest.replica.erasedPeople() == [Self.person("UZ-020")])
        #expect(found(in: guest.replica.path).isEmpty)
        let erasure = try #require(try guest.replica.erasures().first)
        #expect(erasure.isSigned && erasure.author == "Leyla")
        #expect(erasure.hub == forum.hub.replica.publicKey)
    }

    @Test func `files from before are emptied when they come back`() throws {
        let office = try office()
        let other = try forum.member("L-2", for: [])
        try settle([office, other])
        let backup = forum.folder.file("hub.backup")
        _ = try forum.hub.backUp(to: backup)
        let old = try forum.copy(of: other, as: "L-old")
        try ask("UZ-020", at: office)
        try settle([office, other])
        try settle([old])
        try holdsNothing(old)
        // The hub goes back to before, and its laptops tell it.
        try forum.restoreHub(backup)
        #expect(!found(in: forum.folder.file("hub")).isEmpty)
        try settle([other, office])
        #expect(found(in: forum.folder.file("hub")).isEmpty)
        #expect(try forum.hub.replica.erasedPeople() == [Self.person("UZ-020")])
        #expect(try forum.hub.replica.stateHash() == office.replica.stateHash())
    }

    /// Nobody but who asked holds the hub's word, and that one is gone.
    @Test func `a hub that lost its word decides again what is still asked for`() throws {
        let office = try office()
        let other = try forum.member("L-2", for: [])
        try settle([office, other])
        let files = try forum.hubFiles()
        try ask("UZ-020", at: office)
        try office.replica.seal()
        try other.meet(office)
        try forum.sync(office)
        try forum.putBack(files)
        try settle([other])
        #expect(try forum.hub.replica.erasedPeople() == [Self.person("UZ-020")])
        try holdsNothing(other)
    }

    @Test func `a lost laptop's changes come back without the name`() throws {
        let office = try office()
        let lost = try forum.member("L5")
        try name("UZ-020", at: lost, "Kanarya-9")
        try name("UZ-021", at: lost, "Nightingale-9")
        try forum.revoke(lost)
        try ask("UZ-020", at: office)
        try settle([office])
        try forum.sync(lost)
        let kept = try forum.hub.replica.quarantinedRuns()
        #expect(kept.count == 1)
        #expect(found(in: forum.folder.file("hub")).isEmpty)
        _ = try forum.hub.admit(kept)
        try settle([office])
        try holdsNothing(office)
        #expect(
            try values(office, "SELECT name_latin FROM person ORDER BY badge")
                == [.null, .text("Nightingale-9")])
    }

    @Test func `keys that don't come are taken when the run comes again`() throws {
        let office = try office()
        let (author, carrier) = (try forum.member("L-a"), try forum.member("L-b"))
        try name("UZ-021", at: author, "Nightingale-1")
        var run = try author.seal()
        let keys = run.keys
        #expect(keys.count == PersonalKey.byteCount)
        // Whoever brings it, damage is told.
        for wrong in [keys.map { $0 ^ 1 }, keys + keys] {
            run.keys = wrong
            for laptop in [carrier, author] {
                let codes = try forum.exchange(laptop, [run]).rejections.map(\.refusal.code)
                #expect(codes == [.poison])
            }
        }
        for none in [[], PersonalKey.missing] {
            run.keys = none
            #expect(try forum.exchange(carrier, [run]).rejections.isEmpty)
        }
        #expect(try forum.hub.replica.missingKeyCount() == 1)
        #expect(try forum.hub.replica.unreadableValueCount() == 1)
        run.keys = keys
        #expect(try forum.exchange(carrier, [run]).rejections.isEmpty)
        #expect(try forum.hub.replica.missingKeyCount() == 0)
        #expect(try forum.hub.replica.verify().problems == [])
        try settle([office])
        #expect(
            try values(office, "SELECT name_latin FROM person WHERE badge = 'UZ-021'")
                == [.text("Nightingale-1")])
        // Whoever lost them says so, and nobody behind them waits.
        try name("UZ-021", at: author, "Nightingale-2")
        try name("UZ-020", at: author, "Canary-2")
        run = try author.seal()
        run.keys = PersonalKey.missing + Array(run.keys.suffix(PersonalKey.byteCount))
        #expect(try forum.exchange(author, [run]).rejections.isEmpty)
        try settle([office])
        #expect(
            try values(office, "SELECT name_latin FROM person ORDER BY badge")
                == [.text("Canary-2"), .null])
        #expect(try office.replica.missingKeyCount() == 1)
        #expect(try office.replica.verify().problems == [])
    }

    @Test func `the author brings keys that somebody else has left out`() throws {
        let office = try office()
        let (author, carrier) = (try forum.member("L-a"), try forum.member("L-b"))
        let reader = try forum.member("L-c")
        try name("UZ-021", at: author, "Nightingale-1")
        var run = try author.seal()
        run.keys = []
        #expect(try forum.exchange(carrier, [run]).rejections.isEmpty)
        try forum.sync(reader)
        #expect(try reader.replica.missingKeyCount() == 1)
        // It is told that the hub holds the run before it brings it itself.
        let cursor = try author.replica.cursor()
        let heads = try author.replica.outgoingBatch().ahead
        let reply = try forum.exchange(
            ExchangeRequest(scope: Forum.scope, cursor: cursor, ahead: heads, runs: []),
            from: author.replica.publicKey)
        #expect(reply.entries.contains { $0.run == run }, "whole, though it was named")
        let applied = try author.replica.apply(reply, from: cursor)
        #expect(applied.hasMoreToSend)
        #expect(try author.replica.pending().count == 0)
        // It is kept in mind, whatever ends before it is sent.
        author.replica.close()
        let again = TrustedLaptop(
            replica: try Replica.open(
                at: forum.folder.file("L-a"), schema: Forum.schema, environment: forum.environment))
        #expect(try again.replica.outgoingBatch().runs.map(\.keys.count) == [32])
        try forum.sync(again)
        #expect(try again.replica.outgoingBatch().runs.isEmpty)
        #expect(try forum.hub.replica.missingKeyCount() == 0)
        #expect(try forum.hub.replica.verify().problems == [])
        // Whoever had read it without them gets them too.
        try settle([reader, office])
        for laptop in [reader, office] {
            #expect(try laptop.replica.missingKeyCount() == 0)
            #expect(
                try values(laptop, "SELECT name_latin FROM person WHERE badge = 'UZ-021'")
                    == [.text("Nightingale-1")])
            #expect(
                try laptop.replica.stateHash(in: [Forum.scope])
                    == forum.hub.replica.stateHash(in: [Forum.scope]))
        }
    }

    @Test func `what a meeting gave without keys the hub gives with them`() throws {
        _ = try office()
        let (author, taker) = (try forum.member("L-a"), try forum.member("L-b"))
        try name("UZ-021", at: author, "Nightingale-1")
        var run = try author.seal()
        try forum.sync(author)
        run.keys = PersonalKey.missing
        let results = try taker.replica.ingest([run])
        guard case .applied(1)? = results.first else {
            Issue.record("\(results)")
            return
        }
        #expect(try taker.replica.missingKeyCount() == 1)
        try forum.sync(taker)
        #expect(try taker.replica.missingKeyCount() == 0)
        #expect(
            try taker.replica.stateHash(in: [Forum.scope])
                == forum.hub.replica.stateHash(in: [Forum.scope]))
    }

    @Test func `a held run whose keys come damaged is asked for again`() throws {
        _ = try office()
        let (author, reader) = (try forum.member("L-a"), try forum.member("L-b"))
        try name("UZ-021", at: author, "Nightingale-1")
        let run = try author.seal()
        var bare = run
        bare.keys = []
        _ = try reader.replica.ingest([bare])
        try forum.sync(author)
        let start = try #require(try reader.replica.cursor())
        for (keys, isDamaged) in [(run.keys.map { $0 ^ 1 }, true), (run.keys, false)] {
            var given = run
            given.keys = keys
            let reply = ExchangeReply(
                heads: [], rejections: [], entries: [.whole(given)],
                cursor: start.advanced(by: RunStub(run)), hasMore: false,
                hubMilliseconds: forum.now)
            let applied = try reader.replica.apply(reply, from: start)
            #expect((applied.damage != nil) == isDamaged)
            #expect(try (reader.replica.cursor() == start) == isDamaged)
            #expect(try reader.replica.missingKeyCount() == (isDamaged ? 1 : 0))
        }
    }

    @Test func `many copies of a run that bring a key each make its rows anew once`() throws {
        let office = try office()
        let (author, carrier) = (try forum.member("L-a"), try forum.member("L-b"))
        for number in 1...40 { try name("UZ-021", at: author, "Nightingale-\(number)") }
        let run = try author.seal()
        #expect(run.keys.count == 40 * PersonalKey.byteCount)
        var bare = run
        bare.keys = []
        _ = try forum.exchange(carrier, [bare])
        let end = try forum.hub.replica.feedEnd().offset
        let copies = (1...40).map { number -> SealedRun in
            var copy = run
            copy.keys = Array(run.keys.prefix(number * PersonalKey.byteCount))
            copy.keys += [UInt8](repeating: 0, count: run.keys.count - copy.keys.count)
            return copy
        }
        #expect(try forum.exchange(carrier, copies).rejections.isEmpty)
        #expect(try forum.hub.replica.feedEnd().offset == end + 1)
        #expect(try forum.hub.replica.missingKeyCount() == 0)
        try settle([office])
        #expect(
            try values(office, "SELECT name_latin FROM person WHERE badge = 'UZ-021'")
                == [.text("Nightingale-40")])
        #expect(try forum.hub.replica.verify().problems == [])
    }

    @Test func `of what is kept aside too`() throws {
        let office = try office()
        let lost = try forum.member("L5")
        try name("UZ-021", at: lost, "Nightingale-9")
        var bare = try lost.seal()
        bare.keys = []
        try forum.revoke(lost)
        try forum.sync(office)
        _ = try forum.exchange(office, [bare])
        #expect(try forum.hub.replica.quarantinedRuns().map(\.run.keys.isEmpty) == [true])
        try forum.sync(lost)
        let kept = try forum.hub.replica.quarantinedRuns()
        #expect(kept.map(\.run.keys.count) == [32])
        _ = try forum.hub.admit(kept)
        try settle([office])
        #expect(
            try values(office, "SELECT name_latin FROM person WHERE badge = 'UZ-021'")
                == [.text("Nightingale-9")])
    }

    /// Each laptop once, and once more for what the others have brought.
    @Test func `a run that is given again is given to nobody a third time`() throws {
        let office = try office()
        let (author, carrier) = (try forum.member("L-a"), try forum.member("L-b"))
        try name("UZ-021", at: author, "Nightingale-1")
        let run = try author.seal()
        var bare = run
        bare.keys = []
        _ = try forum.exchange(carrier, [bare])
        let end = try forum.hub.replica.feedEnd()
        _ = try forum.exchange(carrier, [run])
        _ = try forum.exchange(carrier, [run])
        _ = try forum.exchange(carrier, [bare])
        #expect(try forum.hub.replica.feedEnd().offset == end.offset + 1)
        try settle([office, author, carrier])
        #expect(try forum.hub.replica.verify().problems == [])
    }
}
