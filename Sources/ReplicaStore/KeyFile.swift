internal import Foundation
package import SyncProtocol

/// A private key in a file of mode 0600 beside a replica, never in it.
package struct KeyFile: Sendable {
    package let path: String
    private let heading: String

    /// The device's.
    static func device(replica: String) -> KeyFile {
        KeyFile(path: replica + ".key", heading: "karvan device key 1\n")
    }

    /// A forum's root: whoever has it can make hubs of the forum.
    package static func root(store: String) -> KeyFile {
        KeyFile(path: store + ".root", heading: "karvan root key 1\n")
    }

    /// Writes a new file, durably and whole or not at all; an existing one is never touched.
    package func create(_ key: DeviceKey) throws(StoreError) {
        let partial = path + ".new"
        unlink(partial)
        let descriptor = open(partial, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw .system(path) }
        defer { unlink(partial) }
        let text = Array((heading + key.seed.hexadecimal + "\n").utf8)
        let written = text.withUnsafeBytes { write(descriptor, $0.baseAddress, $0.count) }
        let isWritten = written == text.count && fsync(descriptor) == 0
        let error = StoreError.system(path)
        close(descriptor)
        guard isWritten else { throw error }
        // Not every file system has links.
        guard link(partial, path) == 0 || errno != EEXIST && !exists && rename(partial, path) == 0
        else {
            if errno == EEXIST || exists { throw .exists(path: path) }
            throw .system(path)
        }
        try FileSwap.syncFolder(of: path)
    }

    package var exists: Bool { FileManager.default.fileExists(atPath: path) }

    package func load() throws(StoreError) -> DeviceKey {
        guard let data = FileManager.default.contents(atPath: path) else {
            throw .key(path: path, detail: "the file is missing or can't be read")
        }
        let text = String(decoding: data, as: UTF8.self)
        guard text.hasPrefix(heading),
            let seed = Array(hexadecimal: text.dropFirst(heading.count).prefix(64)),
            let key = DeviceKey(seed: seed)
        else { throw .key(path: path, detail: "it does not hold a key") }
        return key
    }
}

extension StoreError {
    /// What `errno` says of a file.
    static func system(_ path: String) -> StoreError {
        let reason = String(cString: strerror(errno))
        return switch errno {
        case ENOSPC: .full(path: path)
        case EROFS, EACCES, EPERM: .readOnly(path: path, detail: reason)
        default: .disk(path: path, code: 0, detail: reason)
        }
    }
}
