import Foundation

/// A disk that can fail: a file with ext4 on it.
///
/// Its failure is what that file system does by itself when a device reports an error: from then on
/// every write and every sync fails with EROFS, of files that are open as well, and what was not
/// synced before never reaches the disk. A plain `mount -o remount,ro` can't do that, for it is
/// refused while any file is open for writing; and a bind mount over it fails new openings alone.
/// The way back is that of any disk: every file closed, unmounted, checked, mounted again.
///
/// It has no journal: fsync(2) of a file that grew may return 0 while the journal is being aborted,
/// for what never gets to the disk. Without one every such call says the truth.
final class FailingDisk {
    let directory: URL
    private let image: URL
    private var isMounted = false

    init(_ directory: URL, mebibytes: Int) throws {
        self.directory = directory
        image = directory.appendingPathExtension("ext4")
        try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
        try Self.run(
            "/sbin/mkfs.ext4", "-q", "-m0", "-O", "^has_journal", "-E",
            "root_owner=\(geteuid()):\(getegid())",
            image.path, "\(mebibytes)M")
        try mount()
    }

    deinit {
        if isMounted { try? SmallDisk.privileged("umount", directory.path) }
    }

    private func mount() throws {
        try SmallDisk.privileged(
            "mount", "-o", "loop,errors=remount-ro", image.path, directory.path)
        isMounted = true
    }

    func fail() throws { try SmallDisk.privileged("mount", "-o", "remount,abort", directory.path) }

    /// Fails while a program still has a file of it open.
    func repair() throws {
        try SmallDisk.privileged("umount", directory.path)
        isMounted = false
        try Self.run("/sbin/e2fsck", "-f", "-y", image.path)
        try mount()
    }

    private static func run(_ program: String, _ arguments: String...) throws {
        let finished = try Programs.run(
            program, arguments, in: FileManager.default.temporaryDirectory)
        // e2fsck ends with 1 when it mended something.
        guard finished.status == 0 || program.hasSuffix("fsck") && finished.status == 1 else {
            throw ProgramError(description: "\(program): \(finished.output)\(finished.errors)")
        }
    }

    /// Whether this machine has loop devices and ext4, and lets tests mount them.
    static let isAllowed: Bool = {
        let place = FileManager.default.temporaryDirectory
            .appending(path: "karvan-failing-\(UUID().uuidString)")
        defer {
            try? FileManager.default.removeItem(at: place)
            try? FileManager.default.removeItem(at: place.appendingPathExtension("ext4"))
        }
        return (try? FailingDisk(place, mebibytes: 2)) != nil
    }()
}
