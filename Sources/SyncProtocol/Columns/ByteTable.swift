/// Byte strings by number, each once: what a column has said, for whoever writes the next value.
///
/// Open addressing; a string whose place is too far from its hash's is not kept.
struct ByteTable {
    /// Where a string stands.
    struct Place {
        /// The run's last seq; 0 for none.
        var run: UInt64 = 0
        /// In that run's list.
        var index = 0
    }

    private struct Entry {
        var hash: UInt64
        var offset: Int
        var length: Int
        var tag: UInt8
        var place: Place
        var visit: UInt64 = 0
    }

    private var slots: [Int32] = []
    private var entries: [Entry] = []
    private var arena: [UInt8] = []
    private static let probeLimit = 64

    var count: Int { entries.count }
    var byteCount: Int { arena.count }

    subscript(entry: Int) -> Place {
        get { entries[entry].place }
        set { entries[entry].place = newValue }
    }

    func length(_ entry: Int) -> Int { entries[entry].length }

    /// Whether this is the first visit of that mark.
    mutating func visit(_ entry: Int, _ mark: UInt64) -> Bool {
        guard entries[entry].visit != mark else { return false }
        entries[entry].visit = mark
        return true
    }

    /// The number of a string, new or not; `nil` when it can't be kept.
    mutating func number(_ bytes: UnsafeRawBufferPointer, tag: UInt8) -> Int? {
        let hash = Self.hash(bytes, tag)
        if entries.count * 2 >= slots.count { grow() }
        let mask = slots.count - 1
        var slot = Int(truncatingIfNeeded: hash) & mask
        for _ in 0..<Self.probeLimit {
            let found = Int(slots[slot]) - 1
            if found < 0 {
                slots[slot] = Int32(entries.count + 1)
                entries.append(
                    Entry(
                        hash: hash, offset: arena.count, length: bytes.count, tag: tag,
                        place: Place()))
                arena.append(contentsOf: bytes)
                return entries.count - 1
            }
            if entries[found].hash == hash, entries[found].tag == tag,
                entries[found].length == bytes.count, isEqual(found, bytes)
            {
                return found
            }
            slot = (slot + 1) & mask
        }
        return nil
    }

    /// By words, the last of them overlapping the one before.
    private func isEqual(_ entry: Int, _ bytes: UnsafeRawBufferPointer) -> Bool {
        let offset = entries[entry].offset
        let count = bytes.count
        return arena.withUnsafeBytes { arena in
            guard count >= 8 else {
                for index in 0..<count where arena[offset + index] != bytes[index] { return false }
                return true
            }
            for step in stride(from: 0, through: (count - 1) / 8 * 8, by: 8) {
                let index = min(step, count - 8)
                let word = bytes.loadUnaligned(fromByteOffset: index, as: UInt64.self)
                guard
                    arena.loadUnaligned(fromByteOffset: offset + index, as: UInt64.self) == word
                else { return false }
            }
            return true
        }
    }

    private mutating func grow() {
        let size = max(64, slots.count * 2)
        slots = Array(repeating: 0, count: size)
        for number in entries.indices {
            var slot = Int(truncatingIfNeeded: entries[number].hash) & (size - 1)
            while slots[slot] != 0 { slot = (slot + 1) & (size - 1) }
            slots[slot] = Int32(number + 1)
        }
    }

    /// Drops what stands in no run that `isKept`.
    mutating func keep(where isKept: (UInt64) -> Bool) {
        var kept = ByteTable()
        arena.withUnsafeBytes { arena in
            for entry in entries where isKept(entry.place.run) {
                let bytes = UnsafeRawBufferPointer(
                    rebasing: arena[entry.offset..<entry.offset + entry.length])
                if let number = kept.number(bytes, tag: entry.tag) { kept[number] = entry.place }
            }
        }
        self = kept
    }

    private static func hash(_ bytes: UnsafeRawBufferPointer, _ tag: UInt8) -> UInt64 {
        var hash = UInt64(tag) &+ UInt64(bytes.count) &* 0x9e37_79b9_7f4a_7c15
        var offset = 0
        while offset + 8 <= bytes.count {
            mix(&hash, bytes.loadUnaligned(fromByteOffset: offset, as: UInt64.self))
            offset += 8
        }
        var (last, shift): (UInt64, UInt64) = (0, 0)
        while offset < bytes.count {
            last |= UInt64(bytes[offset]) << shift
            shift += 8
            offset += 1
        }
        mix(&hash, last)
        return hash ^ hash >> 29
    }

    private static func mix(_ hash: inout UInt64, _ word: UInt64) {
        let (high, low) = (hash ^ word).multipliedFullWidth(by: 0xbf58_476d_1ce4_e5b9)
        hash = high ^ low ^ word
    }
}
