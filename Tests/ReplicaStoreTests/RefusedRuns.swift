import Causality
import Merge
import RecordSchema
import ReplicaStore
import SyncProtocol
import Testing

/// Runs that must not be taken: the state stays as it was, to the last byte.
@Suite struct RefusedRuns {
    private func fill(_ replica: Replica, _ count: Int = 3) throws -> [SealedRun] {
        for number in 0..<count {
            try replica.write { transaction in
                let id = try transaction.insert(
                    into: Sample.note, [.text("note \(number)"), nil, nil, nil, nil])
                try transaction.add(Sample.note, id, Sample.column("tags"), [.text("t")])
            }
            try replica.seal()
        }
        return try replica.sealedRuns(after: VersionVector())
    }

    private func code(_ result: IngestResult) -> Refusal.Code? {
        if case .refused(let refusal) = result { refusal.code } else { nil }
    }

    @Test func `a run with any flipped byte changes nothing`() throws {
        let bench = try Bench()
        let a = try bench.create("a")
        let b = try bench.create("b")
        let runs = try fill(a)
        _ = try b.ingest([runs[0]])
        let before = (try b.stateHash(), b.versionVector())
        let run = runs[1]
        var (refused, unreadable) = (0, 0)
        func offer(_ head: [UInt8], _ signature: [UInt8], _ body: [UInt8]) throws {
            guard let damaged = try? SealedRun(headerBytes: head, signature: signature, body: body)
            else {
                unreadable += 1
                return
            }
            let result = try b.ingest([damaged])[0]
            guard let code = code(result) else {
                Issue.record("a damaged run was taken: \(result)")
                return
            }
            #expect(Set([.poison, .gap, .upgrade]).contains(code))
            refused += 1
        }
        for index in run.headerBytes.indices {
            var head = run.headerBytes
            head[index] ^= 1 << UInt8(index % 8)
            try offer(head, run.signature, run.body)
        }
        for index in run.signature.indices {
            var signature = run.signature
            signature[index] ^= 1 << UInt8(index % 8)
            try offer(run.headerBytes, signature, run.body)
        }
        for index in run.body.indices {
            var body = run.body
            body[index] ^= 1 << UInt8(index % 8)
            try offer(run.headerBytes, run.signature, body)
        }
        #expect(refused > 100)
        #expect(refused + unreadable == run.headerBytes.count + 64 + run.body.count)
        #expect(try b.stateHash() == before.0)
        #expect(b.versionVector() == before.1)
        #expect(try b.verify().problems == [])
        #expect(try b.ingest(Array(runs[1...])).allSatisfy { code($0) == nil })
        #expect(try b.stateHash() == a.stateHash())
    }

    @Test func `a gap in a stream or before a dependency is refused, and filled later`() throws {
        let bench = try Bench()
        let a = try bench.create("a")
        let b = try bench.create("b")
        let c = try bench.create("c")
        let runs = try fill(a)
        try carry(from: a, to: b)
        let id = try b.query("SELECT id FROM note ORDER BY id LIMIT 1")
        guard case .blob(let bytes) = id[0][0], let name = Identifier(bytes) else { return }
        try b.write { try $0.delete(Sample.note, RowID(name)) }
        try b.seal()
        let later = try b.sealedRuns(after: a.versionVector())
        let before = try c.stateHash()
        let results = try c.ingest([runs[1], runs[2]] + later)
        #expect(results.map(code) == [.gap, .gap, .gap])
        #expect(try c.stateHash() == before)
        #expect(c.versionVector().isEmpty)
        // In one call, but in the wrong order: what comes too early is refused.
        #expect(try c.ingest([runs[1], runs[0]] + later).map(code) == [.gap, nil, .gap])
        try carry(from: b, to: c)
        #expect(try c.stateHash() == b.stateHash())
    }

    @Test func `a run of another scope or by another key is refused`() throws {
        let bench = try Bench()
        let b = try bench.create("b")
        let (key, other) = (DeviceKey(), DeviceKey())
        var writer = BodyWriter(
            stream: StreamID(device: key.device, scope: "forum", incarnation: 0), previousRun: nil)
        writer.begin(seq: 1, time: HybridTime(milliseconds: 1))
        writer.row(table: 1, id: RowID(Identifier(high: 0, low: 1)), name: .whole, itemCount: 2)
        writer.put(column: 1, .plain(.text("x")))
        let body = writer.finish(author: "", claimedMilliseconds: 1, action: nil).bytes
        func run(scope: String, signer: DeviceKey) -> SealedRun {
            let origin = StreamOrigin(publicKey: key.publicKey, scope: scope, incarnation: 0)
            return SealedRun(
                sealing: body, stream: origin.stream, firstSeq: 1, count: 1, previous: nil,
                dependencies: [], schemaVersion: 1, origin: origin, key: signer)
        }
        let before = try b.stateHash()
        let results = try b.ingest([
            run(scope: "elsewhere", signer: key), run(scope: "forum", signer: other),
        ])
        #expect(results.map(code) == [.scope, .poison])
        #expect(try b.stateHash() == before)
        #expect(b.versionVector().isEmpty)
        #expect(try b.ingest([run(scope: "forum", signer: key)]).map(code) == [nil])
        #expect(try b.verify().problems == [])
    }
}
