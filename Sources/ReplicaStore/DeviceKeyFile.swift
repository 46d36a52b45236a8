internal import Foundation
internal import SyncProtocol

/// The device's private key: a file of mode 0600 beside the replica, never in it.
enum DeviceKeyFile {
    static func path(replica: String) -> String { replica + ".key" }

    private static let heading = "karvan device key 0\n"

    /// Writes a new file, durably; an existing one is never touched.
    static func create(_ key: DeviceKey, replica: String) throws(StoreError) {
        let path = path(replica: replica)
        let descriptor = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else {
            if errno == EEXIST { throw .exists(path: path) }
            throw failure(path)
        }
        defer { close(descriptor) }
        let text = Array((heading + key.seed.hexadecimal + "\n").utf8)
        let written = text.withUnsafeBytes { write(descriptor, $0.baseAddress, $0.count) }
        guard written == text.count, fsync(descriptor) == 0 else {
            let error = failure(path)
            unlink(path)
            throw error
        }
    }

    static func load(replica: String) throws(StoreError) -> DeviceKey {
        let path = path(replica: replica)
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

    static func failure(_ path: String) -> StoreError {
        let reason = String(cString: strerror(errno))
        return switch errno {
        case ENOSPC: .full(path: path)
        case EROFS, EACCES, EPERM: .readOnly(path: path, detail: reason)
        default: .disk(path: path, code: 0, detail: reason)
        }
    }
}
