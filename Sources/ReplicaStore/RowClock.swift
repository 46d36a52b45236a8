internal import Causality

/// The clocks of one row, packed: which dot each column shows.
///
/// Layout, in bytes: flags (1: ops of the row lie in `sy_live`; 2: the row is hidden, and then its
/// deletes lie there), a count, that many (stream number, seq, milliseconds, counter) as
/// variable-length numbers (LEB128), then a byte for each column by its id, from 1: 0 for none, or
/// the entry's place, from 1. Trailing zeros are left out.
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

    private mutating func compact() {
        var kept: [Entry] = []
        for index in places.indices where places[index] > 0 {
            let entry = entries[Int(places[index]) - 1]
            let place = kept.firstIndex(of: entry) ?? kept.count
            if place == kept.count { kept.append(entry) }
            places[index] = UInt8(place + 1)
        }
        entries = kept
    }

    /// The bytes of a row whose columns `places` all show one entry.
    static func pack(_ entry: Entry, columns: [UInt8], into bytes: inout [UInt8]) {
        bytes.removeAll(keepingCapacity: true)
        bytes.append(0)
        bytes.append(1)
        append(entry, to: &bytes)
        bytes.append(contentsOf: columns)
    }

    func packed() -> [UInt8] {
        var clock = self
        clock.compact()
        var bytes: [UInt8] = [(hasExtras ? 1 : 0) | (isHidden ? 2 : 0), UInt8(clock.entries.count)]
        for entry in clock.entries { Self.append(entry, to: &bytes) }
        return bytes + clock.places
    }

    private static func append(_ entry: Entry, to bytes: inout [UInt8]) {
        append(UInt64(entry.sid), to: &bytes)
        append(entry.seq, to: &bytes)
        append(UInt64(entry.time.milliseconds), to: &bytes)
        append(entry.time.rawValue & 0xffff, to: &bytes)
    }

    private static func append(_ value: UInt64, to bytes: inout [UInt8]) {
        var value = value
        while value >= 0x80 {
            bytes.append(UInt8(truncatingIfNeeded: value) | 0x80)
            value >>= 7
        }
        bytes.append(UInt8(value))
    }

    /// Reads what ``packed()`` wrote; `nil` for anything else.
    init?(_ bytes: [UInt8]) {
        guard bytes.count >= 2, bytes[0] < 4, bytes[1] <= Self.columnLimit else { return nil }
        hasExtras = bytes[0] & 1 != 0
        isHidden = bytes[0] & 2 != 0
        var offset = 2
        func number() -> UInt64? {
            var (value, shift): (UInt64, UInt64) = (0, 0)
            while offset < bytes.count, shift < 64 {
                let byte = bytes[offset]
                offset += 1
                value |= UInt64(byte & 0x7f) << shift
                if byte < 0x80 { return value }
                shift += 7
            }
            return nil
        }
        entries.reserveCapacity(Int(bytes[1]))
        for _ in 0..<bytes[1] {
            guard let sid = number(), let seq = number(), let milliseconds = number(),
                let counter = number(), milliseconds < 1 << 48, counter < 1 << 16
            else { return nil }
            entries.append(
                Entry(
                    sid: Int64(truncatingIfNeeded: sid), seq: seq,
                    time: HybridTime(rawValue: milliseconds << 16 | counter)))
        }
        places = Array(bytes[offset...])
        guard places.allSatisfy({ $0 <= entries.count }) else { return nil }
    }
}
