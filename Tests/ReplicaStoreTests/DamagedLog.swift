import Foundation
import Merge
import ReplicaStore
import Testing

@Suite struct DamagedLog {
    @Test func `commits behind a flipped byte of the log are noticed, once`() throws {
        let bench = try Bench()
        let replica = try bench.create("a")
        for index in 0..<10 {
            try replica.write { transaction in
                try transaction.insert(
                    into: Sample.note, [.text("note \(index)"), nil, nil, nil, nil])
            }
        }
        // The files as a copy made at this moment has them: the log is not carried over yet.
        for suffix in ["", "-wal", ".key"] {
            try FileManager.default.copyItem(
                atPath: bench.path("a") + suffix, toPath: bench.path("b") + suffix)
        }
        let log = URL(filePath: bench.path("b") + "-wal")
        var bytes = try Data(contentsOf: log)
        bytes[bytes.count - 3 * 4_120 - 100] ^= 1
        try bytes.write(to: log)
        let damaged = try bench.open("b")
        #expect(try damaged.lostCommits() > 0)
        #expect(try damaged.verify().problems == [])
        let count = try damaged.lostCommits()
        damaged.close()
        let again = try bench.open("b").lostCommits()
        #expect(again == count, "the loss is counted once")
        let untouched = try bench.open("a").lostCommits()
        #expect(untouched == 0)
    }

    /// The log of a copy "b" with one note in it, whose original is still open.
    private func copyWithLog(in bench: Bench) throws -> URL {
        let replica = try bench.create("a")
        try replica.write { transaction in
            try transaction.insert(into: Sample.note, [.text("kept"), nil, nil, nil, nil])
        }
        for suffix in ["", "-wal", ".key"] {
            try FileManager.default.copyItem(
                atPath: bench.path("a") + suffix, toPath: bench.path("b") + suffix)
        }
        return URL(filePath: bench.path("b") + "-wal")
    }

    @Test func `what a killed process left without a commit is no loss`() throws {
        let bench = try Bench()
        let log = try copyWithLog(in: bench)
        var bytes = try Data(contentsOf: log)
        // The last frame again, not as a commit and with a wrong checksum.
        var frame = bytes.suffix(4_120)
        for index in 4..<8 { frame[frame.startIndex + index] = 0 }
        bytes.append(frame)
        try bytes.write(to: log)
        let opened = try bench.open("b")
        #expect(try opened.lostCommits() == 0)
        #expect(try opened.query("SELECT title FROM note") == [[.text("kept")]])
    }

    /// SQLite writes the header of a frame and then its page, over what an earlier log left there.
    @Test(arguments: [false, true])
    func `a process killed in the middle of its commit's frame lost nothing`(
        isFollowed: Bool
    ) throws {
        let bench = try Bench()
        let log = try copyWithLog(in: bench)
        var bytes = try Data(contentsOf: log)
        let frame = bytes.suffix(4_120)
        bytes.append(frame.prefix(24) + Data(repeating: 0x2a, count: 4_096))
        // Nobody goes on behind a commit that failed: with another frame it is damage.
        if isFollowed { bytes.append(frame) }
        try bytes.write(to: log)
        let opened = try bench.open("b")
        #expect(try (opened.lostCommits() > 0) == isFollowed)
        #expect(try opened.query("SELECT title FROM note") == [[.text("kept")]])
    }
}
