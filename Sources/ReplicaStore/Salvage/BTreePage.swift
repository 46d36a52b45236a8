/// What a column of a record holds, as SQLite stored it.
enum StoredValue: Hashable {
    case null
    case integer(Int64)
    case real(Double)
    case text([UInt8])
    case blob([UInt8])

    var integer: Int64? { if case .integer(let value) = self { value } else { nil } }
    var blob: [UInt8]? { if case .blob(let value) = self { value } else { nil } }
    /// `nil` also for what is not UTF-8.
    var text: String? {
        if case .text(let bytes) = self { String(validating: bytes, as: UTF8.self) } else { nil }
    }
}

/// A row as it lies in a page.
struct StoredRecord {
    /// Of a table with rowids.
    var rowid: Int64?
    var values: [StoredValue]
}

/// One page of a B-tree: its records, and the pages below it.
struct BTreePage {
    private(set) var records: [StoredRecord] = []
    private(set) var children: [UInt32] = []
    /// Cells that can't be read.
    private(set) var damagedCount = 0

    private enum Kind: UInt8 {
        case indexInterior = 2
        case tableInterior = 5
        case indexLeaf = 10
        case tableLeaf = 13

        var isLeaf: Bool { self == .indexLeaf || self == .tableLeaf }
        var isTable: Bool { self == .tableLeaf || self == .tableInterior }
    }

    /// `nil` for a page that is none of a B-tree.
    init?(_ number: UInt32, of source: PageSource) {
        guard let bytes = source.page(number) else { return nil }
        let start = number == 1 ? 100 : 0
        guard bytes.count >= start + 12, let kind = Kind(rawValue: bytes[start]) else { return nil }
        let headerBytes = kind.isLeaf ? 8 : 12
        let count = Int(Self.word(bytes, start + 3))
        guard start + headerBytes + count * 2 <= bytes.count else { return nil }
        for index in 0..<count {
            let offset = Int(Self.word(bytes, start + headerBytes + index * 2))
            guard offset >= start + headerBytes, offset < bytes.count else {
                damagedCount += 1
                continue
            }
            read(kind, bytes, at: offset, source)
        }
        if !kind.isLeaf { children.append(Self.long(bytes, start + 8)) }
    }

    private mutating func read(
        _ kind: Kind, _ bytes: [UInt8], at start: Int, _ source: PageSource
    ) {
        var reader = ByteReader(bytes: bytes, offset: start)
        if !kind.isLeaf {
            guard start + 4 <= bytes.count else { return damagedCount += 1 }
            children.append(Self.long(bytes, start))
            reader.offset += 4
        }
        if kind == .tableInterior { return }
        guard let size = reader.varint(), size <= source.byteCount else { return damagedCount += 1 }
        var rowid: Int64?
        if kind == .tableLeaf {
            guard let number = reader.varint() else { return damagedCount += 1 }
            rowid = Int64(bitPattern: number)
        }
        guard
            let payload = Self.payload(Int(size), reader, isTable: kind.isTable, source),
            let values = Self.record(payload)
        else { return damagedCount += 1 }
        records.append(StoredRecord(rowid: rowid, values: values))
    }

    /// The bytes of a record: those in the page, and those of its overflow pages.
    private static func payload(
        _ size: Int, _ reader: ByteReader, isTable: Bool, _ source: PageSource
    ) -> [UInt8]? {
        let usable = source.usableBytes
        let most = isTable ? usable - 35 : (usable - 12) * 64 / 255 - 23
        let least = (usable - 12) * 32 / 255 - 23
        var local = size
        if size > most {
            let spare = least + (size - least) % (usable - 4)
            local = spare <= most ? spare : least
        }
        guard local >= 0, reader.offset + local <= reader.bytes.count else { return nil }
        var payload = Array(reader.bytes[reader.offset..<reader.offset + local])
        guard size > local else { return payload }
        guard reader.offset + local + 4 <= reader.bytes.count else { return nil }
        var next = long(reader.bytes, reader.offset + local)
        while payload.count < size {
            guard next != 0, let page = source.page(next) else { return nil }
            payload += page[4..<min(usable, 4 + size - payload.count)]
            next = long(page, 0)
        }
        return payload
    }

    private static func record(_ payload: [UInt8]) -> [StoredValue]? {
        var header = ByteReader(bytes: payload, offset: 0)
        guard let headerBytes = header.varint(), headerBytes <= UInt64(payload.count) else {
            return nil
        }
        var types: [UInt64] = []
        while header.offset < Int(headerBytes) {
            guard let type = header.varint() else { return nil }
            types.append(type)
        }
        guard header.offset == Int(headerBytes) else { return nil }
        var body = ByteReader(bytes: payload, offset: Int(headerBytes))
        var values: [StoredValue] = []
        for type in types {
            guard let value = body.value(type) else { return nil }
            values.append(value)
        }
        return values
    }

    private static func word(_ bytes: [UInt8], _ offset: Int) -> UInt16 {
        UInt16(bytes[offset]) << 8 | UInt16(bytes[offset + 1])
    }

    private static func long(_ bytes: [UInt8], _ offset: Int) -> UInt32 {
        bytes[offset..<offset + 4].reduce(0) { $0 << 8 | UInt32($1) }
    }
}

/// Reads SQLite's numbers.
struct ByteReader {
    let bytes: [UInt8]
    var offset: Int

    /// One to nine bytes, the first ones first.
    mutating func varint() -> UInt64? {
        var value: UInt64 = 0
        for index in 0..<9 {
            guard offset < bytes.count else { return nil }
            let byte = bytes[offset]
            offset += 1
            if index == 8 { return value << 8 | UInt64(byte) }
            value = value << 7 | UInt64(byte & 0x7f)
            if byte < 0x80 { return value }
        }
        return value
    }

    private mutating func take(_ count: Int) -> ArraySlice<UInt8>? {
        guard count >= 0, count <= bytes.count - offset else { return nil }
        offset += count
        return bytes[offset - count..<offset]
    }

    private mutating func integer(_ count: Int) -> Int64? {
        guard let bytes = take(count), let first = bytes.first else { return nil }
        let sign: Int64 = first >= 0x80 ? -1 : 0
        return bytes.reduce(sign) { $0 << 8 | Int64($1) }
    }

    /// - Parameter type: SQLite's serial type.
    mutating func value(_ type: UInt64) -> StoredValue? {
        switch type {
        case 0: return .null
        case 1...4: return integer(Int(type)).map { .integer($0) }
        case 5: return integer(6).map { .integer($0) }
        case 6: return integer(8).map { .integer($0) }
        case 7: return integer(8).map { .real(Double(bitPattern: UInt64(bitPattern: $0))) }
        case 8: return .integer(0)
        case 9: return .integer(1)
        case 12...UInt64(Int32.max):
            guard let bytes = take(Int(type - 12) / 2) else { return nil }
            return type.isMultiple(of: 2) ? .blob(Array(bytes)) : .text(Array(bytes))
        default: return nil
        }
    }
}
