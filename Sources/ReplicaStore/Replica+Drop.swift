internal import Causality
internal import Merge
internal import RecordSchema
internal import SyncProtocol

/// What a laptop may read no more goes from it, once all that was recorded on it there has been handed over.
extension Replica {
    /// Scopes of which something is held here that the hub doesn't let this device read any more, and of
    /// which something has still to be sent.
    public func unreadableScopes() throws(StoreError) -> [(scope: String, isSent: Bool)] {
        try read { () throws(StoreError) in
            guard try connection.meta(MetaKey.scopes) != nil else { return [] }
            let heads = try peerHeads()
            var scopes: [String: Bool] = [:]
            for record in rows.streams.records.values where try !mayRead(record.scope) {
                let isSent = record.head <= heads[record.sid]?.has ?? record.base
                scopes[record.scope] = (scopes[record.scope] ?? true) && isSent
            }
            return scopes.sorted { $0.key < $1.key }.map { ($0.key, $0.value) }
        }
    }

    /// Takes away what may not be read any more, as far as the hub holds all of it: rows, log, and what lies
    /// in pages that are free.
    ///
    /// - Returns: the scopes that are gone.
    @discardableResult
    public func dropUnreadableScopes() throws -> [String] {
        guard try unreadableScopes().contains(where: \.isSent) else { return [] }
        let dropped = try transaction {
            try drain()
            let scopes = try unreadableScopes().filter(\.isSent).map(\.scope)
            for scope in scopes { try drop(scope) }
            return scopes
        }
        guard !dropped.isEmpty else { return [] }
        try withLock {
            try connection.execute("VACUUM")
            try connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        }
        return dropped
    }

    private func drop(_ scope: String) throws(StoreError) {
        guard let mark = schema.mark(ofScope: scope) else { return }
        let records = rows.streams.records.values.filter { $0.scope == scope }
        // Its numbers are known to others.
        if records.contains(where: { $0.publicKey == own.publicKey }) {
            try connection.setMeta(MetaKey.dropped(scope), .integer(1))
        }
        for record in records.sorted(by: { $0.depth > $1.depth }) {
            for table in ["sy_run", "sy_left", "sy_live", "sy_peer_head"] {
                try connection.run("DELETE FROM \(table) WHERE sid = ?", .integer(record.sid))
            }
            for key in [MetaKey.known(record.sid), Self.adoption(record)] {
                try connection.run("DELETE FROM sy_meta WHERE key = ?", .text(key))
            }
            try rows.streams.remove(record, from: connection)
        }
        try rows.streams.writeBranches(to: connection)
        let end = Value.blob((0..<4).map { UInt8(truncatingIfNeeded: mark.value >> (24 - 8 * $0)) })
        for table in schema.tables where table.isDivided {
            try connection.run("DELETE FROM \(table.name) WHERE substr(id, 13) = ?", end)
        }
        let others = schema.tables.filter { !$0.isDivided }.map { "\($0.id)" }
            .joined(separator: ", ")
        for table in ["sy_row", "sy_live", "sy_dirty"] {
            try connection.run(
                "DELETE FROM \(table) WHERE substr(id, 13) = ? AND tbl NOT IN (\(others))", end)
        }
        // What of this device's own the hub has not taken stays.
        let mine = records.filter { $0.publicKey == own.publicKey }.map(\.wire.identifier.bytes)
        for row in try connection.rows(
            "SELECT no, stream FROM sy_quar WHERE scope = ? AND last_seq > 0", .text(scope))
        {
            if case .blob(let stream) = row[1], mine.contains(stream) { continue }
            try connection.run("DELETE FROM sy_quar WHERE no = ?", row[0])
        }
        try connection.run("DELETE FROM sy_peer WHERE scope = ?", .text(scope))
        try connection.run(
            "DELETE FROM sy_meta WHERE key = ?", .text(MetaKey.lane(scope)))
        lanes.removeAll { $0.record.scope == scope }
        try reload()
    }
}
