import Causality
import Merge
import SyncProtocol
import Testing

@Suite struct Runs {
    /// The first reason why a run is not taken; `nil` when it reads as it says.
    private func fault(_ head: [UInt8], _ signature: [UInt8], _ body: [UInt8], _ key: [UInt8])
        -> String?
    {
        do {
            let run = try SealedRun(headerBytes: head, signature: signature, body: body)
            try run.verify(publicKey: key)
            _ = try run.changesets(namespace: Array("sample".utf8))
            return nil
        } catch {
            return "\(error)"
        }
    }

    @Test func `a run reads as it was sealed`() throws {
        for seed in 1...100 as ClosedRange<UInt64> {
            let sample = SampleRun(seed: seed, count: Int(seed) % 20 + 1)
            try sample.run.verify(publicKey: sample.key.publicKey)
            #expect(try sample.run.changesets(namespace: sample.namespace) == sample.changesets)
            let again = try SealedRun(
                headerBytes: sample.run.headerBytes, signature: sample.run.signature,
                body: sample.run.body)
            #expect(again == sample.run)
            #expect(again.hash == sample.run.hash)
            #expect(again.header.origin?.incarnation == 3)
            #expect(again.header.lastSeq == UInt64(sample.changesets.count))
        }
    }

    @Test func `any flipped bit of header, signature or body is refused`() {
        // One that is stored as it is, and one that zstd made smaller.
        for (seed, count) in [(4, 1), (9, 40)] as [(UInt64, Int)] {
            let sample = SampleRun(seed: seed, count: count)
            let run = sample.run
            let key = sample.key.publicKey
            #expect(fault(run.headerBytes, run.signature, run.body, key) == nil)
            var flips = 0
            for part in 0..<3 {
                let parts = [run.headerBytes, run.signature, run.body]
                for bit in 0..<parts[part].count * 8 {
                    var damaged = parts
                    damaged[part][bit / 8] ^= 1 << UInt8(bit % 8)
                    #expect(fault(damaged[0], damaged[1], damaged[2], key) != nil, "\(part) \(bit)")
                    flips += 1
                }
            }
            print("run of \(run.header.encoding): \(flips) flipped bits refused")
        }
    }

    @Test func `a cut, longer or foreign part is refused`() {
        let sample = SampleRun(seed: 9)
        let (run, key) = (sample.run, sample.key.publicKey)
        let other = SampleRun(seed: 10).run
        for (head, signature, body) in [
            (run.headerBytes + [0], run.signature, run.body),
            (Array(run.headerBytes.dropLast()), run.signature, run.body),
            (run.headerBytes, run.signature + [0], run.body),
            (run.headerBytes, Array(run.signature.dropLast()), run.body),
            (run.headerBytes, [], run.body),
            (run.headerBytes, run.signature, run.body + [0]),
            (run.headerBytes, run.signature, Array(run.body.dropLast())),
            (run.headerBytes, other.signature, run.body),
            (run.headerBytes, run.signature, other.body),
            (other.headerBytes, run.signature, run.body),
        ] {
            #expect(fault(head, signature, body, key) != nil)
        }
        #expect(fault(run.headerBytes, run.signature, run.body, DeviceKey().publicKey) != nil)
        #expect(fault(run.headerBytes, run.signature, run.body, []) != nil)
    }

    @Test func `runs are linked, and each begins where the last ended`() throws {
        let first = SampleRun(seed: 1)
        let second = SampleRun(seed: 2, after: first)
        let third = SampleRun(seed: 3, after: second)
        for (run, previous) in [(second, first), (third, second)] {
            #expect(run.run.header.previous == previous.run.hash)
            #expect(run.run.header.firstSeq == previous.run.header.lastSeq + 1)
            #expect(run.run.header.origin == nil)
            try run.run.verify(publicKey: run.key.publicKey)
            #expect(try run.run.changesets(namespace: run.namespace) == run.changesets)
        }
        #expect(first.run.header.previous == nil)
    }

    /// A header by hand, signed by the owner of the stream.
    private func forge(
        _ sample: SampleRun, count: UInt64? = nil, size: UInt64? = nil, body: [UInt8]? = nil,
        dependencies: UInt64 = 300, deps: [Dependency]? = nil, first: UInt64 = 1,
        hasOrigin: Bool = true,
        hasPrevious: Bool = false, format: UInt64 = 1, encoding: UInt64? = nil, extra: UInt64? = nil
    ) -> (head: [UInt8], signature: [UInt8], body: [UInt8]) {
        let header = sample.run.header
        let body = body ?? sample.run.body
        var encoder = CBOREncoder()
        encoder.map(8 + (hasPrevious ? 1 : 0) + (hasOrigin ? 3 : 0) + (extra == nil ? 0 : 1))
        encoder.unsigned(0)
        encoder.unsigned(format)
        encoder.unsigned(1)
        encoder.blob(header.stream.identifier.bytes)
        encoder.unsigned(2)
        encoder.unsigned(first)
        encoder.unsigned(3)
        encoder.unsigned(count ?? UInt64(header.count))
        if hasPrevious {
            encoder.unsigned(4)
            encoder.blob([UInt8](repeating: 0, count: 32))
        }
        encoder.unsigned(5)
        encoder.blob(Digest(sha256: body).bytes)
        encoder.unsigned(6)
        let deps =
            deps
            ?? header.dependencies.map { dependency in
                Dependency(stream: dependency.stream, seq: dependencies, run: dependency.run)
            }
        encoder.array(deps.count)
        for dependency in deps {
            encoder.array(3)
            encoder.blob(dependency.stream.identifier.bytes)
            encoder.unsigned(dependency.seq)
            encoder.blob(dependency.run.bytes)
        }
        encoder.unsigned(7)
        encoder.unsigned(1)
        encoder.unsigned(8)
        encoder.array(2)
        encoder.unsigned(encoding ?? header.encoding.rawValue)
        encoder.unsigned(size ?? UInt64(header.expandedBytes))
        if hasOrigin {
            encoder.unsigned(9)
            encoder.blob(sample.key.publicKey)
            encoder.unsigned(10)
            encoder.text("forum")
            encoder.unsigned(11)
            encoder.unsigned(3)
        }
        if let extra {
            encoder.unsigned(extra)
            encoder.text("from the future")
        }
        return (
            encoder.bytes, sample.key.sign(Digest(.run, encoder.bytes)), body
        )
    }

    private func fault(
        _ parts: (head: [UInt8], signature: [UInt8], body: [UInt8]), _ sample: SampleRun
    ) -> String? {
        fault(parts.head, parts.signature, parts.body, sample.key.publicKey)
    }

    @Test func `a header that its owner signed and that does not tell the truth is refused`() {
        for count in [1, 60] {
            let sample = SampleRun(seed: 11, count: count)
            let size = UInt64(sample.run.header.expandedBytes)
            #expect(fault(forge(sample), sample) == nil, "the forger works")
            #expect(forge(sample).head == sample.run.headerBytes)
            #expect(fault(forge(sample, extra: 99), sample) == nil, "what comes later is kept")
            let wrong = [
                forge(sample, count: UInt64(count) + 1), forge(sample, count: 0),
                forge(sample, count: 1_025), forge(sample, size: size + 1),
                forge(sample, size: size - 1), forge(sample, size: 4 << 20 + 1),
                forge(sample, size: .max), forge(sample, dependencies: 0),
                forge(sample, first: 2), forge(sample, first: 0), forge(sample, first: .max),
                forge(sample, hasOrigin: false), forge(sample, hasPrevious: true),
                forge(sample, format: 0),
                forge(sample, encoding: sample.run.header.encoding.rawValue ^ 1),
                forge(sample, body: sample.run.body + [0]),
                forge(sample, body: Array(sample.run.body.dropLast())), forge(sample, body: []),
            ]
            for (index, parts) in wrong.enumerated() {
                #expect(fault(parts, sample) != nil, "fault \(index) of \(count) changesets")
            }
            if count > 1 {
                #expect(fault(forge(sample, count: UInt64(count) - 1), sample) != nil)
            }
        }
    }

    @Test func `of what only a later build can read it is known where it lies`() throws {
        let sample = SampleRun(seed: 11, count: 60)
        let whole = sample.run.header
        let later = [
            forge(sample, format: 2), forge(sample, format: .max), forge(sample, encoding: 4),
            forge(sample, encoding: .max, extra: 99), forge(sample, extra: 128),
        ]
        for parts in later {
            let run = try SealedRun(
                headerBytes: parts.head, signature: parts.signature, body: parts.body)
            #expect(run.header.needsLaterBuild)
            #expect(run.header.stream == whole.stream)
            #expect(run.header.lastSeq == whole.lastSeq)
            #expect(run.header.bodyHash == whole.bodyHash)
            #expect(run.header.origin == nil && run.header.dependencies.isEmpty)
            #expect(throws: Never.self) { try run.verify(publicKey: sample.key.publicKey) }
            let part = ExchangeRequest(scope: "forum", cursor: nil, ahead: [], runs: [run])
            let request = SyncRequest(
                parts: [part], pendingCount: 0, wallMilliseconds: 0, schemaVersion: 1)
            let read = try SyncRequest(decoding: request.encode())
            #expect(read.parts[0].runs[0].headerBytes == run.headerBytes)
        }
        let earlier = try SealedRun(
            headerBytes: forge(sample, extra: 127).head, signature: [], body: [])
        #expect(!earlier.header.needsLaterBuild)
        for parts in [
            forge(sample, first: 0, format: 2), forge(sample, count: 0, format: 2),
            forge(sample, hasPrevious: true, format: 2), forge(sample, first: 2, format: 2),
        ] {
            #expect(throws: CBORError.self) {
                try SealedRun(headerBytes: parts.head, signature: parts.signature, body: parts.body)
            }
        }
    }

    @Test func `a run that depends on its own stream, or on one twice, is refused by its header`() {
        let sample = SampleRun(seed: 11, count: 60)
        let deps = sample.run.header.dependencies
        let own = Dependency(
            stream: sample.run.header.stream, seq: 900, run: Digest(sha256: [1]))
        let invalid = CBORError.Reason.invalid
        #expect(!deps.isEmpty && fault(forge(sample, deps: deps), sample) == nil)
        for wrong in [deps + [own], [own] + deps, deps + [deps[0]]] {
            let parts = forge(sample, deps: wrong)
            let error = #expect(throws: CBORError.self) {
                try SealedRun(
                    headerBytes: parts.head, signature: parts.signature, body: parts.body)
            }
            #expect(error?.reason == invalid)
        }
    }

    @Test func `a dot by number is never one of the own stream`() throws {
        let key = SampleRun(seed: 1).key
        let own = StreamID(device: key.device, scope: "forum", incarnation: 3)
        let other = StreamID(device: DeviceKey().device, scope: "forum", incarnation: 0)
        var body = CBOREncoder()
        body.array(3)
        body.unsigned(2)
        body.null()
        body.array(5)
        body.unsigned(1)
        body.blob([UInt8](repeating: 7, count: 16))
        body.unsigned(1 << 4 | 1)
        body.null()
        body.array(2)
        body.unsigned(1)
        body.unsigned(10)
        func read(_ streams: [StreamID]) throws -> Changeset? {
            var reader = BodyReader(
                body: body.bytes, stream: own, firstSeq: 9, previousRun: nil, streams: streams,
                namespace: [])
            return try reader.next()
        }
        #expect(try read([other])?.rows[0].operations[0].over == [Dot(other, 10)])
        let error = #expect(throws: CBORError.self) { try read([own]) }
        #expect(error?.reason == .invalid)
    }

    @Test func `a body that expands to more than it says is not expanded`() throws {
        let sample = SampleRun(seed: 12)
        let zeros = [UInt8](repeating: 0, count: 4 << 20)
        let bomb = SealedRun(
            sealing: zeros, stream: sample.run.header.stream, firstSeq: 1, count: 1, previous: nil,
            dependencies: [], schemaVersion: 1,
            origin: StreamOrigin(publicKey: sample.key.publicKey, scope: "forum", incarnation: 3),
            key: sample.key)
        #expect(bomb.header.encoding == .zstd)
        #expect(bomb.body.count < 4_096)
        #expect(try bomb.expandedBody() == zeros)
        #expect(throws: RunError.self) { try bomb.changesets(namespace: []) }
        for size in [0, 1, 4_095, 4 << 20 - 1] as [UInt64] {
            let parts = forge(sample, size: size, body: bomb.body, encoding: 1)
            let run = try SealedRun(
                headerBytes: parts.head, signature: parts.signature, body: parts.body)
            try run.verify(publicKey: sample.key.publicKey)
            #expect(throws: RunError.size) { try run.expandedBody() }
        }
        // Two frames, or bytes behind one.
        let frameOfNothing: [UInt8] = [0x28, 0xb5, 0x2f, 0xfd, 0x20, 0, 1, 0, 0]
        let skippable: [UInt8] = [0x50, 0x2a, 0x4d, 0x18, 0, 0, 0, 0]
        for tail in [bomb.body, [0], [0x28, 0xb5, 0x2f, 0xfd], frameOfNothing, skippable] {
            let parts = forge(sample, size: 4 << 20, body: bomb.body + tail, encoding: 1)
            let run = try SealedRun(
                headerBytes: parts.head, signature: parts.signature, body: parts.body)
            #expect(throws: RunError.size) { try run.expandedBody() }
        }
    }

    @Test func `a stream belongs to the device, scope and incarnation that it is derived from`() {
        let key = DeviceKey()
        let streams = [
            StreamID(device: key.device, scope: "forum", incarnation: 0),
            StreamID(device: key.device, scope: "forum", incarnation: 1),
            StreamID(device: key.device, scope: "other", incarnation: 0),
            StreamID(device: DeviceKey().device, scope: "forum", incarnation: 0),
        ]
        #expect(Set(streams).count == 4)
        #expect(DeviceKey(seed: key.seed)?.publicKey == key.publicKey)
        #expect(DeviceKey(seed: []) == nil)
        let digest = Digest(.run, [1])
        #expect(DeviceKey.verify(key.sign(digest), of: digest, by: key.publicKey))
        #expect(!DeviceKey.verify(key.sign(digest), of: Digest(.feed, [1]), by: key.publicKey))
        #expect(Digest(.run, [1], [2]) != Digest(.run, [1, 2]))
        #expect(Digest(.run, [], [1]) != Digest(.run, [1], []))
    }
}
