internal import Foundation

/// Puts another file in a replica's place so that one of the two stands there whole at any moment.
///
/// A database and its write-ahead log are two files, and no call of the system replaces two. So the
/// new file is written and synced under another name first. When it gets the name `REPLICA.new` the
/// change has happened: whoever opens the replica next finishes it. What stood there before keeps
/// its bytes under a name of its own.
package struct FileSwap {
    let path: String

    /// Where the new file is written.
    package var partial: String { path + ".new.partial" }
    private var complete: String { path + ".new" }

    package init(replica path: String) { self.path = path }

    /// Removes what an interrupted attempt left.
    func clear() { for suffix in ["", "-wal", "-shm", ".key"] { unlink(partial + suffix) } }

    /// What a file that is kept is called: the first name that is free.
    package static func freeName(_ path: String) -> String {
        var (name, number) = (path, 1)
        while access(name, F_OK) == 0 || access(name + "-wal", F_OK) == 0 {
            number += 1
            name = path + "-\(number)"
        }
        return name
    }

    /// Keeps the present file, and its log and key, under another name too.
    package func keepAside(as name: String, withKey: Bool) throws(StoreError) {
        for suffix in ["", "-wal"] + (withKey ? [".key"] : []) {
            let (from, to) = (path + suffix, name + suffix)
            guard access(from, F_OK) == 0 else { continue }
            if link(from, to) == 0 { continue }
            do {
                try FileManager.default.copyItem(atPath: from, toPath: to)
            } catch {
                throw StoreError.system(to)
            }
            try Self.sync(to)
        }
        try Self.syncFolder(of: path)
    }

    /// Makes the new file count. Under the replica's lock; the file and its key are closed and whole.
    package func commit() throws(StoreError) {
        try Self.sync(partial)
        if access(partial + ".key", F_OK) == 0 {
            try Self.sync(partial + ".key")
            guard rename(partial + ".key", complete + ".key") == 0 else {
                throw StoreError.system(complete)
            }
        }
        try Self.syncFolder(of: path)
        guard rename(partial, complete) == 0 else { throw StoreError.system(complete) }
        try Self.syncFolder(of: path)
        try finish()
    }

    /// Whether a change is under way that happened already.
    package var isPending: Bool { access(complete, F_OK) == 0 }

    /// Brings the new file to its place. Safe to repeat from any point. Under the replica's lock.
    func finish() throws(StoreError) {
        guard isPending else { return }
        if access(complete + ".key", F_OK) == 0,
            rename(complete + ".key", KeyFile.device(replica: path).path) != 0
        {
            throw StoreError.system(path)
        }
        for suffix in ["-wal", "-shm"] where unlink(path + suffix) != 0 && errno != ENOENT {
            throw StoreError.system(path + suffix)
        }
        // The old log must be gone for good before a file stands there that is none of its.
        try Self.syncFolder(of: path)
        guard rename(complete, path) == 0 else { throw StoreError.system(path) }
        try Self.syncFolder(of: path)
    }

    static func sync(_ path: String) throws(StoreError) {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw StoreError.system(path) }
        defer { close(descriptor) }
        guard fsync(descriptor) == 0 else { throw StoreError.system(path) }
    }

    static func syncFolder(of path: String) throws(StoreError) {
        try sync(URL(filePath: path).deletingLastPathComponent().path)
    }
}
