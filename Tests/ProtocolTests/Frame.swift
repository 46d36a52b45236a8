/// Frames of Zstandard by hand, so that they are the same whatever the library.
enum Frame {
    private static let head: [UInt8] = [0x28, 0xb5, 0x2f, 0xfd]

    /// One segment whose content size takes four bytes.
    private static func start(_ size: Int) -> [UInt8] {
        head + [0xa0] + (0..<4).map { UInt8(truncatingIfNeeded: size >> (8 * $0)) }
    }

    private static func block(_ kind: Int, _ size: Int, isLast: Bool) -> [UInt8] {
        let word = size << 3 | kind << 1 | (isLast ? 1 : 0)
        return (0..<3).map { UInt8(truncatingIfNeeded: word >> (8 * $0)) }
    }

    /// - Parameter stated: the content size that the frame states.
    static func raw(_ bytes: [UInt8], stated: Int? = nil) -> [UInt8] {
        start(stated ?? bytes.count) + block(0, bytes.count, isLast: true) + bytes
    }

    /// `front` as it is, then `byte` over and over.
    static func repeating(_ front: [UInt8], _ byte: UInt8, _ count: Int) -> [UInt8] {
        var frame = start(front.count + count) + block(0, front.count, isLast: count == 0) + front
        var left = count
        while left > 0 {
            let size = min(left, 128 << 10)
            left -= size
            frame += block(1, size, isLast: left == 0) + [byte]
        }
        return frame
    }

    /// A frame that does not state its size: a window of 1 KiB instead.
    static func withoutSize(_ bytes: [UInt8]) -> [UInt8] {
        head + [0x00, 0x00] + block(0, bytes.count, isLast: true) + bytes
    }

    /// A frame whose header is as it is told, and its one block raw.
    ///
    /// - Parameters:
    ///   - window: its descriptor; `nil` for one segment.
    ///   - checksum: 4 bytes, or none.
    ///   - reserved: the bit that has to be 0.
    static func raw(
        _ bytes: [UInt8], window: UInt8?, dictionary: UInt8? = nil, checksum: [UInt8] = [],
        reserved: Bool = false
    ) -> [UInt8] {
        var descriptor: UInt8 = 0x80
        if window == nil { descriptor |= 0x20 }
        if reserved { descriptor |= 0x08 }
        if !checksum.isEmpty { descriptor |= 0x04 }
        if dictionary != nil { descriptor |= 0x01 }
        let size = (0..<4).map { UInt8(truncatingIfNeeded: bytes.count >> (8 * $0)) }
        let fields = [window, dictionary].compactMap { $0 } + size
        return head + [descriptor] + fields + block(0, bytes.count, isLast: true) + bytes + checksum
    }

    /// A frame that decoders skip.
    static let skippable: [UInt8] = [0x50, 0x2a, 0x4d, 0x18, 1, 0, 0, 0, 0]
}
