public import Causality
internal import Merge
public import RecordSchema
public import SyncProtocol

/// Whom the personal values of a row are about.
enum PersonalSubject {
    /// The row itself stands for the person.
    case row
    /// The row of a person.
    case person(RowID)
    /// The row is about something else: what is said in it is nobody's.
    case nobody

    /// The person's row.
    ///
    /// - Parameter row: the row whose values they are; `nil` for one that has no id yet.
    func person(of row: RowID?) -> RowID? {
        switch self {
        case .row: row
        case .person(let other): other
        case .nobody: nil
        }
    }
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
        var known: RowState?
        func current(_ column: Column) throws(StoreError) -> Value? {
            if let value = value(column) { return value }
            guard let row else { return nil }
            // Of a row that is hidden as well.
            if known == nil { known = try load(table.id, row, try rows.clock(table.id, row)) }
            guard let known else { return nil }
            return RegisterFold(known[CellKey(column.id)], policy: column.policy).shown?.action
                .value
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

    /// Whether a row is about a person who has been erased: nothing personal may be written to it.
    public func isAboutErased(_ table: Table, _ row: RowID) throws(StoreError) -> Bool {
        let people = try erasedPeople()
        guard !people.isEmpty, table.columns.contains(where: \.isPersonal) else { return false }
        let subject = try subject(of: row, in: table) { _ in nil }
        return subject.person(of: row).map(people.contains) ?? false
    }

    // MARK: Erasure

    /// The people who have been erased, by their rows.
    public func erasedPeople() throws(StoreError) -> Set<RowID> {
        if let erased { return erased }
        let found = try erasures().reduce(into: Set<RowID>()) { $0.formUnion($1.subjects) }
        erased = found
        return found
    }

    /// Erasures that a hub has decided, the first first. Where no root is known nobody's word is a hub's.
    public func erasures() throws(StoreError) -> [Erasure] {
        guard let column = schema.trust?.erasures, try membership() != nil else { return [] }
        return try trustedElements(in: column).compactMap { try? Erasure(decoding: $0) }
            .filter(\.isSigned)
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
        let isDue = try isErasureDue()
        guard isDue || holdsUncheckedKeys else { return }
        let people = try erasedPeople()
        if isDue {
            try writeTails()
            var touched: Set<LogReplay.Key> = []
            try destroyKeysOfRuns(of: people, &touched)
            try destroyKeysOfPieces(of: people, &touched)
            log.removeAll()
            try remake(touched)
            if let mark = try erasedMark() { try connection.setMeta(MetaKey.erased, mark) }
            try connection.setMeta(MetaKey.vacuum, .integer(1))
        }
        if try destroyKeysAside(of: people) {
            try connection.setMeta(MetaKey.vacuum, .integer(1))
        }
        try destroyWords(about: people)
        holdsUncheckedKeys = false
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
            var keys = KeptKeys()
            let found: [TailPiece]
            if let lane { found = try pieces(of: lane) } else { found = try leftPieces(record) }
            for piece in found {
                let changes = try changes(of: piece, &reader)
                for key in changes.rows(about: people) { touched.insert(key) }
                let fitting = fitting(piece.keys, changes, people)
                keys = keys + fitting
                guard fitting != piece.keys else { continue }
                let values: [Value] = [.blob(fitting.bytes), .integer(Int64(piece.seq))]
                if lane?.isBase == true {
                    try connection.run(
                        "UPDATE sy_tail SET keys = ? WHERE seq = ?", values[0], values[1])
                } else {
                    try connection.run(
                        "UPDATE sy_left SET keys = ? WHERE seq = ? AND sid = ?", values[0],
                        values[1], .integer(record.sid))
                }
            }
            lane?.tailKeys = keys
        }
    }

    /// The keys of changesets that an earlier life left, without those of people who have been erased: what lies
    /// behind a gap was not looked at when they were.
    func fittingKeys(of pieces: [TailPiece], _ record: StreamRecord) throws(StoreError) -> KeptKeys
    {
        let people = try erasedPeople()
        var reader = tailReader(record)
        var keys = KeptKeys()
        for piece in pieces {
            keys = keys + fitting(piece.keys, try changes(of: piece, &reader), people)
        }
        return keys
    }

    private func changes(
        of piece: TailPiece, _ reader: inout BodyReader
    ) throws(StoreError) -> RunChanges {
        reader.append(piece.body, newStreams: piece.streams)
        do throws(CBORError) {
            return try reader.nextChanges()
        } catch {
            throw rows.damaged("change \(reader.stream):\(piece.seq): \(error)")
        }
    }

    private func fitting(
        _ keys: KeptKeys, _ changes: RunChanges, _ people: Set<RowID>
    ) -> KeptKeys {
        var changes = changes
        return keys.replacing(changes.open(keys.keys, isErased: people.contains).keys)
    }

    private func pieces(of lane: Lane) throws(StoreError) -> [TailPiece] {
        var pieces: [TailPiece] = []
        try forEachTailPiece(of: lane) { piece throws(StoreError) in pieces.append(piece) }
        return pieces
    }

    /// What can't be read now keeps no keys: nobody could say whom they are about.
    ///
    /// - Returns: whether there were any.
    private func destroyKeysAside(of people: Set<RowID>) throws(StoreError) -> Bool {
        guard !people.isEmpty,
            try connection.value(
                "SELECT 1 FROM sy_quar WHERE last_seq > 0 AND length(sig) > ? LIMIT 1",
                .integer(Int64(SealedRun.signatureBytes))) != nil
        else { return false }
        var hasAny = false
        var readers: [StreamID: AsideReader] = [:]
        for kept in try quarantinedRuns().sorted(by: {
            $0.run.header.firstSeq < $1.run.header.firstSeq
        }) {
            let stream = kept.run.header.stream
            if readers[stream] == nil { readers[stream] = try asideReader(of: kept) }
            // Mostly one follows on the other; where the stream forks, the path is looked for.
            var changesets = readers[stream]?.changesets(of: kept.run)
            if changesets == nil { changesets = try rawChangesets(of: kept) }
            guard !kept.run.keys.isEmpty else { continue }
            var bare = kept.run
            if let changesets {
                var changes = RunChanges(changesets)
                bare.keys = changes.open(kept.run.keys, isErased: people.contains).keys
            } else {
                bare.keys = []
            }
            guard bare.keys != kept.run.keys else { continue }
            hasAny = true
            try connection.run(
                "UPDATE sy_quar SET sig = ? WHERE no = ?", .blob(bare.seal), .integer(kept.number))
        }
        return hasAny
    }

    /// Reads runs that are kept aside and follow on the log, one on the other.
    private struct AsideReader {
        var reader: StreamReader
        var lastRun: Digest?
        var isWhole = true

        /// - Returns: `nil` for a run that follows on another than the last.
        mutating func changesets(of run: SealedRun) -> [Changeset]? {
            guard isWhole, run.header.previous == lastRun else { return nil }
            let changesets = try? reader.changesets(of: run, isOpened: false)
            (lastRun, isWhole) = (run.hash, changesets != nil)
            return changesets
        }
    }

    private func asideReader(of kept: QuarantinedRun) throws(StoreError) -> AsideReader {
        var reader = AsideReader(
            reader: StreamReader(
                namespace: schema.namespace,
                mark: try origin(of: kept.run).flatMap { schema.mark(ofScope: $0.scope) }))
        for record in rows.streams.family(kept.run.header.stream) {
            for run in try runs(of: record, after: record.base, .all) {
                _ = reader.changesets(of: run)
            }
        }
        return reader
    }

    /// What other programs wrote of them, and might not, was kept as words; `head` says whom it is about.
    private func destroyWords(about people: Set<RowID>) throws(StoreError) {
        let found = try connection.rows(
            "SELECT no, head, reason FROM sy_quar WHERE last_seq = 0 AND length(head) = 16")
        for row in found {
            guard case .blob(let bytes) = row[1], let id = Identifier(bytes),
                people.contains(RowID(id)), case .text(let reason) = row[2]
            else { continue }
            let words = reason.firstRange(of: Self.takenBackWords).map { reason[..<$0.upperBound] }
            try connection.run(
                "UPDATE sy_quar SET head = x'', reason = ? WHERE no = ?",
                .text((words ?? "") + "(erased)"), row[0])
        }
    }

    static let takenBackWords = "that was taken back: "

    /// What was said in a person's row before that was encrypted.
    public func unsealedCount(about person: RowID) throws -> Int {
        var count = 0
        try forEachRawRun { _, contents in
            for change in contents.changesets.lazy.flatMap(\.rows) where change.row == person {
                let columns = schema.table(id: change.table)?.columns.filter(\.isPersonal)
                count += change.operations.count { operation in
                    guard let value = operation.action.value, !value.isUnreadable,
                        value != .null, value != .text("")
                    else { return false }
                    return columns?.contains { $0.id == operation.cell.column } ?? false
                }
            }
        }
        return count
    }

    /// Each run of the log, with what is personal as its body has it.
    private func forEachRawRun(_ body: (SealedRun, RunContents) throws -> Void) throws {
        for record in rows.streams.sorted {
            let statement = try connection.prepare(
                "SELECT head, sig, body FROM sy_run WHERE sid = ? ORDER BY last_seq")
            defer { statement.finalize() }
            statement.bind(1, record.sid)
            while try statement.step() {
                let run = try sealedRun(statement)
                try body(run, try rawContents(of: run, record))
            }
        }
    }

    /// The values that stand somewhere now and that nobody can read here, though nobody was erased: their keys
    /// are missing.
    public func unreadableValueCount() throws(StoreError) -> Int {
        let count = try connection.value(
            "SELECT count(*) FROM sy_live WHERE substr(val, 1, 2) IN (x'8204', x'8304')")
        guard case .integer(let count)? = count else { return 0 }
        return Int(count)
    }

    /// Whether pages that are free may still hold what was erased here.
    public func isEmptyingDue() throws -> Bool { try connection.meta(MetaKey.vacuum) != nil }

    /// The personal values here that nobody can read, and of no one who was erased: their keys are missing.
    public func missingKeyCount() throws -> Int {
        let people = try erasedPeople()
        var count = 0
        try forEachRawRun { run, contents in
            var contents = contents
            contents.open(run.keys, isErased: people.contains)
            count += contents.unreadableCount
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
