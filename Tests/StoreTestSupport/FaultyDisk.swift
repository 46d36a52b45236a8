import CFaultVFS
import Foundation
import Synchronization

/// What a disk does at one point.
package enum DiskFault: UInt32, CaseIterable, CustomStringConvertible, Sendable {
    case kill = 1
    case lose, tear, full, sync

    package var description: String {
        switch self {
        case .kill: "kill"
        case .lose: "lose what was not synced"
        case .tear: "tear what was not synced"
        case .full: "full disk"
        case .sync: "failed sync"
        }
    }

    /// Whether the process that wrote is gone.
    package var endsProcess: Bool { self == .kill || self == .lose || self == .tear }
}

/// A disk that counts the points at which it could fail, and fails at one; see `karvan_fault.h`.
package final class FaultyDisk {
    package let name: String
    private let disk: OpaquePointer
    /// What was armed last, while it has not happened.
    package private(set) var fault: DiskFault?

    private static let count = Atomic<Int>(0)

    package init() throws {
        let number = Self.count.add(1, ordering: .relaxed).newValue
        name = "karvan-disk-\(number)"
        guard let disk = karvan_disk_make(name) else { throw POSIXError(.ENOMEM) }
        self.disk = disk
    }

    deinit { karvan_disk_free(disk) }

    /// - Parameter point: from 1; 0 lets nothing fail.
    package func arm(_ fault: DiskFault, at point: Int64, seed: UInt64) {
        let kind = karvan_fault(rawValue: point > 0 ? fault.rawValue : 0)
        self.fault = point > 0 ? fault : nil
        karvan_disk_arm(disk, kind, max(point, 1), seed)
    }

    package var points: Int64 { karvan_disk_points(disk) }
    package var hasFired: Bool { karvan_disk_has_fired(disk) != 0 }
    /// Whether the process that used it is taken for ended.
    package var isDead: Bool { karvan_disk_is_dead(disk) != 0 }

    /// Whether another handle of a file was told of a failed sync, since this was asked last.
    package func takesEcho() -> Bool { karvan_disk_takes_echo(disk) != 0 }

    package func makeRoom() { karvan_disk_make_room(disk) }

    /// After everything was closed: the files are what a restarted machine finds.
    package func restart() throws {
        guard karvan_disk_settle(disk) == 0 else { throw POSIXError(.EIO) }
        fault = nil
    }
}
