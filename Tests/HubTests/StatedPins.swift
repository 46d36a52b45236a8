import Causality
import FieldRecords
import Hub
import Merge
import RecordSchema
import ReplicaStore
import SyncProtocol
import Testing

/// By which TLS keys laptops know their hub, from its own words.
@Suite("Stated pins", .timeLimit(.minutes(20)))
struct StatedPins {
    private let forum: TrustedForum

    init() throws { forum = try TrustedForum() }

    private static func pin(_ byte: UInt8) -> [UInt8] { Array(repeating: byte, count: 32) }

    private static func pins(_ bytes: UInt8...) -> [[UInt8]] { bytes.map(pin) }

    /// A laptop that was let in with a token of a key.
    private func member(_ name: String, by pin: UInt8) throws -> TrustedLaptop {
        let laptop = try forum.member(name)
        try join(laptop, by: pin)
        return laptop
    }

    private func join(_ laptop: TrustedLaptop, by pin: UInt8) throws {
        let membership = try forum.enrol(laptop, as: "coordinator")
        try laptop.replica.setHubLink(
            HubLink(
                url: "https://hub.invalid",
                pins: TrustedPins(pins: [Self.pin(pin)], sinceMilliseconds: forum.now),
                authority: nil, publicKey: forum.hub.publicKey, role: "coordinator"),
            membership: membership)
    }

    private func known(_ laptop: TrustedLaptop) throws -> [[UInt8]]? {
        try laptop.replica.updatedHubLink()?.pins?.pins
    }

    @Test func `the next key is known after a sync, and each one after that`() throws {
        #expect(try forum.hub.state(pins: Self.pins(1, 2)))
        forum.pass(1_000)
        let laptop = try forum.laptop("L1")
        try join(laptop, by: 1)
        // Said before the token was made, and it names the token's key.
        #expect(try known(laptop) == Self.pins(1))
        try forum.sync(laptop)
        #expect(try known(laptop) == Self.pins(1, 2))
        for byte in UInt8(2)...5 {
            forum.pass(1_000)
            #expect(try forum.hub.state(pins: Self.pins(byte, byte + 1)))
            #expect(try !forum.hub.state(pins: Self.pins(byte, byte + 1)))
            try forum.sync(laptop)
            #expect(try known(laptop) == Self.pins(byte, byte + 1))
        }
        // Where it lies once it was adopted.
        #expect(try laptop.replica.hubLink()?.pins?.pins == Self.pins(5, 6))
        #expect(try forum.hub.replica.pinSets(of: forum.hub.replica.device).count == 1)
    }

    @Test func `a hub whose clock went back is still heard`() throws {
        let laptop = try member("L1", by: 1)
        try forum.hub.state(pins: Self.pins(1, 2))
        try forum.sync(laptop)
        #expect(try known(laptop) == Self.pins(1, 2))
        forum.pass(-86_400_000)
        try forum.hub.state(pins: Self.pins(2, 3))
        try forum.sync(laptop)
        #expect(try known(laptop) == Self.pins(2, 3))
        // Two at once, whatever its clock says: from one that trusts none of them.
        forum.pass(-86_400_000)
        try forum.hub.state(pins: Self.pins(7, 8))
        try forum.sync(laptop)
        #expect(try known(laptop) == Self.pins(7, 8))
    }

    @Test func `what a laptop heard before it enrolled again doesn't lock it out`() throws {
        let laptop = try member("L1", by: 1)
        try forum.hub.state(pins: Self.pins(1, 2))
        try forum.sync(laptop)
        #expect(try known(laptop) == Self.pins(1, 2))
        // Two changes that it has missed, and a token of the key that is in use now.
        for byte in UInt8(2)...3 { try forum.hub.state(pins: Self.pins(byte, byte + 1)) }
        forum.pass(1_000)
        try join(laptop, by: 3)
        #expect(try known(laptop) == Self.pins(3))
        try forum.sync(laptop)
        #expect(try known(laptop) == Self.pins(3, 4))
    }

    @Test func `another laptop brings the word of a key as well`() throws {
        let (far, near) = (try member("L1", by: 1), try member("L2", by: 1))
        forum.pass(1_000)
        for byte in UInt8(1)...4 { try forum.hub.state(pins: Self.pins(byte, byte + 1)) }
        try forum.sync(near)
        try far.meet(near)
        #expect(try known(far) == Self.pins(4, 5))
    }

    @Test func `nobody but a hub names keys, and for no other hub`() throws {
        let laptop = try member("L1", by: 1)
        try forum.hub.state(pins: Self.pins(1, 2))
        try forum.sync(laptop)
        let forged = PinSet(pins: Self.pins(9), statedMilliseconds: forum.now + 10_000)!
        let thief = try forum.laptop("L2")
        try forum.enrol(thief, as: "coordinator")
        let table = Forum.device
        let names = [forum.hub.publicKey, thief.replica.publicKey].map {
            DeviceID(publicKey: $0).description
        }
        for name in names {
            try thief.replica.write { transaction in
                let (row, _) = try transaction.upsert(table, key: [.text(name)], [])
                let column = table.columns.first { $0.name == "pins" }!
                try transaction.add(table, row, column, [.blob(forged.encode())])
            }
        }
        let reply = try forum.exchange(thief, [try thief.seal()])
        #expect(reply.rejections.map(\.refusal.code) == [.scope])
        try laptop.meet(thief)
        #expect(try known(laptop) == Self.pins(1, 2))
        // Even a hub's word, in another's row.
        try forum.hub.replica.write(seals: true) { transaction in
            let (row, _) = try transaction.upsert(table, key: [.text(names[1])], [])
            let column = table.columns.first { $0.name == "pins" }!
            try transaction.add(table, row, column, [.blob(forged.encode())])
        }
        try forum.sync(laptop)
        #expect(try known(laptop) == Self.pins(1, 2))
    }

    @Test func `whoever trusts an authority gets no pins`() throws {
        try forum.hub.state(pins: Self.pins(1, 2))
        let laptop = try forum.member("L1")
        #expect(try laptop.replica.updatedHubLink()?.pins == nil)
        // One that knows no hub.
        #expect(try forum.laptop("L2").replica.updatedHubLink() == nil)
    }

    @Test func `a hub whose clock was ahead once locks nobody out who enrols again`() throws {
        let years: Int64 = 14 * 365 * 86_400_000
        let laptop = try member("L1", by: 1)
        forum.pass(years)
        try forum.hub.state(pins: Self.pins(1, 2))
        forum.pass(-years)
        try forum.sync(laptop)
        #expect(try known(laptop) == Self.pins(1, 2))
        for byte in UInt8(2)...3 { try forum.hub.state(pins: Self.pins(byte, byte + 1)) }
        try join(laptop, by: 3)
        #expect(try known(laptop) == Self.pins(3))
        try forum.sync(laptop)
        #expect(try known(laptop) == Self.pins(3, 4))
    }

    @Test func `a hub names its keys when it is asked, and not before`() throws {
        #expect(try forum.hub.serve(with: Self.pins(1, 2)))
        #expect(try forum.hub.statedPins() == nil)
        let laptop = try member("L1", by: 1)
        try forum.sync(laptop)
        #expect(try forum.hub.statedPins() == Self.pins(1, 2))
        let before = forum.hub.replica.versionVector()
        try forum.sync(laptop)
        #expect(forum.hub.replica.versionVector() == before)
        // The operator is warned of a key that nobody was told.
        #expect(try forum.hub.serve(with: Self.pins(2, 3)))
        #expect(try !forum.hub.serve(with: Self.pins(7)))
    }

    /// The whole disk: nothing on the machine tells that it went back.
    @Test func `a hub that went back behind a change forks nothing when it names a key`() throws {
        _ = try forum.hub.serve(with: Self.pins(1, 2))
        let laptop = try member("L1", by: 1)
        try laptop.note("before")
        try forum.sync(laptop)
        let files = try forum.hubFiles()
        _ = try forum.hub.serve(with: Self.pins(2, 3))
        let dot = try laptop.note("after").dot
        try forum.sync(laptop)
        #expect(try known(laptop) == Self.pins(2, 3))

        try forum.putBack(files, isWholeDisk: true)
        // The key that laptops know is in use again, as its operator saw to.
        #expect(try forum.hub.serve(with: Self.pins(2, 9)))
        let rejections = try forum.sync(laptop)
        #expect(rejections.isEmpty, "\(rejections)")
        #expect(try forum.hub.replica.changeset(dot) != nil)
        #expect(try laptop.replica.quarantinedRuns().isEmpty)
        #expect(try known(laptop) == Self.pins(2, 9))
        try forum.agree([laptop, try forum.member("L2")])
    }

    @Test func `a restored hub says again what it serves with`() throws {
        let laptop = try member("L1", by: 1)
        try forum.hub.state(pins: Self.pins(1, 2))
        let saved = forum.folder.file("saved")
        _ = try forum.hub.backUp(to: saved)
        forum.pass(1_000)
        try forum.hub.state(pins: Self.pins(2, 3))
        try forum.sync(laptop)
        forum.pass(1_000)
        try forum.restoreHub(saved)
        // As its operator does when laptops refuse the old key.
        try forum.hub.state(pins: Self.pins(2, 4))
        forum.pass(1_000)
        for _ in 0..<2 { try forum.sync(laptop) }
        #expect(try known(laptop) == Self.pins(2, 4))
        // The word that came back is replaced at the next exchange.
        #expect(try forum.hub.replica.pinSets(of: forum.hub.replica.device).count == 2)
        #expect(try forum.hub.state(pins: Self.pins(2, 4)))
        #expect(try forum.hub.replica.pinSets(of: forum.hub.replica.device).count == 1)
        try forum.sync(laptop)
        #expect(try known(laptop) == Self.pins(2, 4))
    }
}
