internal import CSQLite
internal import Synchronization

/// An empty database with the tables of a schema, made once in a process.
///
/// SQLite searches its whole list of tables, indices and triggers for each one that is added, which takes 20 ms for
/// the forum's 310 of them. Copied as pages they take 1 ms.
enum LayoutTemplate {
    private struct Pages: Sendable {
        var statements: [String]
        var bytes: [UInt8]
    }

    private static let last = Mutex<Pages?>(nil)

    /// Writes the tables to a file that holds nothing yet.
    ///
    /// - Parameter statements: what makes them.
    static func lay(_ statements: [String], in connection: Connection) throws(StoreError) {
        let memory = try Connection(path: ":memory:", isWritable: true)
        defer { memory.close() }
        if let known = last.withLock({ $0 }), known.statements == statements {
            try memory.load(known.bytes)
        } else {
            try memory.execute("BEGIN")
            for statement in statements { try memory.execute(statement) }
            try memory.execute("COMMIT")
            let pages = Pages(statements: statements, bytes: try memory.pages())
            last.withLock { $0 = pages }
        }
        try memory.copy(into: connection)
    }
}

extension Connection {
    /// The bytes of the whole database.
    fileprivate func pages() throws(StoreError) -> [UInt8] {
        var count: sqlite3_int64 = 0
        guard let bytes = serialize(&count) else { throw error(SQLITE_NOMEM) }
        defer { sqlite3_free(bytes) }
        return Array(UnsafeBufferPointer(start: bytes, count: Int(count)))
    }

    /// Takes the bytes of a database in place of its own, to be read.
    fileprivate func load(_ bytes: [UInt8]) throws(StoreError) {
        guard let copy = sqlite3_malloc64(sqlite3_uint64(bytes.count)) else {
            throw error(SQLITE_NOMEM)
        }
        copy.copyMemory(from: bytes, byteCount: bytes.count)
        try deserialize(copy.assumingMemoryBound(to: UInt8.self), Int64(bytes.count))
    }
}
