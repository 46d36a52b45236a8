internal import FoundationEssentials
internal import Glibc

/// Small files whose content must be whole, durable and, for a key, hidden.
enum PrivateFile {
    private static let maximumBytes = 1 << 20

    private static var reason: String { String(cString: strerror(errno)) }

    /// Anything by this name, a dangling link included: it is never written over.
    static func exists(_ path: String) -> Bool {
        (try? FileManager.default.attributesOfItem(atPath: path)) != nil
    }

    /// - Parameter forbidden: permission bits that the file must not have, its links followed.
    static func check(_ path: String, forbidden: Int) throws(HubCertificateError) {
        let file = URL(filePath: path).resolvingSymlinksInPath().path
        let mode: Int
        do {
            let value = try FileManager.default.attributesOfItem(atPath: file)[.posixPermissions]
            mode = value as? Int ?? forbidden
        } catch {
            throw .unreadable(path: path, reason: "\(error)")
        }
        guard mode & forbidden == 0 else {
            throw .exposedKey(path: path, mode: UInt16(truncatingIfNeeded: mode))
        }
    }

    static func read(_ path: String) throws(HubCertificateError) -> String {
        let data: Data
        do {
            data = try Data(contentsOf: URL(filePath: path))
        } catch {
            throw .unreadable(path: path, reason: "\(error)")
        }
        guard data.count <= maximumBytes, let text = String(bytes: data, encoding: .utf8) else {
            throw .unreadable(path: path, reason: "it is no small text file")
        }
        return text
    }

    /// Writes under another name and links it into place, so that a crash leaves the whole file
    /// or none, and what is there already is never replaced.
    static func create(
        _ path: String, _ text: String, mode: mode_t
    ) throws(HubCertificateError) {
        let draft = path + ".new"
        unlink(draft)
        try write(draft, text, mode: mode)
        defer { unlink(draft) }
        guard link(draft, path) == 0 else { throw .unwritable(path: path, reason: reason) }
        try syncFolder(of: path)
    }

    /// Makes that no file has this name, durably.
    static func remove(_ path: String) throws(HubCertificateError) {
        guard unlink(path) == 0 || errno == ENOENT else {
            throw .unwritable(path: path, reason: reason)
        }
        try syncFolder(of: path)
    }

    /// Gives a file the name of another, which is gone then: durably, and at once.
    static func replace(_ path: String, by other: String) throws(HubCertificateError) {
        guard rename(other, path) == 0 else { throw .unwritable(path: path, reason: reason) }
        try syncFolder(of: path)
    }

    private static func write(
        _ path: String, _ text: String, mode: mode_t
    ) throws(HubCertificateError) {
        let file = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode)
        guard file >= 0 else { throw .unwritable(path: path, reason: reason) }
        defer { close(file) }
        let bytes = Array(text.utf8)
        guard Glibc.write(file, bytes, bytes.count) == bytes.count, fsync(file) == 0 else {
            let reason = reason
            unlink(path)
            throw .unwritable(path: path, reason: reason)
        }
    }

    private static func syncFolder(of path: String) throws(HubCertificateError) {
        let folder = open(
            URL(filePath: path).deletingLastPathComponent().path(percentEncoded: false),
            O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard folder >= 0 else { throw .unwritable(path: path, reason: reason) }
        defer { close(folder) }
        guard fsync(folder) == 0 else { throw .unwritable(path: path, reason: reason) }
    }
}
