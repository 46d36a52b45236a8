internal import Causality

/// The clocks of one row: which dot each column shows.
///
/// Layout, in bytes: flags (1: ops of the row lie in `sy_live`; 2: the row is hidden, and then its
/// deletes lie there; 4: this layout; 8: each column shows the one entry; 16: checks follow, see
/// ``seal(_:of:beside:)``), the number of entries
/// unless flag 8 stands, the number of columns, the entries, the columns. Columns count by their
/// ids, from 1; trailing ones that show nothing are left out. An entry is (stream number, seq,
/// time) as variable-length numbers (LEB128); the time is `2 · milliseconds`, plus 1 when the
/// counter follows, and behind the first entry in place of the milliseconds their zigzag distance
/// from the entry before. Unless flag 8 stands, the columns follow as numbers of equal width, just
/// wide enough for the number of entries, from the lowest bit of each byte: 0 for none, or the
/// entry's place, from 1.
///
/// Invariant: entries are distinct, and each is named by a column.
struct RowClock: Hashable, Sendable {
    struct Entry: Hashable, Sendable {
        var sid: Int64
        var seq: UInt64
        var time: HybridTime
    }

    var hasExtras = false
    var isHidden = false
    private(set) var entries: [Entry] = []
    /// By column id − 1; 0 for none, or a place in `entries`, from 1.
    private var places: [UInt8] = []

    /// The most columns that a table may have, each naming one entry at most.
    private static let columnLimit = 250

    /// The sum over the row's ops in `sy_live`; `nil` for none.
    private(set) var beside: UInt32?

    private enum Flag {
        static let extras: UInt8 = 1
        static let hidden: UInt8 = 2
        static let packed: UInt8 = 4
        static let uniform: UInt8 = 8
        static let checked: UInt8 = 16
    }

    init() {}

    /// The dot that `column` shows.
    subscript(column: UInt32) -> Entry? {
        let index = Int(column) - 1
        guard index < places.count, places[index] > 0 else { return nil }
        return entries[Int(places[index]) - 1]
    }

    /// What each column shows, ascending by column.
    var shown: [(column: UInt32, entry: Entry)] {
        places.indices.compactMap { index in
            let column = UInt32(index + 1)
            return self[column].map { (column, $0) }
        }
    }

    /// Sets the entry of a column. Entries that nothing names go when it is packed: so whoever sets
    /// several columns of a row that was read gives them one and the same entry.
    mutating func set(_ column: UInt32, _ entry: Entry) {
        let index = Int(column) - 1
        while places.count <= index { places.append(0) }
        if let place = entries.firstIndex(of: entry) {
            places[index] = UInt8(place + 1)
            return
        }
        entries.append(entry)
        places[index] = UInt8(entries.count)
    }

    /// Drops what no column names, and numbers the rest in the order of the columns.
    private mutating func compact() {
        var isInOrder = true
        var seen: UInt8 = 0
        for place in places where place > seen {
            isInOrder = isInOrder && place == seen + 1
            seen = place
        }
        guard !isInOrder || Int(seen) != entries.count else { return }
        var kept: [Entry] = []
        for index in places.indices where places[index] > 0 {
            let entry = entries[Int(places[index]) - 1]
            let place = kept.firstIndex(of: entry) ?? kept.count
            if place == kept.count { kept.append(entry) }
            places[index] = UInt8(place + 1)
        }
        entries = kept
    }

    // MARK: Writing

    /// The bytes of a row whose first `columnCount` columns all show one entry.
    static func pack(_ entry: Entry, columnCount: Int, into bytes: inout [UInt8]) {
        bytes.removeAll(keepingCapacity: true)
        bytes.append(Flag.packed | Flag.uniform)
        bytes.append(UInt8(columnCount))
        append(entry, after: 0, to: &bytes)
    }

    /// The bytes of the row, into a buffer that is used again.
    mutating func pack(into bytes: inout [UInt8]) {
        compact()
        let flags = (hasExtras ? Flag.extras : 0) | (isHidden ? Flag.hidden : 0) | Flag.packed
        if entries.count == 1, places.allSatisfy({ $0 == 1 }) {
            Self.pack(entries[0], columnCount: places.count, into: &bytes)
            bytes[0] = flags | Flag.uniform
            return
        }
        bytes.removeAll(keepingCapacity: true)
        bytes.append(flags)
        bytes.append(UInt8(entries.count))
        bytes.append(UInt8(places.count))
        var milliseconds: Int64 = 0
        for entry in entries {
            Self.append(entry, after: milliseconds, to: &bytes)
            milliseconds = entry.time.milliseconds
        }
        let width = Self.width(entries.count)
        var (bits, count): (UInt32, UInt32) = (0, 0)
        for place in places {
            bits |= UInt32(place) << count
            count += width
            while count >= 8 {
                bytes.append(UInt8(truncatingIfNeeded: bits))
                bits >>= 8
                count -= 8
            }
        }
        if count > 0 { bytes.append(UInt8(truncatingIfNeeded: bits)) }
    }

    /// Bits that hold 0 ... `count`.
    private static func width(_ count: Int) -> UInt32 {
        UInt32(UInt8.bitWidth - UInt8(count).leadingZeroBitCount)
    }

    /// - Parameter milliseconds: of the entry before; 0 for the first.
    private static func append(
        _ entry: Entry, after milliseconds: Int64, to bytes: inout [UInt8]
    ) {
        append(UInt64(entry.sid), to: &bytes)
        append(entry.seq, to: &bytes)
        let counter = entry.time.rawValue & 0xffff
        let distance = entry.time.milliseconds - milliseconds
        let zigzag = UInt64(bitPattern: distance << 1 ^ distance >> 63)
        let time = milliseconds == 0 ? UInt64(distance) : zigzag
        append(time << 1 | (counter == 0 ? 0 : 1), to: &bytes)
        if counter > 0 { append(counter, to: &bytes) }
    }

    private static func append(_ value: UInt64, to bytes: inout [UInt8]) {
        var value = value
        while value >= 0x80 {
            bytes.append(UInt8(truncatingIfNeeded: value) | 0x80)
            value >>= 7
        }
        bytes.append(UInt8(value))
    }

    // MARK: Checks

    /// What the check takes.
    static let checkBytes = 4

    /// Ends packed bytes with what tells damage: the sum over the ops beside, if there are any, then
    /// a check over the row's id and all bytes before. Four bytes each, little-endian.
    static func seal(_ bytes: inout [UInt8], of row: RowID, beside: UInt32 = 0) {
        bytes[0] |= Flag.checked
        if bytes[0] & Flag.extras != 0 { append(beside, to: &bytes) }
        let sum = bytes.withUnsafeBytes { Self.check($0, row) }
        append(sum, to: &bytes)
    }

    private static func check(_ bytes: UnsafeRawBufferPointer, _ row: RowID) -> UInt32 {
        var sum = Checksum()
        sum.add(row.identifier)
        sum.add(bytes)
        return sum.word
    }

    private static func append(_ word: UInt32, to bytes: inout [UInt8]) {
        for shift in stride(from: UInt32(0), to: 32, by: 8) {
            bytes.append(UInt8(truncatingIfNeeded: word >> shift))
        }
    }

    private static func word(_ bytes: UnsafeRawBufferPointer, at offset: Int) -> UInt32 {
        UInt32(littleEndian: bytes.loadUnaligned(fromByteOffset: offset, as: UInt32.self))
    }

    // MARK: Reading

    /// Reads what was written for `row`; `nil` for anything else.
    init?(_ bytes: [UInt8], of row: RowID) {
        let isRead = bytes.withUnsafeBytes { read($0, of: row) }
        guard isRead else { return nil }
    }

    /// As above, into buffers that are used again; `false` leaves it in no particular state.
    mutating func read(_ bytes: UnsafeRawBufferPointer, of row: RowID) -> Bool {
        guard let flags = bytes.first, flags & Flag.checked != 0 else { return false }
        let sumCount = flags & Flag.extras == 0 ? 0 : 4
        let count = bytes.count - 4 - sumCount
        guard count >= 2,
            Self.word(bytes, at: bytes.count - 4)
                == Self.check(UnsafeRawBufferPointer(rebasing: bytes[..<(bytes.count - 4)]), row),
            read(UnsafeRawBufferPointer(rebasing: bytes[..<count]))
        else { return false }
        if sumCount > 0 { beside = Self.word(bytes, at: count) }
        return true
    }

    private mutating func read(_ bytes: UnsafeRawBufferPointer) -> Bool {
        entries.removeAll(keepingCapacity: true)
        places.removeAll(keepingCapacity: true)
        beside = nil
        guard bytes.count >= 2, bytes[0] < 32 else { return false }
        hasExtras = bytes[0] & Flag.extras != 0
        isHidden = bytes[0] & Flag.hidden != 0
        var reader = Reader(bytes: bytes, offset: 1)
        guard bytes[0] & Flag.packed != 0 else { return false }
        let isUniform = bytes[0] & Flag.uniform != 0
        guard let count = isUniform ? 1 : reader.byte(), let columnCount = reader.byte(),
            count <= Self.columnLimit, columnCount <= Self.columnLimit
        else { return false }
        var milliseconds: Int64 = 0
        for _ in 0..<count {
            guard let entry = reader.entry(after: milliseconds) else { return false }
            entries.append(entry)
            milliseconds = entry.time.milliseconds
        }
        if isUniform {
            for _ in 0..<columnCount { places.append(1) }
            return reader.isAtEnd
        }
        let width = Self.width(Int(count))
        var (bits, held): (UInt32, UInt32) = (0, 0)
        for _ in 0..<columnCount {
            while held < width {
                guard let byte = reader.byte() else { return false }
                bits |= UInt32(byte) << held
                held += 8
            }
            let place = UInt8(truncatingIfNeeded: bits & (1 << width - 1))
            guard place <= count else { return false }
            places.append(place)
            bits >>= width
            held -= width
        }
        return bits == 0 && reader.isAtEnd
    }

    private struct Reader {
        let bytes: UnsafeRawBufferPointer
        var offset: Int

        var isAtEnd: Bool { offset == bytes.count }

        mutating func byte() -> UInt8? {
            guard offset < bytes.count else { return nil }
            offset += 1
            return bytes[offset - 1]
        }

        mutating func number() -> UInt64? {
            var (value, shift): (UInt64, UInt64) = (0, 0)
            while let byte = byte(), shift < 64 {
                value |= UInt64(byte & 0x7f) << shift
                if byte < 0x80 { return value }
                shift += 7
            }
            return nil
        }

        mutating func entry(after milliseconds: Int64) -> Entry? {
            guard let sid = number(), let seq = number(), let time = number(),
                seq <= UInt64(Int64.max)
            else { return nil }
            var counter: UInt64 = 0
            if time & 1 == 1 {
                guard let number = number() else { return nil }
                counter = number
            }
            let zigzag = Int64(bitPattern: time >> 2) ^ -Int64(time >> 1 & 1)
            let sum =
                milliseconds == 0
                ? Int64(time >> 1)
                : milliseconds.addingReportingOverflow(zigzag)
                    .partialValue
            guard (0..<1 << 48).contains(sum), counter < 1 << 16 else { return nil }
            return Entry(
                sid: Int64(truncatingIfNeeded: sid), seq: seq,
                time: HybridTime(rawValue: UInt64(sum) << 16 | counter))
        }
    }
}
