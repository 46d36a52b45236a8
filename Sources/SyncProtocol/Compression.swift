internal import CZstd

/// How a body is stored and sent.
public enum BodyEncoding: UInt64, Sendable {
    /// The changesets as they are.
    case plain = 0
    /// As above, in one zstd frame (RFC 8878) that states its size.
    case zstd = 1
    /// By columns: like beside like.
    case columns = 2
    /// As above, in one zstd frame.
    case columnsZstd = 3

    var isByColumns: Bool { self == .columns || self == .columnsZstd }
    var isCompressed: Bool { self == .zstd || self == .columnsZstd }
}

enum Compression {
    static let level: Int32 = 3

    /// One frame; `nil` when it would not be smaller.
    ///
    /// - Parameter seams: where blocks end, ascending: each block has its own statistics.
    static func compress(_ bytes: [UInt8], seams: [Int] = []) -> [UInt8]? {
        guard let context = ZSTD_createCCtx() else { return nil }
        defer { ZSTD_freeCCtx(context) }
        ZSTD_CCtx_setParameter(context, ZSTD_c_compressionLevel, level)
        ZSTD_CCtx_setPledgedSrcSize(context, UInt64(bytes.count))
        // Each seam may cost the head of a block.
        let bound = ZSTD_compressBound(bytes.count) + 16 * seams.count
        var isWhole = true
        let packed = [UInt8](unsafeUninitializedCapacity: bound) { buffer, count in
            var output = ZSTD_outBuffer(dst: buffer.baseAddress, size: bound, pos: 0)
            bytes.withUnsafeBytes { source in
                var input = ZSTD_inBuffer(src: source.baseAddress, size: 0, pos: 0)
                for end in seams + [bytes.count] where isWhole {
                    input.size = end
                    let mode = end == bytes.count ? ZSTD_e_end : ZSTD_e_flush
                    isWhole = ZSTD_compressStream2(context, &output, &input, mode) == 0
                    if end == bytes.count { break }
                }
            }
            count = output.pos
        }
        return isWhole && packed.count < bytes.count ? packed : nil
    }

    /// The greatest window that a frame may ask for, in bytes: every decoder of RFC 8878 has it.
    static let windowBytes: UInt64 = 8 << 20
    /// The first bytes of a frame. Frames to skip and those of old versions begin otherwise.
    private static let magic: [UInt8] = [0x28, 0xb5, 0x2f, 0xfd]

    /// Whether `bytes` are one frame from the first byte to the last, without a dictionary, and
    /// with a window that every decoder has.
    private static func isOneFrame(_ bytes: [UInt8]) -> Bool {
        guard bytes.count > 5, bytes.starts(with: magic) else { return false }
        let (length, dictionary) = bytes.withUnsafeBytes {
            (
                ZSTD_findFrameCompressedSize($0.baseAddress, $0.count),
                ZSTD_getDictID_fromFrame($0.baseAddress, $0.count)
            )
        }
        // A frame of a single segment has its content for a window.
        let isSingleSegment = bytes[4] & 0x20 != 0
        let base: UInt64 = 1 << (10 + UInt64(bytes[5] >> 3))
        let window = base + base / 8 * UInt64(bytes[5] & 7)
        return length == bytes.count && dictionary == 0
            && (isSingleSegment || window <= windowBytes)
    }

    /// The expanded bytes; `nil` when they aren't one frame that states `size`.
    ///
    /// - Parameter size: held against the limit by the caller, before anything is allocated.
    static func expand(_ bytes: [UInt8], size: Int) -> [UInt8]? {
        guard isOneFrame(bytes) else { return nil }
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
