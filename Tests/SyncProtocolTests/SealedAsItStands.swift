import Causality
import Merge
import SyncProtocol
import TestSupport
import Testing

/// What people recorded is sealed whatever it is: by columns where these say the same, else byte
/// for byte. No body stops the sealing.
@Suite struct SealedAsItStands {
    /// A body by rows, and what it needs to be sealed or read.
    private struct Rows {
        var sampler: Sampler
        var body: [UInt8] = []
        let count: Int
        let streams: [StreamID]
        let key: DeviceKey
        let origin: StreamOrigin

        init(seed: UInt64, count: Int) {
            let key = DeviceKey(seed: SampleRun.seedBytes) ?? DeviceKey()
            origin = StreamOrigin(publicKey: key.publicKey, scope: "forum", incarnation: 3)
            sampler = Sampler(seed: seed, stream: origin.stream)
            var writer = sampler.writer()
            for _ in 0..<count { body += sampler.write(sampler.draft(), to: &writer).bytes }
            streams = Array(writer.streams)
            (self.key, self.count) = (key, count)
        }

        /// - Parameter head: how far its author knew each other stream. Damage may name any seq.
        func sealed(
            _ body: [UInt8], count: Int, head: UInt64 = UInt64(Int64.max)
        ) -> SealedRun {
            SealedRun(
                sealing: body, stream: origin.stream, firstSeq: 1, count: count, previous: nil,
                dependencies: streams.map {
                    Dependency(
                        stream: $0, seq: head, run: Digest(sha256: $0.identifier.bytes))
                }, schemaVersion: 1, origin: origin, key: key, namespace: sampler.namespace)
        }

        func read(_ body: [UInt8]) throws -> [Changeset] {
            var reader = sampler.reader(body, streams: streams)
            var changesets: [Changeset] = []
            while let next = try reader.next() { changesets.append(next) }
            return changesets
        }

        /// Whether it lay by columns.
        func check(_ body: [UInt8], _ what: @autoclosure () -> String) throws -> Bool {
            let known = try? read(body)
            let run = sealed(body, count: max(1, known?.count ?? count))
            guard run.header.encoding.rawValue >= 2 else {
                #expect(try run.expandedBody() == body, "\(what())")
                return false
            }
            let expected = try #require(known, "\(what())")
            #expect(try run.changesets(namespace: sampler.namespace) == expected, "\(what())")
            return true
        }
    }

    @Test(arguments: [1, 2, 3] as [UInt64])
    func `a body with a damaged byte`(seed: UInt64) throws {
        let rows = Rows(seed: seed, count: 4)
        #expect(try rows.check(rows.body, "whole"))
        var (byColumns, asItStands): (Int, Int) = (0, 0)
        for place in rows.body.indices {
            for byte in [0x00, 0x1f, 0x3b, 0x61, 0x80, 0xa0, 0xc0, 0xe0, 0xf9, 0xff] as [UInt8] {
                var damaged = rows.body
                damaged[place] = byte
                if try rows.check(damaged, "byte \(place) is \(byte)") {
                    byColumns += 1
                } else {
                    asItStands += 1
                }
            }
        }
        #expect(byColumns > 100 && asItStands > 1_000)
    }

    @Test(arguments: [4, 5] as [UInt64])
    func `a body cut anywhere`(seed: UInt64) throws {
        let rows = Rows(seed: seed, count: 4)
        var byColumns = 0
        for end in rows.body.indices {
            byColumns += try rows.check(Array(rows.body[..<end]), "\(end) bytes") ? 1 : 0
        }
        // Where a changeset ends: behind none, one, two and three.
        #expect((3...4).contains(byColumns))
    }

    @Test func `what a reader takes for no body, in words of its own`() throws {
        let rows = Rows(seed: 1, count: 1)
        let (time, map) = ([0x1b, 0, 0, 2, 0, 0, 0, 0, 0] as [UInt8], [0xa1] as [UInt8])
        let odd: [(String, [UInt8])] = [
            ("no time", [0x82, 0x00, 0xf6]),
            ("a time that is too late", [0x82, 0x1b, 0x02, 0, 0, 0, 0, 0, 0, 0, 0xf6]),
            ("a count of the clock that is too large", [0x83, 0x19, 4, 1, 0x1a, 0, 1, 0, 0, 0xf6]),
            ("an action of 3 bytes", [0x82] + time + map + [2, 0x43, 1, 2, 3]),
            ("a key that nobody knows", [0x82] + time + [0xa1, 9, 0]),
            ("a key that is no number", [0x82] + time + map + [0x61, 0x61, 0]),
            ("a map that ends early", [0x82] + time + map + [1]),
            ("a row of two items", [0x83] + time + [0xf6, 0x82, 1, 0xf6]),
            ("a table past 32 bits", [0x83] + time + [0xf6, 0x83, 0x1b, 1, 0, 0, 0, 0, 0, 0, 0]),
            ("a row named by a map", [0x83] + time + [0xf6, 0x84, 1, 0xa0, 0x10, 1]),
            ("a row that was not named", [0x83] + time + [0xf6, 0x84, 1, 5, 0x10, 1]),
            ("a row's id of 2 bytes", [0x83] + time + [0xf6, 0x84, 1, 0x42, 0, 0, 0x10, 1]),
            ("an op of no shape", [0x83] + time + [0xf6, 0x84, 1, 0xf6, 0x1f, 1]),
            ("a value of no items", [0x83] + time + [0xf6, 0x84, 1, 0xf6, 0x10, 0x80]),
            (
                "a value of an unknown form",
                [0x83] + time + [0xf6, 0x84, 1, 0xf6, 0x10, 0x82, 9, 1]
            ),
            (
                "an integer past 63 bits",
                [0x83] + time + [0xf6, 0x84, 1, 0xf6, 0x10, 0x1b]
                    + Array(repeating: 0xff, count: 8)
            ),
            ("a head of no width", [0x83] + time + [0xf6, 0x84, 1, 0xf6, 0x10, 0x1f]),
            ("a tag", [0x83] + time + [0xf6, 0x84, 1, 0xf6, 0x10, 0xc0]),
            ("a real without its bytes", [0x83] + time + [0xf6, 0x84, 1, 0xf6, 0x10, 0xfb]),
            ("a dot of the future", [0x83] + time + [0xf6, 0x85, 1, 0xf6, 0x11, 1, 0x81, 6]),
            ("a dot without its seq", [0x83] + time + [0xf6, 0x85, 1, 0xf6, 0x11, 1, 0x81, 3]),
        ]
        for (name, body) in odd {
            #expect(try !rows.check(body, name), "\(name)")
            #expect(throws: CBORError.self, "\(name)") { try rows.read(body) }
        }
    }

    @Test func `a changeset too many for a run`() throws {
        let rows = Rows(seed: 1, count: 1)
        var writer = BodyWriter(stream: rows.origin.stream, previousRun: nil)
        var body: [UInt8] = []
        for seq in 1...UInt64(Limits.runChangesets) + 1 {
            writer.begin(seq: seq, time: HybridTime(milliseconds: Int64(seq)))
            body +=
                writer.finish(
                    author: "", claimedMilliseconds: Int64(seq), action: nil, source: ""
                ).bytes
        }
        #expect(try !rows.check(body, "1,025 changesets"))
    }

    @Test func `more rows of one changeset than have ids are refused by a reader`() throws {
        let rows = Rows(seed: 1, count: 1)
        func body(_ head: [UInt8], rowCount: Int) -> [UInt8] {
            // A table, a new row, and 1 in its column 1.
            head + [0x19, 4, 0, 0xf6]
                + repeatElement([0x84, 1, 0xf6, 0x10, 1], count: rowCount).joined()
        }
        let row = 9 + 5 * NewRowIDs.limit
        #expect(throws: CBORError(.tooLong, at: row + 3)) {
            try rows.read(body([0x9a, 0, 1, 0, 3], rowCount: NewRowIDs.limit + 1))
        }
    }

    @Test func `what its author did not hold is not referred to`() throws {
        var refused = 0
        for seed in 1...60 as ClosedRange<UInt64> {
            let rows = Rows(seed: seed, count: 1)
            let changesets = try rows.read(rows.body)
            let operations = changesets.flatMap(\.rows).flatMap(\.operations)
            let names = operations.flatMap { operation -> [Dot] in
                switch operation.action {
                case .put, .retract: operation.over
                case .resolve(_, let covers): operation.over + covers
                case .delete(let covers): operation.over + covers.map(\.dot)
                }
            }
            let run = rows.sealed(rows.body, count: 1, head: 250)
            if names.contains(where: { $0.stream != rows.origin.stream && $0.seq > 250 }) {
                refused += 1
                #expect(throws: RunError.dependency, "seed \(seed)") {
                    try run.changesets(namespace: rows.sampler.namespace)
                }
            } else {
                #expect(try run.changesets(namespace: rows.sampler.namespace) == changesets)
            }
        }
        #expect((10..<60).contains(refused))
    }
}
