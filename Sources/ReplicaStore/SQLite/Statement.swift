package import Causality
internal import CSQLite
package import Merge
internal import SyncProtocol

/// A prepared statement. Texts and blobs are copied when they are bound: small ones to a buffer of
/// the statement's own, which spares SQLite an allocation for each, the others by SQLite. Every
/// parameter has to be bound before each run.
package final class Statement {
    private var pointer: OpaquePointer?
    private unowned let connection: Connection
    private var buffer: UnsafeMutableRawBufferPointer?
    private var bufferCount = 0

    private static let bufferBytes = 4 << 10

    init(_ pointer: OpaquePointer, connection: Connection) {
        self.pointer = pointer
        self.connection = connection
    }

    deinit { finalize() }

    func finalize() {
        if let pointer { connection.forget(pointer) }
        end()
    }

    /// As above, when its connection ends.
    func end() {
        sqlite3_finalize(pointer)
        pointer = nil
        buffer?.deallocate()
        buffer = nil
    }

    /// Where `bytes` lie until the statement has run; `nil` when they are too many.
    private func keep(_ bytes: UnsafeRawBufferPointer) -> UnsafeRawPointer? {
        guard bytes.count <= Self.bufferBytes - bufferCount else { return nil }
        let buffer =
            self.buffer ?? .allocate(byteCount: Self.bufferBytes, alignment: 16)
        self.buffer = buffer
        guard let start = buffer.baseAddress.map({ $0 + bufferCount }) else { return nil }
        if let source = bytes.baseAddress { start.copyMemory(from: source, byteCount: bytes.count) }
        bufferCount += bytes.count
        return UnsafeRawPointer(start)
    }

    /// Runs to the next row; `false` at the end, and then the statement is reset.
    @discardableResult
    package func step() throws(StoreError) -> Bool {
        switch sqlite3_step(pointer) {
        case SQLITE_ROW: return true
        case SQLITE_DONE:
            reset()
            return false
        case let code:
            let error = connection.error(code)
            reset()
            throw error
        }
    }

    package func reset() {
        sqlite3_reset(pointer)
        bufferCount = 0
    }

    /// Whether it can't change the database.
    package var isReadOnly: Bool { sqlite3_stmt_readonly(pointer) != 0 }

    package var columnNames: [String] {
        (0..<sqlite3_column_count(pointer)).map {
            String(cString: sqlite3_column_name(pointer, $0))
        }
    }

    package func allRows() throws(StoreError) -> [[Value]] {
        let count = sqlite3_column_count(pointer)
        var rows: [[Value]] = []
        while try step() { rows.append((0..<count).map { value($0) }) }
        return rows
    }

    // Parameters count from 1.

    package func bind(_ index: Int32, _ value: Int64) { sqlite3_bind_int64(pointer, index, value) }

    package func bindNull(_ index: Int32) { sqlite3_bind_null(pointer, index) }

    package func bind(_ index: Int32, _ identifier: Identifier) {
        identifier.withUnsafeBytes { bind(index, bytes: $0) }
    }

    package func bind(_ index: Int32, blob: [UInt8]) {
        blob.withUnsafeBytes { bind(index, bytes: $0) }
    }

    private func bind(_ index: Int32, bytes: UnsafeRawBufferPointer) {
        // An empty array has no address, and a blob without one would be NULL.
        guard !bytes.isEmpty else {
            sqlite3_bind_zeroblob(pointer, index, 0)
            return
        }
        if let kept = keep(bytes) {
            _ = karvan_bind_blob_static(pointer, index, kept, Int32(bytes.count))
        } else {
            _ = karvan_bind_blob(pointer, index, bytes.baseAddress, Int32(bytes.count))
        }
    }

    package func bind(_ index: Int32, text: String) {
        var text = text
        text.withUTF8 { utf8 in
            let bytes = UnsafeRawBufferPointer(utf8)
            if let kept = keep(bytes) {
                let start = kept.assumingMemoryBound(to: CChar.self)
                _ = karvan_bind_text_static(pointer, index, start, Int32(bytes.count))
            } else {
                let start = bytes.baseAddress?.assumingMemoryBound(to: CChar.self)
                _ = karvan_bind_text(pointer, index, start, Int32(bytes.count))
            }
        }
    }

    package func bind(_ index: Int32, _ value: Value) {
        switch value {
        case .null: bindNull(index)
        case .integer(let value): bind(index, value)
        case .real(let value): sqlite3_bind_double(pointer, index, value)
        case .text(let value): bind(index, text: value)
        case .blob(let value): bind(index, blob: value)
        case .sealed, .erased: bindNull(index)
        case .composite: preconditionFailure("a composite is bound part by part")
        }
    }

    /// The value of an op, which must not be ``RunChanges/Kind/other``. What lies in `body` is not
    /// copied: it must outlive the run of the statement.
    func bind(
        _ index: Int32, _ op: RunChanges.Op, of changes: RunChanges, _ body: UnsafeRawBufferPointer
    ) {
        switch op.kind {
        case .null, .other: bindNull(index)
        case .integer: bind(index, op.integer)
        case .real: sqlite3_bind_double(pointer, index, op.real)
        case .row: bind(index, changes.row(op).identifier)
        case .value: bind(index, changes.value(op))
        case .text:
            let range = op.range
            guard let start = body.baseAddress else { return bindNull(index) }
            let text = (start + range.lowerBound).assumingMemoryBound(to: CChar.self)
            _ = karvan_bind_text_static(pointer, index, text, Int32(range.count))
        case .blob:
            let range = op.range
            guard let start = body.baseAddress, !range.isEmpty else {
                sqlite3_bind_zeroblob(pointer, index, 0)
                return
            }
            _ = karvan_bind_blob_static(
                pointer, index, start + range.lowerBound, Int32(range.count))
        }
    }

    package func bind(_ values: [Value]) {
        for (index, value) in values.enumerated() { bind(Int32(index + 1), value) }
    }

    // Columns count from 0.

    package func integer(_ index: Int32) -> Int64 { sqlite3_column_int64(pointer, index) }

    package func isNull(_ index: Int32) -> Bool {
        sqlite3_column_type(pointer, index) == SQLITE_NULL
    }

    package func blob(_ index: Int32) -> [UInt8] {
        guard let bytes = sqlite3_column_blob(pointer, index) else { return [] }
        return Array(
            UnsafeRawBufferPointer(start: bytes, count: Int(sqlite3_column_bytes(pointer, index))))
    }

    /// Reads a blob where it lies: it is gone with the next step.
    package func withBlob<T>(_ index: Int32, _ body: (UnsafeRawBufferPointer) -> T) -> T {
        let bytes = sqlite3_column_blob(pointer, index)
        return body(
            UnsafeRawBufferPointer(
                start: bytes, count: Int(sqlite3_column_bytes(pointer, index))))
    }

    package func identifier(_ index: Int32) -> Identifier? { Identifier(blob(index)) }

    package func text(_ index: Int32) -> String {
        guard let bytes = sqlite3_column_text(pointer, index) else { return "" }
        let count = Int(sqlite3_column_bytes(pointer, index))
        return String(decoding: UnsafeBufferPointer(start: bytes, count: count), as: UTF8.self)
    }

    /// Whether a text column holds UTF-8: another program may have put anything there.
    package func isValidText(_ index: Int32) -> Bool {
        guard sqlite3_column_type(pointer, index) == SQLITE_TEXT,
            let bytes = sqlite3_column_text(pointer, index)
        else { return true }
        let count = Int(sqlite3_column_bytes(pointer, index))
        let buffer = UnsafeBufferPointer(start: bytes, count: count)
        return String(validating: buffer, as: UTF8.self) != nil
    }

    package func value(_ index: Int32) -> Value {
        switch sqlite3_column_type(pointer, index) {
        case SQLITE_INTEGER: .integer(integer(index))
        case SQLITE_FLOAT: .real(sqlite3_column_double(pointer, index))
        case SQLITE_TEXT: .text(text(index))
        case SQLITE_BLOB: .blob(blob(index))
        default: .null
        }
    }
}
