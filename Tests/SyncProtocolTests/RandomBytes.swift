import Causality
import SyncProtocol
import TestSupport
import Testing

/// Bytes that nobody meant: every decoder must give an error or a value, and never stop the
/// program. KARVAN_SEED is not needed: the seeds are fixed.
@Suite struct RandomBytes {
    /// Offers bytes to every decoder.
    ///
    /// - Returns: how many took them.
    private static func offer(_ bytes: [UInt8], _ sampler: Sampler) -> Int {
        var taken = 0
        func take(_ decode: () throws -> Void) {
            do {
                try decode()
                taken += 1
            } catch {}
        }
        take { _ = try SyncRequest(decoding: bytes) }
        take { _ = try SyncReply(decoding: bytes) }
        take { _ = try Refusal(decoding: bytes) }
        take { _ = try EnrolmentRequest(decoding: bytes) }
        take { _ = try EnrolmentReply(decoding: bytes) }
        take {
            let run = try SealedRun(headerBytes: bytes, signature: [], body: bytes)
            _ = try run.changesets(namespace: [])
        }
        take {
            var decoder = CBORDecoder(bytes)
            while !decoder.isAtEnd { try decoder.skip() }
        }
        take {
            var decoder = CBORDecoder(bytes)
            _ = try decoder.value()
        }
        take {
            var reader = sampler.reader(bytes, firstSeq: 1_000, streams: sampler.others)
            while try reader.next() != nil {}
        }
        return taken
    }

    @Test func `a hundred thousand random inputs stop no decoder`() {
        let sampler = Sampler(seed: 1)
        var generator = SplitMix64(seed: 77)
        var taken = 0
        for _ in 0..<100_000 {
            let count = generator.below(64)
            // Heads that mean something come up more often than in even bytes.
            let bytes = (0..<count).map { _ in
                generator.chance(1, in: 2)
                    ? UInt8(truncatingIfNeeded: generator.next())
                    : [0x80, 0x81, 0x83, 0x84, 0x9b, 0xa1, 0x00, 0x02, 0x10, 0xf6, 0x40, 0x61][
                        generator.below(12)]
            }
            taken += Self.offer(bytes, sampler)
        }
        print("random bytes: \(taken) of 900000 offers taken")
    }

    @Test func `a hundred thousand damaged messages and bodies stop no decoder`() {
        var generator = SplitMix64(seed: 78)
        var sampler = Sampler(seed: 2)
        var writer = sampler.writer()
        var seeds: [[UInt8]] = []
        var body: [UInt8] = []
        for _ in 0..<30 {
            let bytes = sampler.write(sampler.draft(), to: &writer).bytes
            seeds.append(bytes)
            body += bytes
        }
        seeds.append(body)
        for _ in 0..<6 {
            seeds.append(Messages.request(&generator).encode())
            seeds.append(Messages.answer(&generator).encode())
        }
        let run = SampleRun(seed: 3).run
        seeds += [run.headerBytes, Refusal(.gap, "x").encode()]
        seeds.append(
            EnrolmentRequest(secret: SampleRun.seedBytes, name: "n", key: DeviceKey()).encode())
        var taken = 0
        for _ in 0..<100_000 {
            var bytes = generator.pick(seeds) ?? []
            for _ in 0...generator.below(3) { Self.damage(&bytes, &generator) }
            taken += Self.offer(bytes, sampler)
        }
        print("damaged bytes: \(taken) of 900000 offers taken")
    }

    private static func damage(_ bytes: inout [UInt8], _ generator: inout SplitMix64) {
        guard !bytes.isEmpty else { return }
        let index = generator.below(bytes.count)
        switch generator.below(7) {
        case 0: bytes[index] ^= 1 << UInt8(generator.below(8))
        case 1: bytes[index] = UInt8(truncatingIfNeeded: generator.next())
        case 2: bytes.remove(at: index)
        case 3: bytes.insert(UInt8(truncatingIfNeeded: generator.next()), at: index)
        case 4: bytes.removeSubrange(index..<min(bytes.count, index + 1 + generator.below(20)))
        case 5:
            let other = generator.below(bytes.count)
            bytes.insert(
                contentsOf: bytes[min(index, other)..<max(index, other)].prefix(64), at: index)
        default:
            // A length of any size where some item begins.
            bytes.replaceSubrange(
                index...index,
                with: [bytes[index] & 0xe0 | 27] + (0..<8).map { _ in UInt8(generator.below(256)) })
        }
    }
}
