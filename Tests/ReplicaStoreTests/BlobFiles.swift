import Causality
import Foundation
import ReplicaStore
import SyncProtocol
import TestSupport
import Testing

/// What lies beside a replica: whole under its hash, or the first bytes of it, whatever comes.
@Suite struct BlobFiles {
    private let bench: Bench
    private let folder: BlobFolder
    private let photo = (0..<700_000).map { UInt8(truncatingIfNeeded: $0 &* 31 &+ $0 >> 9) }

    init() throws {
        bench = try Bench(isVolatile: true)
        folder = BlobFolder(replica: bench.directory.appending(path: "L1.sqlite").path)
    }

    private var name: BlobName { BlobName(scope: "forum", digest: Digest(sha256: photo)) }

    private func part(_ offset: Int, _ count: Int, size: Int? = nil, flipped: Bool = false)
        -> BlobPart
    {
        var bytes = Array(photo[offset..<offset + count])
        if flipped { bytes[0] ^= 1 }
        return BlobPart(
            name: name, size: UInt64(size ?? photo.count), offset: UInt64(offset), bytes: bytes)
    }

    private func file(_ name: String, _ bytes: [UInt8]) throws -> String {
        let url = bench.directory.appending(path: name)
        try Data(bytes).write(to: url)
        return url.path
    }

    @Test func `a file is kept whole, once, under its hash`() throws {
        let source = try file("bus.jpg", photo)
        for _ in 0..<2 {
            let kept = try folder.add(file: source, scope: "forum")
            #expect(kept.digest == name.digest && kept.size == 700_000)
        }
        try FileManager.default.removeItem(atPath: source)
        #expect(folder.entries().map(\.name) == [name])
        #expect(try folder.bytes(of: name, from: 699_990, count: 100) == Array(photo.suffix(10)))
        #expect(folder.damaged().isEmpty)
        // The same bytes in another scope are another blob.
        let other = BlobName(scope: "delegation/KZ", digest: name.digest)
        #expect(folder.entry(other) == nil)
    }

    @Test func `what is empty, too long, no file or not there is told by name`() throws {
        let long = bench.directory.appending(path: "long.jpg").path
        _ = FileManager.default.createFile(atPath: long, contents: nil)
        truncate(long, off_t(Limits.blobBytes) + 1)
        for (source, words) in [
            (try file("empty.jpg", []), "is empty"), (long, "at most 33554432"),
            (bench.directory.path, "is no file"), ("/nowhere/x.jpg", "can't be read"),
        ] {
            do {
                _ = try folder.add(file: source, scope: "forum")
                Issue.record("\(source) was taken")
            } catch {
                #expect(error.explanation.contains(words), "\(error.explanation)")
                #expect(error.explanation.contains(source))
            }
        }
        #expect(folder.entries().isEmpty)
    }

    @Test func `ranges count where they follow on each other, and only there`() throws {
        #expect(try folder.take(part(0, 300_000), isSent: true) == .held(300_000, of: 700_000))
        // Again, from behind, and over what is there.
        for odd in [part(0, 10), part(400_000, 10), part(299_999, 10)] {
            #expect(try folder.take(odd, isSent: true) == .held(300_000, of: 700_000))
        }
        // It isn't there before it is whole.
        #expect(folder.file(holding: name) == nil)
        #expect(folder.entry(name)?.held == 300_000)
        // Of another size, from the middle: nothing; another run of the program goes on.
        #expect(
            try folder.take(part(300_000, 10, size: 650_000), isSent: true)
                == .held(300_000, of: 700_000))
        #expect(
            try folder.take(part(300_000, 400_000), isSent: true) == .held(700_000, of: 700_000))
        #expect(folder.entries().map(\.isSent) == [true])
        #expect(try folder.take(part(0, 1, size: 5), isSent: true) == .held(700_000, of: 700_000))
        #expect(try folder.bytes(of: name, from: 0, count: 1_000_000) == photo)
    }

    @Test func `another size begins anew from its first byte`() throws {
        #expect(try folder.take(part(0, 9, size: 20), isSent: false) == .held(9, of: 20))
        #expect(try folder.take(part(0, 300_000), isSent: false) == .held(300_000, of: 700_000))
        #expect(folder.entries().count == 1)
        #expect(
            try folder.take(part(300_000, 400_000), isSent: false) == .held(700_000, of: 700_000))
        #expect(folder.entries().map(\.isSent) == [false])
    }

    @Test func `other bytes than the name's go when the last has come`() throws {
        _ = try folder.take(part(0, 300_000, flipped: true), isSent: true)
        #expect(try folder.take(part(300_000, 400_000), isSent: true) == .otherBytes)
        #expect(folder.entries().isEmpty)
        #expect(try folder.take(part(0, 700_000), isSent: true) == .held(700_000, of: 700_000))
    }

    @Test func `what the hub holds is noted, and forgotten with the hub`() throws {
        _ = try folder.add(file: try file("bus.jpg", photo), scope: "forum")
        #expect(folder.entries().map(\.isSent) == [false])
        for time in [5_000, 1_764_000_000_123] { try folder.markSent(name, at: Int64(time)) }
        #expect(folder.entries().map(\.isSent) == [true])
        #expect(try folder.bytes(of: name, from: 0, count: 3) == Array(photo.prefix(3)))
        try folder.markUnsent(name)
        #expect(folder.entries().map(\.isSent) == [false])
        try folder.markSent(name, at: 1)
        try folder.forgetSent()
        #expect(folder.entries().map(\.isSent) == [false])
    }

    @Test func `what one sender brings is none of another's`() throws {
        #expect(
            try folder.take(part(0, 300_000), from: "a", isSent: false)
                == .held(300_000, of: 700_000))
        // Neither bytes that aren't the blob's nor another size touch it.
        #expect(try folder.take(part(0, 1, size: 1), from: "b", isSent: false) == .otherBytes)
        #expect(
            try folder.take(part(0, 9, flipped: true), from: "b", isSent: false)
                == .held(9, of: 700_000))
        #expect(folder.part(name, from: "a")?.held == 300_000)
        #expect(folder.part(name, from: "b")?.held == 9 && folder.entry(name) == nil)
        #expect(
            try folder.take(part(300_000, 400_000), from: "a", isSent: false)
                == .held(700_000, of: 700_000))
        // What another had begun stays until he is told; who is told nothing brings all of it.
        #expect(folder.entries().count == 2)
        #expect(
            try folder.take(part(9, 5), from: "b", isSent: false) == .held(700_000, of: 700_000))
        #expect(folder.entries().map(\.isWhole) == [true])
        #expect(
            try folder.take(part(0, 5), from: "c", isSent: false) == .held(700_000, of: 700_000))
        #expect(
            try folder.take(part(0, 5), from: "c", isSent: false, mustBring: true)
                == .held(5, of: 700_000))
        #expect(
            try folder.take(part(5, 699_995), from: "c", isSent: false, mustBring: true)
                == .held(700_000, of: 700_000))
        #expect(folder.entries().map(\.isWhole) == [true])
    }

    @Test func `what is removed is overwritten first, whole or not`() throws {
        for isWhole in [false, true] {
            _ = try folder.take(part(0, isWhole ? 700_000 : 300_000), isSent: true)
            let entry = try #require(folder.entry(name))
            let scope = URL(filePath: folder.path).appending(path: "forum")
            let found = try FileManager.default.contentsOfDirectory(atPath: scope.path)
            let file = scope.appending(path: try #require(found.first)).path
            // A second name of the same bytes shows what became of them.
            let witness = bench.directory.appending(path: "witness-\(isWhole)").path
            #expect(link(file, witness) == 0)
            try folder.remove(entry)
            #expect(folder.entries().isEmpty)
            let left = try #require(FileManager.default.contents(atPath: witness))
            #expect(left.count == Int(entry.held) && left.allSatisfy { $0 == 0 })
        }
    }

    @Test func `bits that a disk turned are found, and replaced by who has the file`() throws {
        let source = try file("bus.jpg", photo)
        _ = try folder.add(file: source, scope: "forum")
        let kept = try #require(folder.file(holding: name))
        let handle = try #require(FileHandle(forUpdatingAtPath: kept))
        try handle.seek(toOffset: 5)
        try handle.write(contentsOf: Data([photo[5] ^ 0x40]))
        try handle.close()
        #expect(folder.damaged().map(\.name) == [name])
        // A backup leaves it out, and says so.
        let backup = BlobFolder(replica: bench.directory.appending(path: "backup").path)
        let copied = try backup.copy(from: folder)
        #expect(copied.count == 0 && copied.damagedCount == 1)
        #expect(backup.entries().isEmpty)
        _ = try folder.add(file: source, scope: "forum")
        #expect(folder.damaged().isEmpty)
        #expect(try backup.copy(from: folder).count == 1)
        #expect(try backup.copy(from: folder).bytes == 700_000)
        #expect(try backup.bytes(of: name, from: 0, count: 1_000_000) == photo)
    }

    @Test(
        arguments: [
            "delegation/KZ", "..", ".", "../../etc", "a/../b", "\0", "ç/ə", "%2f", "_", "__2f",
            "a_b", String(repeating: "/", count: 64),
        ])
    func `no scope's name leads out of the folder, or to another's`(scope: String) throws {
        let name = BlobName(scope: scope, digest: name.digest)
        let part = BlobPart(name: name, size: 700_000, offset: 0, bytes: photo)
        #expect(try folder.take(part, isSent: false) == .held(700_000, of: 700_000))
        #expect(folder.entries().map(\.name) == [name])
        let made = try FileManager.default.contentsOfDirectory(atPath: folder.path)
        #expect(made.count == 1)
        #expect(
            try FileManager.default.contentsOfDirectory(atPath: bench.directory.path).count == 1)
        for other in ["delegation_KZ", "delegation_2fKZ", "", "forum"] where other != scope {
            #expect(folder.entry(BlobName(scope: other, digest: name.digest)) == nil)
        }
    }

    @Test func `files that are none of its are passed over`() throws {
        _ = try folder.take(part(0, 700_000), isSent: false)
        let scope = URL(filePath: folder.path).appending(path: "forum")
        for odd in [
            "adding-12", "notes.txt", "\(name.digest).part", "\(name.digest).x.part",
            "\(name.digest).3.part", "\(name.digest).sent.sent", String(repeating: "z", count: 64),
        ] {
            try Data(photo.prefix(9)).write(to: scope.appending(path: odd))
        }
        #expect(folder.entries().map(\.name) == [name])
        #expect(folder.entry(name)?.isWhole == true)
        // As its leftovers are: a program that was killed while it copied.
        _ = try folder.add(file: try file("other.jpg", Array(photo.dropFirst())), scope: "forum")
        #expect(folder.entries().count == 2)
    }
}
