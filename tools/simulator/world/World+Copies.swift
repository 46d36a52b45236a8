import Foundation
import ReplicaStore
import StoreTestSupport
import SyncProtocol
import TestSupport

/// Files that are copied or put back: whatever goes on under one name, all of it counts, once.
extension World {
    /// A replica's file is copied to another laptop while it is open, or its whole disk is.
    func copy(_ laptop: Laptop, wholeDisk: Bool, _ random: inout SplitMix64) throws -> String {
        guard laptops.count - scenario.laptopCount < Self.copyLimit else { return "no room" }
        let number = laptops.count
        let clock = SimulatedClock(time, seed: random.next())
        var copied: Laptop?
        let result = try laptop.attempt { laptop in
            copied = try Laptop(
                number, copyOf: laptop, path: path(ofLaptop: number), clock: clock,
                wholeDisk: wholeDisk)
            return "goes on as laptop \(number) as well"
        }
        guard let copied else { return result }
        ledger.noteCopies(of: laptop.replica.device)
        laptops.append(copied)
        if revoked.contains(laptop.number) { revoked.insert(number) }
        count(wholeDisk ? "fault: disk copied" : "fault: file copied")
        return result
    }

    private static let copyLimit = 3

    /// A person keeps a copy of a laptop's files, or puts one back: the files alone, or the disk with all
    /// that lies beside them.
    func putBack(_ laptop: Laptop, _ random: inout SplitMix64) throws -> String {
        guard let kept = random.pick(laptop.kept), random.chance(1, in: 2) else {
            laptop.keepFiles()
            return "is kept"
        }
        let wholeDisk = random.chance(1, in: 2)
        ledger.noteCopies(of: laptop.replica.device)
        ledger.noteLoss(by: laptop.number, since: kept.acknowledgedCount)
        try laptop.putBack(kept, wholeDisk: wholeDisk)
        count(wholeDisk ? "fault: disk put back" : "fault: file put back")
        return wholeDisk ? "goes back in time with its disk" : "goes back in time"
    }
}

/// A laptop's files as they lay at some time.
struct KeptFiles {
    static let beside = ".install"
    private static let suffixes = ["", "-wal", ".key", beside]

    private var files: [String: Data] = [:]
    /// So much had been acknowledged in the forum.
    var acknowledgedCount: Int

    init(path: String, acknowledgedCount: Int) {
        self.acknowledgedCount = acknowledgedCount
        for suffix in Self.suffixes {
            files[suffix] = FileManager.default.contents(atPath: path + suffix)
        }
    }

    /// - Parameter wholeDisk: also the file beside, which tells a copy from the file that it was made of.
    func write(to path: String, wholeDisk: Bool) throws {
        try? FileManager.default.removeItem(atPath: path + "-shm")
        for suffix in Self.suffixes where wholeDisk || suffix != Self.beside {
            try? FileManager.default.removeItem(atPath: path + suffix)
            try files[suffix]?.write(to: URL(filePath: path + suffix))
        }
    }
}
