import Foundation
import Testing

/// A file system of its own, in memory, of a fixed size.
final class SmallDisk {
    let directory: URL

    init(_ directory: URL, kibibytes: Int) throws {
        self.directory = directory
        try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
        try Self.privileged(
            "mount", "-t", "tmpfs", "-o", "size=\(kibibytes)k,mode=1777", "tmpfs", directory.path)
    }

    deinit { try? Self.privileged("umount", directory.path) }

    func makeReadOnly() throws {
        try Self.privileged("mount", "-o", "remount,ro", directory.path)
    }

    func makeWritable() throws {
        try Self.privileged("mount", "-o", "remount,rw", directory.path)
    }

    private var filler: String { directory.appending(path: "filler").path }

    /// Takes all the room that is left.
    func fill() throws {
        let descriptor = open(filler, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw ProgramError(description: "\(filler): \(errno)") }
        defer { close(descriptor) }
        let bytes = [UInt8](repeating: 0x2a, count: 1_024)
        while write(descriptor, bytes, bytes.count) > 0 {}
        guard errno == ENOSPC else { throw ProgramError(description: "\(filler): \(errno)") }
    }

    /// Gives back so much of it, or all.
    func free(kibibytes: Int? = nil) throws {
        guard let kibibytes else { return try FileManager.default.removeItem(atPath: filler) }
        var facts = stat()
        guard stat(filler, &facts) == 0, truncate(filler, facts.st_size - kibibytes * 1_024) == 0
        else { throw ProgramError(description: "\(filler): \(errno)") }
    }

    static func privileged(_ command: String...) throws {
        let prefix = geteuid() == 0 ? [] : ["sudo", "-n"]
        let finished = try Programs.run(
            "/usr/bin/env", prefix + command, in: FileManager.default.temporaryDirectory)
        guard finished.status == 0 else { throw ProgramError(description: finished.errors) }
    }

    /// Whether this machine lets tests mount anything: as root, or with sudo.
    static let isAllowed: Bool = {
        let place = FileManager.default.temporaryDirectory
            .appending(path: "karvan-disk-\(UUID().uuidString)")
        defer { try? FileManager.default.removeItem(at: place) }
        return (try? SmallDisk(place, kibibytes: 64)) != nil
    }()
}

/// Disks that take nothing more: what was acknowledged stays, and nothing else is.
@Suite(.enabled(if: SmallDisk.isAllowed, "mounting a file system needs root or sudo"))
struct BadInputDisk {
    private func full(_ badge: String) -> Mistake {
        Mistake(
            badge, ["attend", "P07", badge], ends: 74,
            says: "the disk that holds disk/L1.sqlite is full", "free some room")
    }

    /// A laptop of the sample forum on a disk of its own.
    private func laptop(in forum: Forum, kibibytes: Int) throws -> SmallDisk {
        let disk = try SmallDisk(forum.path("disk"), kibibytes: kibibytes)
        for suffix in ["", "-wal", ".key", ".install"] where forum.exists("L1.sqlite\(suffix)") {
            try FileManager.default.moveItem(
                at: forum.path("L1.sqlite\(suffix)"), to: forum.path("disk/L1.sqlite\(suffix)"))
        }
        return disk
    }

    private func present(_ forum: Forum) throws -> [String] {
        try forum.rows(
            "disk/L1",
            "SELECT p.badge FROM attendance a JOIN person p ON p.id = a.person ORDER BY p.badge")
    }

    @Test func `a full disk takes nothing more, loses nothing, and goes on with room again`() throws
    {
        let forum = try Forum(prepared: ["L1"])
        let disk = try laptop(in: forum, kibibytes: 2_048)
        try forum.must("disk/L1", "attend", "P07", "AZ-001")
        try disk.fill()
        try forum.expectNothingWritten(full("AZ-002"), on: "disk/L1")
        // What reads needs no room.
        #expect(try present(forum) == ["AZ-001"])
        // With a little room some writes succeed, until one doesn't.
        try disk.free(kibibytes: 200)
        var acknowledged = ["AZ-001"]
        for number in 100..<180 {
            let finished = try forum.karvan("disk/L1", "attend", "P07", "AZ-\(number)")
            if finished.status != 0 {
                #expect(finished.status == 74, "\(finished.errors)")
                break
            }
            acknowledged.append("AZ-\(number)")
        }
        #expect((3..<80).contains(acknowledged.count), "\(acknowledged.count)")
        #expect(try present(forum) == acknowledged)
        try forum.expectNothingWritten(full("AZ-002"), on: "disk/L1")
        try disk.free()
        #expect(try present(forum) == acknowledged)
        try forum.must("disk/L1", "attend", "P07", "AZ-002")
        _ = try forum.verified("disk/L1")
        #expect(try present(forum) == (acknowledged + ["AZ-002"]).sorted())
    }

    @Test func `a replica is made whole or not at all`() throws {
        let forum = try Forum()
        let disk = try SmallDisk(forum.path("disk"), kibibytes: 1_024)
        try disk.fill()
        for room in [4, 16, 60] {
            try disk.free(kibibytes: room)
            try forum.expect(
                Mistake(
                    "\(room) KiB", ["init", "--name", "L1"], ends: 74, says: "is full",
                    "free some room"), on: "disk/L1")
            let left = try FileManager.default.contentsOfDirectory(atPath: disk.directory.path)
            #expect(left == ["filler"])
        }
        try disk.free()
        try forum.must("disk/L1", "init", "--name", "L1")
        _ = try forum.verified("disk/L1")
    }

    @Test(arguments: [true, false])
    func `a read-only disk is named as what it is`(isUsedBefore: Bool) throws {
        let forum = try Forum(prepared: ["L1"])
        let disk = try laptop(in: forum, kibibytes: 4_096)
        if isUsedBefore { try forum.must("disk/L1", "attend", "P07", "AZ-001") }
        try disk.makeReadOnly()
        for arguments in [
            ["attend", "P07", "AZ-014"], ["visit", "V12", "KZ", "--arrived", "10:10"],
            ["set", "person", "AZ-014", "role=x"], ["sync"],
        ] {
            try forum.expect(
                Mistake(
                    arguments[0], arguments, ends: 74, says: "disk/L1.sqlite", "can't be written",
                    "mounted read-only"), on: "disk/L1")
        }
        try forum.expect(
            Mistake("init", ["init", "--name", "x"], ends: 74, says: "mounted read-only"),
            on: "disk/new")
        if isUsedBefore { #expect(try present(forum) == ["AZ-001"]) }
    }
}
