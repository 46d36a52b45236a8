internal import Glibc

/// A file that gets its name when it is whole. Until then it has another, and goes with the object. Or none: what
/// lies in memory alone.
final class PartialFile {
    let path: String
    private let partial: String
    /// `nil` for what lies in memory.
    private let descriptor: Int32?
    /// What was written to memory.
    private(set) var memory: [UInt8] = []
    private(set) var byteCount: UInt64 = 0
    private var isCommitted = false

    init(path: String) throws(BundleFileError) {
        guard access(path, F_OK) != 0 else { throw .exists(path: path) }
        let partial = path + ".partial"
        let file = try Self.open(partial, for: path)
        (self.path, self.partial, descriptor) = (path, partial, file)
    }

    /// In memory.
    init() { (path, partial, descriptor) = ("", "", nil) }

    /// What a process that was killed has left is written over; a link is not followed.
    private static func open(
        _ partial: String, for path: String
    ) throws(BundleFileError) -> Int32 {
        let flags = O_WRONLY | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC
        let file = Glibc.open(partial, flags, 0o644)
        guard file >= 0 else { throw .writing(path) }
        if flock(file, LOCK_EX | LOCK_NB) != 0 {
            close(file)
            throw .busy(path: path)
        }
        if ftruncate(file, 0) != 0 {
            let error = BundleFileError.writing(path)
            close(file)
            throw error
        }
        return file
    }

    deinit {
        guard let descriptor else { return }
        if !isCommitted { unlink(partial) }
        close(descriptor)
    }

    func write(_ bytes: [UInt8]) throws(BundleFileError) {
        byteCount += UInt64(bytes.count)
        guard let descriptor else {
            memory += bytes
            return
        }
        var rest = bytes[...]
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { throw .writing(path) }
            rest.removeFirst(count)
        }
    }

    func sync() throws(BundleFileError) {
        guard let descriptor else { return }
        guard fsync(descriptor) == 0 else { throw .writing(path) }
    }

    /// Gives it its name.
    func commit() throws(BundleFileError) {
        guard access(path, F_OK) != 0 else { throw .exists(path: path) }
        guard rename(partial, path) == 0 else { throw .writing(path) }
        isCommitted = true
        let folder = path.contains("/") ? String(path[..<path.lastIndex(of: "/")!]) : "."
        let directory = Glibc.open(
            folder.isEmpty ? "/" : folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard directory >= 0 else { throw .writing(path) }
        defer { close(directory) }
        // Some file systems can't.
        guard fsync(directory) == 0 || errno == EINVAL else { throw .writing(path) }
    }
}
