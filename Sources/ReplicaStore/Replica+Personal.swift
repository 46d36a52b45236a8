public import Causality
internal import Merge
internal import RecordSchema
public import SyncProtocol

/// Whom the personal values of a row are about.
enum PersonalSubject {
    /// The row itself stands for the person.
    case row
    /// The row of a person.
    case person(RowID)
    /// The row is about something else: what is said in it is nobody's.
    case nobody
}

extension Replica {
    /// Whom the personal values of a row are about.
    ///
    /// - Parameters:
    ///   - value: what is being written to a column; `nil` for what is not.
    ///   - depth: how many rows lead here.
    func subject(
        of row: RowID?, in table: Table, depth: Int = 0, writing value: (Column) -> Value?
    ) throws(StoreError) -> PersonalSubject {
        guard let about = table.about else { return .row }
        var shown: [Value]?
        func current(_ column: Column) throws(StoreError) -> Value? {
            if let value = value(column) { return value }
            guard let row, let access = rows.access(table.id) else { return nil }
            if shown == nil { shown = try access.values(row) }
            return access.place(of: column.id).flatMap { shown?[$0] }
        }
        guard case .blob(let bytes)? = try current(table.declared(about.column)),
            let id = Identifier(bytes).map({ RowID($0) })
        else { return .row }
        var number: UInt32?
        if let name = about.tableColumn {
            if case .integer(let value)? = try current(table.declared(name)) {
                number = UInt32(exactly: value)
            }
        } else if case .register(.reference(let table)) = table.declared(about.column).shape {
            number = table
        }
        guard let other = number.flatMap({ schema.table(id: $0) }) else { return .person(id) }
        guard other.columns.contains(where: \.isPersonal) else { return .nobody }
        guard other.about != nil, depth < 4 else { return .person(id) }
        let further = try subject(of: id, in: other, depth: depth + 1) { _ in nil }
        // What that row is about isn't known here.
        if case .row = further { return .person(id) }
        return further
    }

    // MARK: Erasure

    /// The people who have been erased, by their rows.
    public func erasedPeople() throws(StoreError) -> Set<RowID> {
        if let erased { return erased }
        let found = try erasures().reduce(into: Set<RowID>()) { $0.formUnion($1.subjects) }
        erased = found
        return found
    }

    /// Erasures that a hub has decided, the first first.
    public func erasures() throws(StoreError) -> [Erasure] {
        guard let column = schema.trust?.erasures else { return [] }
        return try trustedElements(in: column).compactMap { try? Erasure(decoding: $0) }
            .sorted { a, b in
                a.decidedMilliseconds != b.decidedMilliseconds
                    ? a.decidedMilliseconds < b.decidedMilliseconds
                    : a.id.bytes.lexicographicallyPrecedes(b.id.bytes)
            }
    }

    /// Whether changes say something new of erasures.
    func areErasures(_ changes: RunChanges) -> Bool {
        guard let place = schema.trust, let column = place.erasures else { return false }
        return changes.changes.contains { change in
            change.table == place.table
                && change.operations.contains { changes.ops[$0].column == column }
        }
    }

    /// Whether there are erasures that this file has not carried out.
    func isErasureDue() throws(StoreError) -> Bool {
        erased = nil
        return try connection.meta(MetaKey.erased) != erasedMark()
    }

    private func erasedMark() throws(StoreError) -> Value? {
        let people = try erasedPeople().sorted()
        guard !people.isEmpty else { return nil }
        return .blob(Digest(.erasure, people.flatMap(\.identifier.bytes)).bytes)
    }

    /// Destroys the keys of people who have been erased, wherever this file has them, and makes the rows anew
    /// in which something of them stood. Inside of a transaction, whose rows are all written. What lies in
    /// free pages goes with ``emptyFreePages()``.
    package func erase() throws(StoreError) {
        guard try isErasureDue() else { return }
        let people = try erasedPeople()
        try writeTails()
        var touched: Set<LogReplay.Key> = []
        try destroyKeysOfRuns(of: people, &touched)
        try destroyKeysOfPieces(of: people, &touched)
        try destroyKeysAside(of: people)
        log.removeAll()
        try remake(touched)
        if let mark = try erasedMark() { try connection.setMeta(MetaKey.erased, mark) }
        try connection.setMeta(MetaKey.vacuum, .integer(1))
    }

    private func destroyKeysOfRuns(
        of people: Set<RowID>, _ touched: inout Set<LogReplay.Key>
    ) throws(StoreError) {
        for record in rows.streams.sorted {
            let statement = try connection.prepare(
                """
                SELECT head, sig, body, last_seq FROM sy_run
                WHERE sid = ? AND length(sig) > \(SealedRun.signatureBytes) ORDER BY last_seq
                """)
            defer { statement.finalize() }
            statement.bind(1, record.sid)
            while try statement.step() {
                let run = try sealedRun(statement)
                var contents = try rawContents(of: run, record)
                for key in contents.changes.rows(about: people) { touched.insert(key) }
                contents.open(run.keys, isErased: people.contains)
                guard contents.keys != run.keys else { continue }
                var bare = run
                bare.keys = contents.keys
                try connection.run(
                    "UPDATE sy_run SET sig = ? WHERE sid = ? AND last_seq = ?", .blob(bare.seal),
                    .integer(record.sid), .integer(statement.integer(3)))
            }
        }
    }

    private func destroyKeysOfPieces(
        of people: Set<RowID>, _ touched: inout Set<LogReplay.Key>
    ) throws(StoreError) {
        for record in rows.streams.sorted where record.head > record.sealed {
            let lane = lane(sid: record.sid)
            var reader = tailReader(record)
            var keys: [UInt8] = []
            let found: [TailPiece]
            if let lane { found = try pieces(of: lane) } else { found = try leftPieces(record) }
            for piece in found {
                reader.append(piece.body, newStreams: piece.streams)
                var changes: RunChanges
                do throws(CBORError) {
                    changes = try reader.nextChanges()
                } catch {
                    throw rows.damaged("change \(record.stream):\(piece.seq): \(error)")
                }
                for key in changes.rows(about: people) { touched.insert(key) }
                let fitting = changes.open(piece.keys, isErased: people.contains).keys
                keys += fitting
                guard fitting != piece.keys else { continue }
                let values: [Value] = [.blob(fitting), .integer(Int64(piece.seq))]
                if lane?.isBase == true {
                    try connection.run("UPDATE sy_tail SET keys = ? WHERE seq = ?", values[0], values[1])
                } else {
                    try connection.run(
                        "UPDATE sy_left SET keys = ? WHERE seq = ? AND sid = ?", values[0],
                        values[1], .integer(record.sid))
                }
            }
            lane?.tailKeys = keys
        }
    }

    private func pieces(of lane: Lane) throws(StoreError) -> [TailPiece] {
        var pieces: [TailPiece] = []
        try forEachTailPiece(of: lane) { piece throws(StoreError) in pieces.append(piece) }
        return pieces
    }

    /// What can't be read stays as it is: its keys go as soon as it can.
    private func destroyKeysAside(of people: Set<RowID>) throws(StoreError) {
        for kept in try quarantinedRuns() where !kept.run.keys.isEmpty {
            guard let changesets = try rawChangesets(of: kept) else { continue }
            var changes = RunChanges(changesets)
            let fitting = changes.open(kept.run.keys, isErased: people.contains).keys
            guard fitting != kept.run.keys else { continue }
            var bare = kept.run
            bare.keys = fitting
            try connection.run(
                "UPDATE sy_quar SET sig = ? WHERE no = ?", .blob(bare.seal),
                .integer(kept.number))
        }
    }

    /// The personal values here that nobody can read, and of no one who was erased: their keys are missing.
    public func missingKeyCount() throws -> Int {
        let people = try erasedPeople()
        var count = 0
        for record in rows.streams.sorted {
            let statement = try connection.prepare(
                "SELECT head, sig, body FROM sy_run WHERE sid = ? ORDER BY last_seq")
            defer { statement.finalize() }
            statement.bind(1, record.sid)
            while try statement.step() {
                let run = try sealedRun(statement)
                var contents = try rawContents(of: run, record)
                guard contents.changes.isSealed else { continue }
                contents.open(run.keys, isErased: people.contains)
                count += contents.unreadableCount
            }
        }
        return count
    }
}

extension RunChanges {
    /// The rows in which something personal is said of some people.
    func rows(about people: Set<RowID>) -> Set<LogReplay.Key> {
        guard isSealed else { return [] }
        return Set(
            changesOfSealed(about: people.contains).map {
                LogReplay.Key(table: $0.table, row: $0.row)
            })
    }
}
