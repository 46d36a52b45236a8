internal import Foundation
internal import SyncProtocol

/// A file that is read from its start, a piece at a time, whatever its size.
struct FilePieces: ~Copyable {
    static let pieceBytes = 1 << 20

    private let path: String
    let descriptor: Int32
    private(set) var offset: UInt64 = 0

    /// - Returns: `nil` for one that can't be opened: `errno` says why.
    init?(_ path: String) {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return nil }
        (self.path, self.descriptor) = (path, descriptor)
    }

    deinit { close(descriptor) }

    /// - Returns: `nil` at the end.
    mutating func next() throws(StoreError) -> [UInt8]? {
        let bytes = try bytes(from: offset, count: Self.pieceBytes)
        offset += UInt64(bytes.count)
        return bytes.isEmpty ? nil : bytes
    }

    /// At most `count` bytes: fewer only at the end.
    func bytes(from offset: UInt64, count: Int) throws(StoreError) -> [UInt8] {
        var failed = false
        let bytes = [UInt8](unsafeUninitializedCapacity: count) { buffer, filled in
            while filled < count {
                let got = pread(
                    descriptor, buffer.baseAddress! + filled, count - filled,
                    off_t(offset) + off_t(filled))
                if got < 0, errno == EINTR { continue }
                guard got > 0 else {
                    failed = got < 0
                    return
                }
                filled += got
            }
        }
        if failed { throw StoreError.system(path) }
        return bytes
    }

    /// The SHA-256 of a file.
    static func digest(of path: String) throws(StoreError) -> Digest {
        guard var pieces = FilePieces(path) else { throw StoreError.system(path) }
        var stream = DigestStream()
        while let bytes = try pieces.next() { stream.update(bytes) }
        return stream.digest
    }

    /// Writes all of `bytes` to an open file.
    static func write(
        _ bytes: [UInt8], to descriptor: Int32, at offset: UInt64, _ path: String
    ) throws(StoreError) {
        var written = 0
        while written < bytes.count {
            let count = bytes.withUnsafeBytes { buffer in
                pwrite(
                    descriptor, buffer.baseAddress! + written, bytes.count - written,
                    off_t(offset) + off_t(written))
            }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { throw StoreError.system(path) }
            written += count
        }
    }
}
