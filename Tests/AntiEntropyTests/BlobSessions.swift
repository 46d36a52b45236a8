import AntiEntropy
import Causality
import SyncProtocol
import Testing

/// A hub and a device with blobs in memory, as 13-blobs has them, and a line between them that breaks.
private final class BlobWorld: BlobPort, BlobHubPort {
    struct Half {
        var whole: [BlobName: [UInt8]] = [:]
        var parts: [BlobName: (size: Int, bytes: [UInt8])] = [:]

        /// 13-blobs §2, item 1.
        mutating func take(_ part: BlobPart) -> BlobReply.Taken? {
            if let bytes = whole[part.name] { return holding(bytes.count, bytes.count) }
            let size = Int(part.size)
            var (known, bytes) = parts[part.name] ?? (size, [])
            if known != size, part.offset == 0 { (known, bytes) = (size, []) }
            guard known == size, bytes.count == Int(part.offset) else {
                return holding(bytes.count, known)
            }
            bytes += part.bytes
            parts[part.name] = (size, bytes)
            guard bytes.count == size else { return holding(bytes.count, size) }
            parts[part.name] = nil
            guard Digest(sha256: bytes) == part.name.digest else {
                return .refused(Refusal(.poison, "other bytes"))
            }
            whole[part.name] = bytes
            return holding(size, size)
        }

        private func holding(_ held: Int, _ size: Int) -> BlobReply.Taken {
            .held(BlobReply.Holding(held: UInt64(held), size: UInt64(size)))
        }
    }

    var device = Half()
    var hub = Half()
    var named: Set<BlobName> = []
    var sent: Set<BlobName> = []
    var refused: [BlobName: Refusal] = [:]
    /// What becomes of each request, from the first one on; then all goes well.
    var faults: [Fault] = []
    private(set) var carriedBytes = 0
    private(set) var requests: [BlobRequest] = []
    var knowsBlobs = true
    var asksAgain = false

    enum Fault: CaseIterable {
        case none
        /// The hub never got it.
        case lostRequest
        /// The hub did what was asked, and nobody heard of it.
        case lostReply
    }

    func add(_ bytes: [UInt8], at half: WritableKeyPath<BlobWorld, Half>) -> BlobName {
        let name = BlobName(scope: "forum", digest: Digest(sha256: bytes))
        var world = self
        world[keyPath: half].whole[name] = bytes
        named.insert(name)
        return name
    }

    func outline() throws -> BlobOutline {
        let unsent = device.whole.filter { named.contains($0.key) && !sent.contains($0.key) }
        return BlobOutline(
            unsent: unsent.sorted { $0.key < $1.key }.map {
                BlobOutline.Blob(
                    name: $0.key, size: UInt64($0.value.count), held: UInt64($0.value.count))
            },
            lacking: named.filter { device.whole[$0] == nil }.sorted().map { name in
                let part = device.parts[name]
                return BlobOutline.Blob(
                    name: name, size: UInt64(part?.size ?? 0), held: UInt64(part?.bytes.count ?? 0))
            },
            sent: sent.sorted().map {
                let size = UInt64(device.whole[$0]?.count ?? 0)
                return BlobOutline.Blob(name: $0, size: size, held: size)
            }, asksAgain: asksAgain)
    }

    func bytes(of name: BlobName, from offset: UInt64, count: Int) throws -> [UInt8] {
        Array((device.whole[name] ?? []).dropFirst(Int(offset)).prefix(count))
    }

    func take(_ part: BlobPart) throws -> UInt64? {
        guard case .held(let holding)? = device.take(part) else { return nil }
        if holding.isWhole { sent.insert(part.name) }
        return holding.held
    }

    func noteSent(_ name: BlobName) throws { sent.insert(name) }
    func noteUnsent(_ name: BlobName) throws { sent.remove(name) }
    func noteRefused(_ name: BlobName, _ refusal: Refusal) throws { refused[name] = refusal }

    func blobs(_ request: BlobRequest) throws(TransportFailure) -> BlobReply? {
        guard knowsBlobs else { return nil }
        requests.append(request)
        carriedBytes += request.part?.bytes.count ?? 0
        let fault = faults.isEmpty ? .none : faults.removeFirst()
        if fault == .lostRequest { throw .unreachable("lost") }
        let reply = answer(request)
        carriedBytes += reply.holdings.reduce(0) { $0 + ($1?.bytes.count ?? 0) }
        if fault == .lostReply { throw .timedOut("lost") }
        do {
            // As it travels.
            let sent = try BlobRequest(decoding: request.encode())
            let read = try BlobReply(decoding: reply.encode())
            #expect(sent == request && read == reply)
        } catch {
            Issue.record("\(error)")
        }
        return reply
    }

    private func answer(_ request: BlobRequest) -> BlobReply {
        var taken: BlobReply.Taken?
        if let part = request.part {
            taken =
                named.contains(part.name)
                ? hub.take(part) : .refused(Refusal(.scope, "no record names it"))
        }
        var room = Limits.blobPartBytes
        let holdings = request.asks.map { ask -> BlobReply.Holding? in
            if let bytes = hub.whole[ask.name] {
                let size = UInt64(bytes.count)
                var holding = BlobReply.Holding(held: size, size: size)
                if let offset = ask.offset, offset < size {
                    holding.bytes = Array(bytes.dropFirst(Int(offset)).prefix(room))
                    room -= holding.bytes.count
                }
                return holding
            }
            return hub.parts[ask.name].map {
                BlobReply.Holding(held: UInt64($0.bytes.count), size: UInt64($0.size))
            }
        }
        return BlobReply(holdings: holdings, taken: taken)
    }

    func run(
        _ extent: BlobDriver.Extent = .sendAndFetch, goesOn: @escaping () -> Bool = { true }
    ) throws -> (outcome: BlobDriver.Outcome, progress: BlobDriver.Progress) {
        try BlobDriver(port: self, hub: self, goesOn: goesOn).run(extent)
    }
}

@Suite struct BlobSessions {
    private static func photo(_ size: Int, _ seed: UInt64) -> [UInt8] {
        var state = seed
        return (0..<size).map { _ in
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return UInt8(truncatingIfNeeded: state >> 56)
        }
    }

    private static let part = Limits.blobPartBytes

    /// Of sizes around a range's, on both sides.
    private func world() -> (world: BlobWorld, total: Int) {
        let world = BlobWorld()
        var total = 0
        for (number, size) in [1, Self.part - 1, Self.part, Self.part + 1, 3 * Self.part + 7]
            .enumerated()
        {
            _ = world.add(Self.photo(size, UInt64(number)), at: \.device)
            _ = world.add(Self.photo(size, UInt64(number + 100)), at: \.hub)
            total += 2 * size
        }
        return (world, total)
    }

    @Test func `both ways at once, a range at a time, and nothing twice`() throws {
        let (world, total) = world()
        let (outcome, progress) = try world.run()
        #expect(outcome == .completed)
        #expect(progress.sentCount == 5 && progress.receivedCount == 5)
        #expect(progress.unsentCount == 0 && progress.lackingCount == 0)
        #expect(world.device.whole == world.hub.whole)
        #expect(world.carriedBytes == total)
        // One to compare; then as many as the ranges of the way that has more to carry.
        #expect(progress.roundTrips == 1 + 9)
        // And then nothing is asked any more.
        #expect(try world.run().progress.roundTrips == 0)
    }

    /// Every sequence of three faults, wherever they strike.
    @Test(arguments: 0..<12)
    func `a fault costs one range, and both sides are equal in the end`(first: Int) throws {
        for kinds in 0..<8 {
            let (world, total) = world()
            world.faults = Array(repeating: .none, count: first)
            for bit in 0..<3 {
                world.faults.append(kinds >> bit & 1 == 0 ? .lostRequest : .lostReply)
                world.faults.append(.none)
            }
            var failures = 0
            while true {
                let (outcome, progress) = try world.run()
                if outcome == .completed {
                    #expect(progress.unsentCount == 0 && progress.lackingCount == 0)
                    break
                }
                failures += 1
                try #require(failures < 10)
            }
            #expect(world.device.whole == world.hub.whole)
            #expect(world.sent == world.named)
            // A range each way is what a message carries.
            #expect(world.carriedBytes <= total + failures * 2 * Self.part)
        }
    }

    @Test func `what the hub has lost since is noticed, and goes again`() throws {
        let (world, _) = world()
        _ = try world.run()
        let lost = try #require(world.hub.whole.keys.min())
        world.hub.whole[lost] = nil
        // Nobody asks, until something else does, or it is long ago.
        #expect(try world.run().progress.roundTrips == 0)
        world.asksAgain = true
        let progress = try world.run().progress
        #expect(progress.sentCount == 1 && progress.unsentCount == 0)
        #expect(world.hub.whole == world.device.whole)
        world.asksAgain = false
        world.hub.whole[lost] = nil
        _ = world.add(Self.photo(5, 77), at: \.device)
        #expect(try world.run().progress.sentCount == 2)
        #expect(world.hub.whole == world.device.whole)
    }

    /// Forward and back, and never whole.
    @Test func `a hub that takes what it had before ends it`() throws {
        final class Swaying: BlobHubPort {
            var count: UInt64 = 0
            func blobs(_ request: BlobRequest) throws(TransportFailure) -> BlobReply? {
                count += 1
                let held = [0, 100, 50][Int(count % 3)] as UInt64
                return BlobReply(
                    holdings: request.asks.map { _ in nil },
                    taken: request.part.map {
                        .held(BlobReply.Holding(held: held, size: $0.size))
                    })
            }
        }
        let world = BlobWorld()
        _ = world.add(Self.photo(1_000, 1), at: \.device)
        let hub = Swaying()
        let (outcome, progress) = try BlobDriver(port: world, hub: hub).run(.send)
        #expect(outcome == .completed && progress.refusals.map(\.code) == [.retry])
        #expect(hub.count < 12)
    }

    @Test func `only what the hub lacks goes where the rest isn't asked for`() throws {
        let (world, _) = world()
        let (outcome, progress) = try world.run(.send)
        #expect(outcome == .completed)
        #expect(progress.sentCount == 5 && progress.receivedCount == 0)
        #expect(progress.lackingCount == 5)
        #expect(world.requests.allSatisfy { $0.asks.allSatisfy { $0.offset == nil } })
    }

    @Test func `who is told nothing asks nothing, and goes on from what is taken`() throws {
        let (world, total) = world()
        world.faults = [.none, .none, .none, .lostReply]
        #expect(try world.run(.bring).outcome != .completed)
        let (outcome, progress) = try world.run(.bring)
        #expect(outcome == .completed && progress.unsentCount == 0)
        #expect(world.requests.allSatisfy { $0.asks.isEmpty && $0.part != nil })
        #expect(world.carriedBytes <= total / 2 + 2 * Self.part)
        // What it has had is not brought again.
        world.asksAgain = true
        #expect(try world.run(.bring).progress.roundTrips == 0)
    }

    @Test func `it stops where it is told to, and goes on from there`() throws {
        let (world, total) = world()
        var left = 4
        let (outcome, progress) = try world.run {
            left -= 1
            return left >= 0
        }
        #expect(outcome == .interrupted)
        #expect(progress.roundTrips == 4)
        #expect(try world.run().outcome == .completed)
        #expect(world.carriedBytes == total)
    }

    @Test func `a hub that knows nothing of blobs is asked once`() throws {
        let (world, _) = world()
        world.knowsBlobs = false
        let (outcome, progress) = try world.run()
        #expect(outcome == .unknownToHub)
        #expect(progress.unsentCount == 5)
        #expect(world.sent.isEmpty)
    }

    @Test func `what the hub refuses waits, and holds nothing else back`() throws {
        let (world, _) = world()
        let name = try #require(world.device.whole.keys.min())
        world.named.remove(name)
        // It is named here, and at the hub by nobody.
        let outline = try world.outline()
        world.named.insert(name)
        #expect(outline.unsent.count == 4)
        final class Deaf: BlobHubPort {
            let world: BlobWorld
            let name: BlobName
            init(_ world: BlobWorld, _ name: BlobName) { (self.world, self.name) = (world, name) }
            func blobs(_ request: BlobRequest) throws(TransportFailure) -> BlobReply? {
                world.named.remove(name)
                defer { world.named.insert(name) }
                return try world.blobs(request)
            }
        }
        let (outcome, progress) = try BlobDriver(port: world, hub: Deaf(world, name)).run(
            .sendAndFetch)
        #expect(outcome == .completed)
        #expect(progress.sentCount == 4 && progress.receivedCount == 5)
        #expect(progress.unsentCount == 1)
        #expect(progress.refusals.map(\.code) == [.scope])
        #expect(world.refused.keys.first == name)
    }

    @Test func `other bytes than the name's are asked for anew the next time`() throws {
        let world = BlobWorld()
        let name = world.add(Self.photo(Self.part * 2, 1), at: \.hub)
        // What lies here of it isn't its beginning.
        world.device.parts[name] = (Self.part * 2, Self.photo(Self.part, 9))
        let (outcome, progress) = try world.run()
        #expect(outcome == .completed)
        #expect(progress.receivedCount == 0 && progress.lackingCount == 1)
        #expect(progress.refusals.map(\.code) == [.poison])
        #expect(try world.run().progress.receivedCount == 1)
    }

    @Test func `of another size at the hub, its first bytes count for nothing`() throws {
        let world = BlobWorld()
        let bytes = Self.photo(Self.part * 2, 1)
        let name = world.add(bytes, at: \.device)
        world.hub.parts[name] = (17, [1, 2, 3])
        #expect(try world.run().progress.sentCount == 1)
        #expect(world.hub.whole[name] == bytes)
    }

    /// Answers that don't fit end it: nothing is taken in, and it doesn't go round for ever.
    @Test(arguments: 0..<5)
    func `answers that make no sense end it`(kind: Int) throws {
        final class Odd: BlobHubPort {
            let kind: Int
            var count = 0
            init(_ kind: Int) { self.kind = kind }
            func blobs(_ request: BlobRequest) throws(TransportFailure) -> BlobReply? {
                count += 1
                let size: UInt64 = 9
                let whole = BlobReply.Holding(held: size, size: size)
                let asksBytes = request.asks.contains { $0.offset != nil }
                let holdings: [BlobReply.Holding?] =
                    switch kind {
                    case 0: []
                    case 1:
                        request.asks.map { _ in
                            BlobReply.Holding(
                                held: size, size: size,
                                bytes: asksBytes ? [UInt8](repeating: 1, count: 10) : [])
                        }
                    // Whole, and never any bytes.
                    case 2: request.asks.map { _ in whole }
                    // Of a size that no blob has.
                    case 3: request.asks.map { _ in BlobReply.Holding(held: .max, size: .max) }
                    default: request.asks.map { _ in nil }
                    }
                let taken: BlobReply.Taken? = request.part.map { part in
                    // It never gets further.
                    .held(BlobReply.Holding(held: 0, size: part.size))
                }
                return BlobReply(holdings: holdings, taken: kind == 4 ? nil : taken)
            }
        }
        let world = BlobWorld()
        _ = world.add(Self.photo(9, 1), at: \.device)
        world.named.insert(BlobName(scope: "forum", digest: Digest(sha256: [5])))
        let hub = Odd(kind)
        let (outcome, progress) = try BlobDriver(port: world, hub: hub).run(.sendAndFetch)
        #expect(hub.count < 10)
        #expect(world.device.whole.count == 1 && progress.receivedCount == 0)
        // A hub that says that it holds all is believed.
        #expect(progress.unsentCount == ([1, 2].contains(kind) ? 0 : 1))
        if [0, 1, 4].contains(kind) {
            guard case .failed(.notOurHub) = outcome else {
                Issue.record("\(outcome)")
                return
            }
        } else {
            #expect(outcome == .completed && !progress.refusals.isEmpty)
        }
    }
}
