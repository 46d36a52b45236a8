import Foundation
import StoreTestSupport
import TestSupport

/// Hubs that go back in time: what laptops hold must come back, whoever brings it.
extension World {
    /// An operator copies the hub's store, or puts an older copy in its place.
    func restoreHub(_ random: inout SplitMix64) throws -> String {
        guard let copy = random.pick(hub.copies), random.chance(1, in: 2) else {
            try hub.copyFiles()
            return "is copied"
        }
        try hub.putBack(copy)
        count("fault: hub restored")
        return "goes back in time"
    }
}

extension SimulatedHub {
    /// The store's files, by what follows its path. The one beside it that names what was written last is
    /// never put back: a copy without it is told by it.
    typealias Files = [String: Data]

    private static let suffixes = ["", "-wal"]

    func copyFiles() throws {
        var files: Files = [:]
        for suffix in Self.suffixes {
            files[suffix] = FileManager.default.contents(atPath: path + suffix)
        }
        copies.append(files)
    }

    func putBack(_ files: Files) throws {
        wentBack = true
        close()
        try disk.restart()
        for suffix in Self.suffixes + ["-shm"] {
            try? FileManager.default.removeItem(atPath: path + suffix)
            try files[suffix]?.write(to: URL(filePath: path + suffix))
        }
        try open()
    }
}
