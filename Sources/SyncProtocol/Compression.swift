internal import CZstd

/// How a body is stored and sent.
public enum BodyEncoding: UInt64, Sendable {
    /// The changesets as they are.
    case plain = 0
    /// One zstd frame (RFC 8878) that states its size.
    case zstd = 1
}

enum Compression {
    static let level: Int32 = 3

    /// One frame; `nil` when it would not be smaller.
    static func compress(_ bytes: [UInt8]) -> [UInt8]? {
        let bound = ZSTD_compressBound(bytes.count)
        let packed = [UInt8](unsafeUninitializedCapacity: bound) { buffer, count in
            let size = bytes.withUnsafeBytes { source in
                ZSTD_compress(buffer.baseAddress, bound, source.baseAddress, source.count, level)
            }
            count = ZSTD_isError(size) == 0 ? size : bound
        }
        return packed.count < bytes.count ? packed : nil
    }

    /// The expanded bytes; `nil` when they aren't one frame that states `size`.
    ///
    /// - Parameter size: held against the limit by the caller, before anything is allocated.
    static func expand(_ bytes: [UInt8], size: Int) -> [UInt8]? {
        let stated = bytes.withUnsafeBytes { ZSTD_getFrameContentSize($0.baseAddress, $0.count) }
        guard stated != karvan_zstd_size_unknown(), stated != karvan_zstd_size_error(),
            stated == UInt64(size)
        else { return nil }
        var isWhole = false
        let expanded = [UInt8](unsafeUninitializedCapacity: size) { buffer, count in
            let result = bytes.withUnsafeBytes { source in
                ZSTD_decompress(buffer.baseAddress, size, source.baseAddress, source.count)
            }
            isWhole = ZSTD_isError(result) == 0 && result == size
            count = isWhole ? size : 0
        }
        return isWhole ? expanded : nil
    }
}
