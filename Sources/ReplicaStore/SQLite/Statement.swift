package import Causality
internal import CSQLite
package import Merge

/// A prepared statement. Bound text and blobs are copied by SQLite unless said otherwise.
package final class Statement {
    private var pointer: OpaquePointer?
    private unowned let connection: Connection

    init(_ pointer: OpaquePointer, connection: Connection) {
        self.pointer = pointer
        self.connection = connection
    }

    deinit { finalize() }

    func finalize() {
        sqlite3_finalize(pointer)
        pointer = nil
    }

    /// Runs to the next row; `false` at the end, and then the statement is reset.
    @discardableResult
    package func step() throws(StoreError) -> Bool {
        switch sqlite3_step(pointer) {
        case SQLITE_ROW: return true
        case SQLITE_DONE:
            sqlite3_reset(pointer)
            return false
        case let code:
            let error = connection.error(code)
            sqlite3_reset(pointer)
            throw error
        }
    }

    package func reset() { sqlite3_reset(pointer) }

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
        identifier.withUnsafeBytes {
            _ = karvan_bind_blob(pointer, index, $0.baseAddress, Int32($0.count))
        }
    }

    package func bind(_ index: Int32, blob: [UInt8]) {
        // An empty array has no address, and a blob without one would be NULL.
        guard !blob.isEmpty else {
            sqlite3_bind_zeroblob(pointer, index, 0)
            return
        }
        blob.withUnsafeBytes {
            _ = karvan_bind_blob(pointer, index, $0.baseAddress, Int32($0.count))
        }
    }

    package func bind(_ index: Int32, text: String) {
        var text = text
        text.withUTF8 { utf8 in
            utf8.withMemoryRebound(to: CChar.self) {
                // The empty text needs an address too.
                _ = karvan_bind_text(pointer, index, $0.baseAddress ?? emptyText, Int32($0.count))
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
        case .composite: preconditionFailure("a composite is bound part by part")
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

/// An address for the text of no bytes. It is never written.
nonisolated(unsafe) private let emptyText: UnsafePointer<CChar> = {
    let byte = UnsafeMutablePointer<CChar>.allocate(capacity: 1)
    byte.initialize(to: 0)
    return UnsafePointer(byte)
}()
