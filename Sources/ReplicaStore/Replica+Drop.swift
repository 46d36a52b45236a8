internal import Causality
internal import Merge
internal import RecordSchema
internal import SyncProtocol

/// What a laptop may read no more goes from it, once all that was recorded on it there has been handed over.
extension Replica {
    /// Scopes of which something is held here that the hub doesn't let this device read any more, and whether
    /// the hub has all of it that was recorded here or carried here.
    public func unreadableScopes() throws(StoreError) -> [(scope: String, isSent: Bool)] {
        try read { () throws(StoreError) in
            guard try connection.meta(MetaKey.scopes) != nil else { return [] }
            var scopes: [String: Bool] = [:]
            for record in rows.streams.records.values where try !mayRead(record.scope) {
                scopes[record.scope] = true
            }
            for row in try connection.rows(
                "SELECT DISTINCT scope FROM sy_quar WHERE last_seq > 0")
            {
                guard case .text(let scope) = row[0], try !mayRead(scope) else { continue }
                scopes[scope] = true
            }
            var found: [(scope: String, isSent: Bool)] = []
            for scope in scopes.keys.sorted() {
                guard try isAnythingHeld(of: scope) else { continue }
                found.append((scope, try !isAnythingWaiting(of: scope)))
            }
            return found
        }
    }

    /// A cut that names a stream makes it known where nothing of it is held.
    private func isAnythingHeld(of scope: String) throws(StoreError) -> Bool {
        let tables = ["sy_run", "sy_left"].map {
            "EXISTS(SELECT 1 FROM \($0) WHERE sid IN (\(Self.sids)))"
        }
        let found = try connection.value(
            "SELECT \(tables.joined(separator: " OR ")) OR EXISTS(SELECT 1 FROM sy_quar WHERE scope = ?1 AND last_seq > 0)",
            .text(scope))
        return found == .integer(1)
    }

    private static let sids = "SELECT sid FROM sy_stream WHERE scope = ?1"

    /// What is not with the hub yet: changes that are sealed or not, what waits behind a gap, and what another
    /// program wrote that can't be sent.
    private func isAnythingWaiting(of scope: String) throws(StoreError) -> Bool {
        let heads = try peerHeads()
        for record in rows.streams.records.values where record.scope == scope {
            if record.head > heads[record.sid]?.has ?? record.base { return true }
        }
        let stranded = try connection.value(
            """
            SELECT EXISTS(SELECT 1 FROM sy_left WHERE sid IN (\(Self.sids)))
            OR EXISTS(SELECT 1 FROM sy_quar WHERE scope = ?1 AND \(Self.stranded))
            """, .text(scope))
        if stranded == .integer(1) { return true }
        if try blobStanding().unsent.contains(where: { $0.name.scope == scope }) { return true }
        guard let end = markBytes(of: scope) else { return true }
        return try connection.value(
            "SELECT 1 FROM sy_dirty WHERE substr(id, 13) = ? LIMIT 1", end) != nil
    }

    private func markBytes(of scope: String) -> Value? {
        schema.mark(ofScope: scope).map { .blob($0.bytes) }
    }

    /// Takes away what may not be read any more, as far as the hub holds all of it: rows, log, and what lies
    /// in pages that are free. What waits there and can be sealed now goes with the next sync.
    ///
    /// - Returns: the scopes that are gone.
    @discardableResult
    public func dropUnreadableScopes() throws -> [String] {
        for (scope, isSent) in try unreadableScopes() where !isSent {
            try adoptPutBack(in: scope)
        }
        var dropped: [String] = []
        if try unreadableScopes().contains(where: \.isSent) {
            dropped = try transaction {
                try drain()
                // The streams are read anew below.
                try writeTails()
                let scopes = try unreadableScopes().filter(\.isSent).map(\.scope)
                for scope in scopes { try drop(scope) }
                if !scopes.isEmpty { try connection.setMeta(MetaKey.vacuum, .integer(1)) }
                return scopes
            }
        }
        try emptyFreePages()
        return dropped
    }

    /// Takes what was removed off the disk: also when that was begun, and did not come to its end.
    ///
    /// - Returns: whether nothing of it is left. A reader may be in the way: then it is for the next time.
    @discardableResult
    public func emptyFreePages() throws -> Bool {
        guard let due = try connection.meta(MetaKey.vacuum) else { return true }
        if due != MetaKey.vacuumed {
            try removeForgottenBlobs()
            try withLock {
                // A copy of the whole file need not lie in memory.
                try connection.execute("PRAGMA temp_store = FILE")
                defer { try? connection.execute("PRAGMA temp_store = MEMORY") }
                try connection.execute("VACUUM")
            }
            // The next time, what is left to do is little.
            try transaction { () throws(StoreError) in
                try connection.setMeta(MetaKey.vacuum, MetaKey.vacuumed)
            }
        }
        let isDone = try withLock {
            // (whether somebody was in the way, …)
            try connection.rows("PRAGMA wal_checkpoint(TRUNCATE)").first?[0] == .integer(0)
        }
        guard isDone else { return false }
        try transaction { () throws(StoreError) in
            try connection.run("DELETE FROM sy_meta WHERE key = ?", .text(MetaKey.vacuum))
        }
        return true
    }

    private func drop(_ scope: String) throws(StoreError) {
        guard let end = markBytes(of: scope) else { return }
        let records = rows.streams.records.values.filter { $0.scope == scope }
        // Its numbers are known to others.
        if records.contains(where: { $0.publicKey == own.publicKey }) {
            try connection.setMeta(MetaKey.dropped(scope), .integer(1))
        }
        if let lane = lanes.first(where: { $0.record.scope == scope }) {
            let count = laneCount - lanes.dropFirst().reduce(0) { $0 + $1.count } + lane.count
            try connection.setMeta(MetaKey.laneCount, .integer(Int64(clamping: count)))
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
