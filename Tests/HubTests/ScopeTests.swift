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
@Suite("Scopes", .timeLimit(.minutes(5)))
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
                let isAllowed = tables.contains(table.id) && table != Forum.device
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
        let rejection = try #require(try forum.exchange(guest, [forged], in: Self.kz).rejections.first)
        #expect(rejection.refusal.code == .poison)
        #expect(rejection.refusal.explanation.contains("doesn't lie in its scope delegation/KZ"))
        // Nor by bringing its own run as one of another scope.
        let honest = try guest.forgedRun(writing: Forum.contact, in: Self.kz)
        for scope in [Forum.scope, Self.uz] {
            let codes = try? forum.exchange(guest, [honest], in: scope).rejections.map(\.refusal.code)
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
}
