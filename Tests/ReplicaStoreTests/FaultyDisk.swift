import CFaultVFS
import Foundation
import ReplicaStore

/// What a disk does at one point.
enum DiskFault: UInt32, CaseIterable, CustomStringConvertible {
    case kill = 1
    case lose, tear, full, sync

    var description: String {
        switch self {
        case .kill: "kill"
        case .lose: "lose what was not synced"
        case .tear: "tear what was not synced"
        case .full: "full disk"
        case .sync: "failed sync"
        }
    }
}

/// A disk that counts the points at which it could fail, and fails at one; see `karvan_fault.h`.
final class FaultyDisk {
    let name = "karvan-\(UUID().uuidString)"
    private let disk: OpaquePointer

    init() throws {
        guard let disk = karvan_disk_make(name) else { throw POSIXError(.ENOMEM) }
        self.disk = disk
    }

    deinit { karvan_disk_free(disk) }

    /// - Parameter point: from 1; 0 lets nothing fail.
    func arm(_ fault: DiskFault, at point: Int64, seed: UInt64) {
        let kind = karvan_fault(rawValue: point > 0 ? fault.rawValue : 0)
        karvan_disk_arm(disk, kind, max(point, 1), seed)
    }

    var points: Int64 { karvan_disk_points(disk) }
    var hasFired: Bool { karvan_disk_has_fired(disk) != 0 }
    /// Whether the process that used it is taken for ended.
    var isDead: Bool { karvan_disk_is_dead(disk) != 0 }

    func makeRoom() { karvan_disk_make_room(disk) }

    /// After everything was closed: the files are what a restarted machine finds.
    func restart() throws {
        guard karvan_disk_settle(disk) == 0 else { throw POSIXError(.EIO) }
    }
}
