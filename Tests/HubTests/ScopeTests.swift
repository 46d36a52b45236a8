import Causality
import FieldRecords
import Foundation
import Hub
import Merge
import RecordSchema
import ReplicaStore
import SyncProtocol
import Testing

/// Delegations see what is theirs, and write there alone.
@Suite("Scopes", .timeLimit(.minutes(20)))
struct ScopeTests {
    private let forum: TrustedForum
    private static let (kz, uz) = ("delegation/KZ", "delegation/UZ")
    private let column = Forum.contact.declared("phone")

    init() throws { forum = try TrustedForum() }

    private static func delegation(_ code: String) -> RowID {
        Forum.schema.rowID(in: Forum.delegation, key: [.text(code)])
    }

    private static func contact(_ badge: String, _ code: String) -> [Value] {
        let person = Forum.schema.rowID(in: Forum.person, key: [.text(badge)])
        return [.blob(person.identifier.bytes), .blob(delegation(code).identifier.bytes)]
    }

    /// A coordinator that has told everybody of two delegations.
    private func office() throws -> TrustedLaptop {
        let office = try forum.member("HQ", for: [])
        try office.replica.write { transaction in
            for code in ["KZ", "UZ"] {
                try transaction.upsert(Forum.delegation, key: [.text(code)], [])
            }
        }
        try forum.sync(office)
        return office
    }

    private func call(_ laptop: TrustedLaptop, _ code: String, _ phone: String) throws {
        try laptop.replica.write { transaction in
            try transaction.upsert(
                Forum.contact, key: Self.contact("\(code)-001", code), [(column, .text(phone))])
        }
    }

    private func phones(_ laptop: TrustedLaptop) throws -> Set<Value> {
        Set(try laptop.replica.query("SELECT phone FROM contact").map { $0[0] })
    }

    /// Role, what the token names, the scope that is written to, and every table.
    @Test(
        arguments: ["coordinator", "lead", "recorder", "viewer"],
        [[], ["forum"], ["delegation/KZ"], ["delegation/KZ", "delegation/AZ"]])
    func `every role writes its tables in its scopes, whatever it signs`(
        role name: String, scopes: [String]
    ) throws {
        let role = try #require(Forum.role(named: name))
        _ = try office()
        let all = Forum.schema.tables.map(\.id)
        for scope in [Forum.scope, Self.kz, Self.uz] {
            for table in Forum.schema.tables {
                let laptop = try forum.laptop("\(scope.suffix(2))-\(table.name)")
                try forum.enrol(laptop, as: name, for: scopes)
                let tables: [UInt32] =
                    if scope == Forum.scope {
                        role.tables ?? all
                    } else if scopes.isEmpty || scopes.contains(scope) {
                        role.dividedTables ?? all
                    } else { [] }
                let isAllowed =
                    tables.contains(table.id) && table != Forum.device
                    && (scope == Forum.scope || table.isDivided)
                let run = try laptop.forgedRun(writing: table, in: scope)
                let codes = try forum.exchange(laptop, [run], in: scope).rejections
                    .map(\.refusal.code)
                if isAllowed {
                    #expect(codes.isEmpty, "\(table.name) in \(scope)")
                } else {
                    #expect(codes == [.scope] || codes == [.poison], "\(table.name) in \(scope)")
                }
                #expect(try (forum.hub.replica.run(RunStub(run)) != nil) == isAllowed)
                laptop.replica.close()
            }
        }
    }

    @Test func `a delegation reads what everybody reads, and what is its own`() throws {
        let office = try office()
        let guests = try ["KZ", "UZ"].map { code in
            try forum.member("L-\(code)", as: "recorder", for: ["delegation/\(code)"])
        }
        try call(guests[0], "KZ", "kz-canary-4711")
        try call(guests[1], "UZ", "uz-canary-4712")
        for laptop in guests + [office] + guests { try forum.sync(laptop) }
        #expect(try phones(guests[0]) == [.text("kz-canary-4711")])
        #expect(try phones(guests[1]) == [.text("uz-canary-4712")])
        #expect(try phones(office) == [.text("kz-canary-4711"), .text("uz-canary-4712")])
        #expect(try office.replica.stateHash() == forum.hub.replica.stateHash())
        for laptop in guests + [office] {
            #expect(try laptop.replica.verify().problems.isEmpty)
            #expect(try laptop.replica.pending().count == 0)
        }
        #expect(try forum.hub.replica.verify().problems.isEmpty)
        // In no byte of another one's file.
        for (laptop, other) in [(guests[0], "uz-canary"), (guests[1], "kz-canary")] {
            for suffix in ["", "-wal"] {
                let bytes = FileManager.default.contents(atPath: laptop.replica.path + suffix)
                let hit = bytes?.range(of: Data(other.utf8))
                #expect(hit == nil, "\(laptop.replica.path)\(suffix) has \(other)")
            }
        }
        // Not by asking for it either.
        #expect(throws: Refusal.self) {
            try forum.exchange(guests[0], [], in: Self.uz)
        }
    }

    @Test func `an action over two scopes is one here, and a changeset in each`() throws {
        let office = try office()
        let receipt = try office.replica.write { transaction in
            for code in ["KZ", "UZ"] {
                try transaction.upsert(
                    Forum.contact, key: Self.contact("X-1", code), [(column, .text("7"))])
            }
            try transaction.upsert(Forum.site, key: [.text("S1")], [])
        }.receipt
        #expect(receipt.dots.count == 3)
        let actions = try receipt.dots.map { try office.replica.changeset($0)?.action }
        #expect(Set(actions).count == 1 && actions[0] != nil)
        try forum.sync(office)
        #expect(try office.replica.stateHash() == forum.hub.replica.stateHash())
    }

    @Test func `whoever writes in one scope changes no row of another one`() throws {
        let office = try office()
        let guest = try forum.member("L-KZ", as: "recorder", for: [Self.kz])
        try call(office, "UZ", "theirs")
        try forum.sync(office)
        let row = Forum.schema.rowID(in: Forum.contact, key: Self.contact("UZ-001", "UZ"))
        let forged = try guest.forgedRun(writing: Forum.contact, in: Self.kz, to: row)
        let rejection = try #require(
            try forum.exchange(guest, [forged], in: Self.kz).rejections.first)
        #expect(rejection.refusal.code == .poison)
        #expect(rejection.refusal.explanation.contains("doesn't lie in its scope delegation/KZ"))
        // Nor by bringing its own run as one of another scope.
        let honest = try guest.forgedRun(writing: Forum.contact, in: Self.kz)
        for scope in [Forum.scope, Self.uz] {
            let codes = try? forum.exchange(guest, [honest], in: scope).rejections.map(
                \.refusal.code)
            #expect(codes == nil || codes == [.scope])
        }
        #expect(try forum.exchange(guest, [honest], in: Self.kz).rejections.isEmpty)
    }

    @Test func `what a laptop may not write there, its own program says`() throws {
        _ = try office()
        let guest = try forum.member("L-KZ", as: "recorder", for: [Self.kz])
        let error = #expect(throws: StoreError.self) { try call(guest, "UZ", "not mine") }
        #expect(
            error?.explanation.contains("not let change contact of delegation/UZ") == true,
            "\(error?.explanation ?? "")")
        #expect(try phones(guest).isEmpty)
        try call(guest, "KZ", "mine")
        #expect(try phones(guest) == [.text("mine")])
    }

    @Test func `scopes are delegations, and not without end`() throws {
        let laptop = try forum.laptop("L1")
        try forum.enrol(laptop, as: "coordinator", for: [])
        for scope in ["delegation/a b", "person/P1", "delegation/", "delegation"] {
            let run = try laptop.forgedRun(writing: Forum.contact, in: scope)
            let codes = try? forum.exchange(laptop, [run], in: scope).rejections.map(\.refusal.code)
            #expect(codes == nil || codes == [.scope], "\(scope)")
        }
        #expect(try forum.hub.replica.feedScopes() == [Forum.scope])
        var (taken, refused) = (0, 0)
        for number in 0..<260 {
            let scope = "delegation/X\(number)"
            let run = try laptop.forgedRun(writing: Forum.contact, in: scope)
            let rejection = try forum.exchange(laptop, [run], in: scope).rejections.first
            if rejection == nil { taken += 1 } else { refused += 1 }
            #expect(rejection.map { $0.refusal.code == .scope } ?? true)
        }
        #expect(taken == Limits.scopes - 2 && refused == 260 - taken)
        // Whoever reads all of them understands the answer.
        #expect(try forum.exchange(laptop, []).entries.isEmpty == false)
    }

    /// Who doesn't read the one would wait for it for ever, and with him whoever builds on the other.
    @Test func `no run of one scope depends on another scope's`() throws {
        let office = try office()
        try call(office, "KZ", "somewhere")
        try forum.sync(office)
        let head = try #require(
            office.replica.sealedHeads().first { office.replica.scope(of: $0.stream) == Self.kz })
        let dependency = Dependency(stream: head.stream, seq: head.lastSeq, run: head.hash)
        for scope in [Forum.scope, Self.uz] {
            let laptop = try forum.laptop("L \(scope.suffix(2))")
            try forum.enrol(laptop, as: "coordinator", for: [])
            let run = try laptop.forgedRun(
                writing: Forum.note, in: scope, dependencies: [dependency])
            let rejections = try forum.exchange(laptop, [run], in: scope).rejections
            #expect(rejections.map(\.refusal.code) == [.poison])
            #expect(rejections.first?.refusal.explanation.contains("another scope") == true)
        }
        // Honest laptops don't: they record here, there, and here again.
        let guest = try forum.member("L-KZ", as: "recorder", for: [Self.kz])
        for number in 0..<3 {
            try call(guest, "KZ", "\(number)")
            try guest.note("\(number)")
            for laptop in [guest, office] { #expect(try forum.sync(laptop).isEmpty) }
        }
        let other = try forum.member("L-UZ", as: "recorder", for: [Self.uz])
        #expect(try other.replica.rowCount(of: Forum.note) == 3)
    }

    @Test func `nobody writes to a delegation's rows where everybody reads`() throws {
        let office = try office()
        try call(office, "UZ", "theirs")
        try forum.sync(office)
        let row = Forum.schema.rowID(in: Forum.contact, key: Self.contact("UZ-001", "UZ"))
        let laptop = try forum.laptop("L1")
        try forum.enrol(laptop, as: "coordinator", for: [])
        let run = try laptop.forgedRun(writing: Forum.contact, to: row)
        #expect(try forum.exchange(laptop, [run]).rejections.map(\.refusal.code) == [.poison])
    }

    @Test func `a row of a delegation that another program made stays where it is`() throws {
        let office = try office()
        let key = Self.contact("KZ-001", "KZ").map { value -> String in
            if case .blob(let bytes) = value { "x'\(bytes.hexadecimal)'" } else { "NULL" }
        }
        try Shell.run(
            office.replica.path,
            "INSERT INTO contact(id, person, delegation, phone) "
                + "VALUES(randomblob(16), \(key[0]), \(key[1]), 'by hand')")
        try forum.sync(office)
        #expect(try office.replica.unreadableForeignWrites().count == 1, "somebody is told")
        #expect(try forum.hub.replica.rowCount(of: Forum.contact) == 0)
        #expect(try phones(office) == [.text("by hand")])
    }

    @Test func `what was recorded before a laptop was let in is sent when it may be`() throws {
        let office = try office()
        let laptop = try forum.laptop("early")
        try laptop.replica.write { transaction in
            try transaction.upsert(Forum.delegation, key: [.text("KZ")], [])
        }
        try call(laptop, "KZ", "early")
        var link = HubLink.test
        link.publicKey = forum.hub.publicKey
        let membership = try forum.enrol(laptop, as: "coordinator", for: [Self.kz])
        try laptop.replica.setHubLink(link, membership: membership)
        try forum.sync(laptop)
        #expect(try laptop.replica.pending().count == 0)
        try forum.sync(office)
        #expect(try phones(office) == [.text("early")])
    }

    @Test func `a copy of a file that writes in several scopes goes on under new names in all`()
        throws
    {
        let office = try office()
        try call(office, "KZ", "before")
        try forum.sync(office)
        let copy = try forum.copy(of: office, as: "copy")
        for (laptop, phone) in [(office, "one"), (copy, "two")] { try call(laptop, "KZ", phone) }
        for laptop in [office, copy, office] { try forum.sync(laptop) }
        #expect(try office.replica.stateHash() == copy.replica.stateHash())
        #expect(try office.replica.openConflicts().count == 1, "both have changed it apart")
        #expect(try forum.hub.replica.verify().problems.isEmpty)
    }

    // MARK: A grant that was lost

    private func regrant(_ laptop: TrustedLaptop, _ scopes: [String]) throws {
        let device = try #require(
            try forum.hub.devices().first { $0.device == laptop.replica.device.description })
        _ = try forum.hub.grant(device, scopes: scopes, role: nil)
    }

    private func finds(_ text: String, in laptop: TrustedLaptop) -> Bool {
        ["", "-wal", "-shm"].contains { suffix in
            let bytes = FileManager.default.contents(atPath: laptop.replica.path + suffix)
            return bytes?.range(of: Data(text.utf8)) != nil
        }
    }

    @Test func `a lost grant hands over what waits, and then takes what it let be read`() throws {
        let office = try office()
        let guest = try forum.member("L-KZ", as: "recorder", for: [Self.kz])
        try call(office, "KZ", "by-the-office")
        for laptop in [office, guest] { try forum.sync(laptop) }
        try call(guest, "KZ", "not-sent-before")
        try guest.replica.write { transaction in
            try transaction.upsert(Forum.person, key: [.text("P1")], [])
        }
        try Shell.run(guest.replica.path, "UPDATE person SET role = 'guest' WHERE badge = 'P1'")
        try regrant(guest, [Self.uz])
        // Until it has heard of that, and has sent all, nothing goes.
        #expect(try guest.replica.dropUnreadableScopes() == [])
        for _ in 0..<2 { #expect(try forum.sync(guest).isEmpty) }
        #expect(try guest.replica.pending().count == 0)
        #expect(finds("not-sent-before", in: guest))
        // What another program writes meanwhile is not lost with it.
        try Shell.run(guest.replica.path, "UPDATE person SET role = 'speaker' WHERE badge = 'P1'")
        #expect(try guest.replica.dropUnreadableScopes() == [Self.kz])
        #expect(try guest.replica.query("SELECT role FROM person") == [[.text("speaker")]])
        #expect(!finds("not-sent-before", in: guest) && !finds("by-the-office", in: guest))
        #expect(try phones(guest).isEmpty)
        #expect(try guest.replica.verify().problems.isEmpty)
        try forum.sync(office)
        #expect(try phones(office) == [.text("not-sent-before")])

        // What it may read now, it reads; and it goes on without a second life of the file.
        try call(office, "UZ", "for-uz")
        for laptop in [office, guest] { try forum.sync(laptop) }
        #expect(try phones(guest) == [.text("for-uz")])
        let stream = guest.replica.stream
        try guest.note("goes on")
        #expect(guest.replica.stream == stream)

        // The grant comes back, and all of it with it; nothing is numbered twice.
        try regrant(guest, [Self.kz])
        try forum.sync(guest)
        #expect(try guest.replica.dropUnreadableScopes() == [Self.uz])
        try forum.sync(guest)
        #expect(try phones(guest) == [.text("not-sent-before")])
        try call(guest, "KZ", "again")
        for laptop in [guest, office] { try forum.sync(laptop) }
        #expect(try phones(office).contains(.text("again")))
        #expect(try forum.hub.replica.verify().problems.isEmpty)
        for laptop in [guest, office] {
            #expect(try laptop.replica.verify().problems.isEmpty)
        }
        #expect(
            try guest.replica.stateHash() == office.replica.stateHash(in: [Forum.scope, Self.kz]))
    }

    @Test func `a laptop that might read all is narrowed as well`() throws {
        let office = try office()
        let guest = try forum.member("L-all", as: "recorder", for: [])
        for code in ["KZ", "UZ"] { try call(office, code, "secret of \(code)") }
        for laptop in [office, guest] { try forum.sync(laptop) }
        #expect(try phones(guest).count == 2)
        try regrant(guest, [Self.kz])
        try forum.sync(guest)
        #expect(try guest.replica.dropUnreadableScopes() == [Self.uz])
        #expect(!finds("secret of UZ", in: guest) && finds("secret of KZ", in: guest))
        #expect(try guest.replica.dropUnreadableScopes() == [])
    }

    @Test func `a list that came damaged takes nothing away`() throws {
        let office = try office()
        let guest = try forum.member("L-KZ", as: "recorder", for: [Self.kz])
        try call(office, "KZ", "kept")
        for laptop in [office, guest] { try forum.sync(laptop) }
        for damaged in [[], ["forum"], ["forum", "delegation/JZ"], ["delegation/KZ"]] {
            #expect(try !guest.replica.note(readableScopes: damaged))
            #expect(try guest.replica.dropUnreadableScopes().isEmpty)
            try forum.sync(guest)
            #expect(try Set(guest.replica.readableScopes()) == [Forum.scope, Self.kz])
        }
        #expect(try phones(guest) == [.text("kept")])
    }

    @Test func `what the hub lacks is not dropped`() throws {
        let office = try office()
        let guest = try forum.member("L-KZ", as: "recorder", for: [Self.kz])
        try call(guest, "KZ", "mine")
        try regrant(guest, ["forum"])
        #expect(try !guest.replica.note(readableScopes: [Forum.scope]), "it may have come damaged")
        #expect(try guest.replica.unreadableScopes().isEmpty)
        #expect(try guest.replica.note(readableScopes: [Forum.scope]))
        #expect(try guest.replica.unreadableScopes().map(\.isSent) == [false])
        #expect(try guest.replica.dropUnreadableScopes() == [])
        #expect(try phones(guest) == [.text("mine")])
        try forum.sync(guest)
        #expect(try guest.replica.dropUnreadableScopes() == [Self.kz])
        try forum.sync(office)
        #expect(try phones(office) == [.text("mine")])
    }

    @Test func `a laptop takes nothing by hand that it may not read`() throws {
        let office = try office()
        let guest = try forum.member("L-KZ", as: "recorder", for: [Self.kz])
        for code in ["KZ", "UZ"] { try call(office, code, "\(code) by hand") }
        try office.replica.seal()
        let runs = try office.replica.sealedRuns(beyond: guest.replica.sealedHeads())
        for (run, result) in zip(runs, try guest.replica.ingest(runs)) {
            let isTheirs = run.header.origin?.scope == Self.uz
            guard case .refused(let refusal) = result else {
                #expect(!isTheirs)
                continue
            }
            #expect(isTheirs && refusal.code == .scope)
        }
        #expect(try phones(guest) == [.text("KZ by hand")])
        #expect(!finds("UZ by hand", in: guest))
    }

    @Test func `a restored hub gets back what lies in every scope`() throws {
        let office = try office()
        let guest = try forum.member("L-KZ", as: "recorder", for: [Self.kz])
        let backup = forum.folder.file("monday.karvan")
        _ = try forum.hub.backUp(to: backup)
        try call(guest, "KZ", "after the backup")
        try call(office, "UZ", "that too")
        for laptop in [guest, office, guest] { try forum.sync(laptop) }
        let divided = try office.replica.stateHash(in: [Self.kz, Self.uz])
        try forum.restoreHub(backup)
        for laptop in [guest, office, guest, office] { try forum.sync(laptop) }
        #expect(try forum.hub.replica.stateHash() == office.replica.stateHash())
        let scopes: Set = [Self.kz, Self.uz]
        #expect(try forum.hub.replica.stateHash(in: scopes) == divided)
        #expect(try phones(office) == [.text("after the backup"), .text("that too")])
        #expect(try forum.hub.replica.verify().problems.isEmpty)
    }

    @Test func `a damaged laptop is repaired with what it recorded in every scope`() throws {
        let office = try office()
        try call(office, "KZ", "sealed")
        try forum.sync(office)
        try call(office, "KZ", "not sealed")
        try call(office, "UZ", "not sealed either")
        let hash = try office.replica.stateHash()
        let path = office.replica.path
        office.replica.close()
        let environment = forum.environment
        _ = try Replica.repair(at: path, schema: Forum.schema, environment: environment)
        let repaired = TrustedLaptop(
            replica: try Replica.open(at: path, schema: Forum.schema, environment: environment))
        #expect(try repaired.replica.stateHash() == hash)
        try call(repaired, "KZ", "after it")
        for _ in 0..<2 { try forum.sync(repaired) }
        #expect(try repaired.replica.pending().count == 0)
        #expect(try repaired.replica.stateHash() == forum.hub.replica.stateHash())
        #expect(try phones(repaired) == [.text("after it"), .text("not sealed either")])
        #expect(try repaired.replica.verify().problems.isEmpty)
    }

    @Test func `a laptop that was put back goes on in every scope, and loses nothing`() throws {
        let office = try office()
        try call(office, "KZ", "one")
        try forum.sync(office)
        let files = ["", "-wal"].map { suffix in
            (suffix, FileManager.default.contents(atPath: office.replica.path + suffix))
        }
        try call(office, "KZ", "two")
        try forum.sync(office)
        let path = office.replica.path
        office.replica.close()
        for (suffix, bytes) in files {
            try? FileManager.default.removeItem(atPath: path + suffix)
            try bytes?.write(to: URL(filePath: path + suffix))
        }
        try? FileManager.default.removeItem(atPath: path + "-shm")
        let back = TrustedLaptop(
            replica: try Replica.open(
                at: path, schema: Forum.schema, environment: forum.environment))
        let stream = back.replica.stream
        try call(back, "UZ", "three")
        #expect(
            back.replica.stream != stream, "only what lies in other scopes tells that it is older")
        for _ in 0..<2 { try forum.sync(back) }
        #expect(try phones(back) == [.text("two"), .text("three")])
        #expect(try back.replica.stateHash() == forum.hub.replica.stateHash())
    }
}
