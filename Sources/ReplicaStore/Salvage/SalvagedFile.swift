internal import Causality
internal import Foundation
internal import Merge
internal import RecordSchema
internal import SyncProtocol

/// A run that was found in a file and is what its device signed.
struct SalvagedRun {
    var run: SealedRun
    var hash: Digest
    /// Runs are stored in the order in which they came.
    var rowid: Int64
    var received: Int64
}

/// A changeset that no run held.
struct SalvagedPiece {
    /// The run that it follows.
    var previous: Digest?
    var piece: TailPiece
}

/// What can be read of a replica's file, whatever its pages hold.
///
/// Tables are read from their roots. Runs and pieces of a tail are taken from any page: they prove
/// themselves. What can't prove itself, as a cursor, is taken from tables that can be walked, and
/// only where that fails from pages that no tree reaches.
struct SalvagedFile {
    /// Rows of a table that is none of this schema's, as a hub's devices.
    struct OtherTable {
        var sql: String
        var rows: [StoredRecord]
    }

    private(set) var meta: [String: StoredValue] = [:]
    private(set) var streams: [StreamRecord] = []
    /// By stream; for each first seq what was found.
    private(set) var runs: [StreamID: [UInt64: [SalvagedRun]]] = [:]
    private(set) var pieces: [StreamID: [SalvagedPiece]] = [:]
    /// Every run of a stream that anything names.
    private var endings: [StreamID: Set<Digest?>] = [:]
    private(set) var quarantined: [[StoredValue]] = []
    private(set) var cursors: [[StoredValue]] = []
    private(set) var peerHeads: [[StoredValue]] = []
    private(set) var scopes: [String: [StoredValue]] = [:]
    private(set) var dirty: [(table: UInt32, row: RowID)] = []
    private(set) var others: [String: OtherTable] = [:]
    /// The greatest change of a stream that a row shows, by the stream's number.
    private(set) var shown: [Int64: UInt64] = [:]
    /// Tables of which a part can't be read.
    private(set) var damagedTables: Set<String> = []
    private(set) var isSchemaReadable = false
    /// Views, indices and tables of other programs.
    private(set) var foreignObjects: [String] = []

    private let source: PageSource
    private var visited: Set<UInt32> = []
    private var foundRuns: [(values: [StoredValue], rowid: Int64)] = []
    private var foundPieces: [[StoredValue]] = []

    /// - Parameters:
    ///   - logs: further write-ahead logs, of which only what proves itself is taken.
    ///   - key: the device's, where it is known.
    init(database path: String, schema: Schema, logs: [String], publicKey: [UInt8]?) {
        source = PageSource(database: path)
        readTables(schema)
        readOrphans()
        for log in logs { readStrays(PageSource(database: path, log: log)) }
        takeRuns()
        takePieces(publicKey)
    }

    // MARK: Tables

    private mutating func readTables(_ schema: Schema) {
        let objects = walk(1, "the schema")
        isSchemaReadable = !damagedTables.contains("the schema") && !objects.isEmpty
        damagedTables.remove("the schema")
        let declared = Dictionary(uniqueKeysWithValues: schema.tables.map { ($0.name, $0) })
        let views = schema.views.map(\.name)
        for object in objects where object.values.count >= 5 {
            let sql = object.values[4].text ?? ""
            guard let type = object.values[0].text, let noted = object.values[1].text,
                let root = object.values[3].integer.flatMap({ UInt32(exactly: $0) })
            else { continue }
            let tableName = object.values[2].text ?? ""
            // One of the two may be damaged.
            let isKnown = declared[noted] != nil || Layout.names.contains(noted)
            let name = isKnown ? noted : Self.tableName(sql) ?? noted
            let isOurs = declared[tableName] != nil || tableName.hasPrefix("sy_")
            guard type == "table" else {
                if !isOurs, !views.contains(name) { foreignObjects.append(name) }
                continue
            }
            if let table = declared[name] {
                readClocks(walk(root, name), table)
            } else if Layout.names.contains(name) {
                for record in walk(root, name) { take(record, of: name) }
            } else if name.hasPrefix("sy_"), name == noted {
                others[name] = OtherTable(sql: sql, rows: walk(root, name))
            } else if !name.hasPrefix("sqlite_") {
                foreignObjects.append(name)
            }
        }
    }

    /// What a statement makes a table of; `nil` for another statement.
    private static func tableName(_ sql: String) -> String? {
        let start = "CREATE TABLE "
        guard sql.hasPrefix(start), let end = sql.firstIndex(of: "(") else { return nil }
        return sql[sql.index(sql.startIndex, offsetBy: start.count)..<end]
            .filter { $0 != "\"" && $0 != " " }
    }

    /// The records of a tree, as far as its pages can be read.
    private mutating func walk(_ root: UInt32, _ name: String) -> [StoredRecord] {
        var records: [StoredRecord] = []
        var waiting = [root]
        while let number = waiting.popLast() {
            guard let page = BTreePage(number, of: source), visited.insert(number).inserted else {
                damagedTables.insert(name)
                continue
            }
            if page.damagedCount > 0 { damagedTables.insert(name) }
            records += page.records
            waiting += page.children
        }
        return records
    }

    private mutating func readClocks(_ records: [StoredRecord], _ table: Table) {
        for record in records {
            guard let id = record.values.first?.blob.flatMap({ Identifier($0) }),
                let clock = record.values.last?.blob.flatMap({ RowClock($0, of: RowID(id)) })
            else { continue }
            for entry in clock.entries { shown[entry.sid] = max(shown[entry.sid] ?? 0, entry.seq) }
        }
    }

    private mutating func take(_ record: StoredRecord, of name: String) {
        let values = record.values
        switch name {
        case "sy_meta":
            if values.count == 2, let key = values[0].text, meta[key] == nil {
                meta[key] = values[1]
            }
        case "sy_stream":
            if let stream = StreamRecord(record), !streams.contains(where: { $0.sid == stream.sid })
            {
                streams.append(stream)
            } else {
                damagedTables.insert(name)
            }
        case "sy_run": foundRuns.append((values, record.rowid ?? 0))
        case "sy_tail":
            foundPieces.append([.integer(record.rowid ?? 0)] + values.dropFirst())
        case "sy_left":
            guard values.first?.integer != nil else { return }
            foundPieces.append(Array(values.dropFirst()))
        case "sy_quar": if values.count == 9 { quarantined.append(values) }
        case "sy_peer": if values.count == 5 { cursors.append(values) }
        case "sy_peer_head":
            guard values.count == 5, let has = values[2].integer, let fed = values[3].integer,
                values[4].integer == has &* 3 &+ fed
            else { return }
            peerHeads.append(values)
        case "sy_scope":
            if values.count == 4, let scope = values[0].text { scopes[scope] = values }
        case "sy_dirty":
            guard let table = values.first?.integer.flatMap({ UInt32(exactly: $0) }),
                values.count == 3, let row = values[1].blob.flatMap({ Identifier($0) }),
                !dirty.contains(where: { $0 == (table, RowID(row)) })
            else { return }
            dirty.append((table, RowID(row)))
        default: return
        }
    }

    // MARK: Pages that no tree reaches

    private mutating func readOrphans() {
        let isLost = !isSchemaReadable || !damagedTables.isEmpty
        for number in 1...max(source.pageCount, 1) where !visited.contains(number) {
            guard let page = BTreePage(number, of: source) else { continue }
            for record in page.records {
                readStray(record)
                guard isLost, let name = Self.table(of: record) else { continue }
                if !isSchemaReadable || damagedTables.contains(name) { take(record, of: name) }
            }
        }
    }

    private mutating func readStrays(_ source: PageSource) {
        for number in 1...max(source.pageCount, 1) {
            for record in BTreePage(number, of: source)?.records ?? [] { readStray(record) }
        }
    }

    /// What proves itself.
    private mutating func readStray(_ record: StoredRecord) {
        let values = record.values
        if let rowid = record.rowid {
            if values.count == 8, values[7].blob != nil { foundRuns.append((values, rowid)) }
            if values.count == 5, values[0] == .null, values[3].integer != nil {
                foundPieces.append([.integer(rowid)] + values.dropFirst())
            }
        } else if values.count == 6, values[0].integer != nil, values[3].blob != nil,
            values[4].integer != nil
        {
            foundPieces.append(Array(values.dropFirst()))
        }
    }

    /// Which table a record is of, by its shape.
    private static func table(of record: StoredRecord) -> String? {
        let values = record.values
        switch values.count {
        case 2:
            guard record.rowid == nil, let key = values[0].text else { return nil }
            let isNoted = [
                "adopt_", "known_", "named_", "owed_", MetaKey.lane(""), MetaKey.dropped(""),
            ].contains { key.hasPrefix($0) }
            return Layout.metaKeys.contains(key) || isNoted ? "sy_meta" : nil
        case 3:
            return values[0].integer != nil && values[1].blob?.count == 16
                && values[2].integer != nil ? "sy_dirty" : nil
        case 4:
            return values[0].text != nil && values[1].blob?.count == 16 ? "sy_scope" : nil
        case 5:
            guard values[0].blob?.count == 32 else { return nil }
            return values[1].text != nil ? "sy_peer" : "sy_peer_head"
        case 9: return values[8].blob != nil && record.rowid != nil ? "sy_quar" : nil
        case 11: return record.rowid != nil && StreamRecord(record) != nil ? "sy_stream" : nil
        default: return nil
        }
    }

    // MARK: What proves itself

    private mutating func takeRuns() {
        var keys = Dictionary(streams.map { ($0.stream, $0.publicKey) }) { first, _ in first }
        var found: [SalvagedRun] = []
        for (values, rowid) in foundRuns {
            guard values.count == 8, let head = values[5].blob, let seal = values[6].blob,
                let body = values[7].blob,
                let run = try? SealedRun(storedHeader: head, seal: seal, body: body)
            else { continue }
            if let origin = run.header.origin { keys[run.header.stream] = origin.publicKey }
            endings[run.header.stream, default: []].formUnion([run.hash, run.header.previous])
            for dependency in run.header.dependencies {
                endings[dependency.stream, default: []].insert(dependency.run)
            }
            found.append(
                SalvagedRun(
                    run: run, hash: run.hash, rowid: rowid, received: values[3].integer ?? 0))
        }
        foundRuns = []
        var known: Set<Digest> = []
        for entry in found where !known.contains(entry.hash) {
            let header = entry.run.header
            guard let key = keys[header.stream], (try? entry.run.verify(publicKey: key)) != nil
            else { continue }
            known.insert(entry.hash)
            runs[header.stream, default: [:]][header.firstSeq, default: []].append(entry)
        }
        for entry in found {
            guard let origin = entry.run.header.origin, known.contains(entry.hash) else { continue }
            learn(origin)
        }
    }

    /// A stream whose row can't be read: its first run says whose it is.
    private mutating func learn(_ origin: StreamOrigin) {
        guard !streams.contains(where: { $0.stream == origin.stream }) else { return }
        let sid = max(streams.map(\.sid).max() ?? 0, shown.keys.max() ?? 0) + 1
        streams.append(StreamRecord(sid: min(sid, 1 << 19), origin))
    }

    /// Pieces are taken by the streams of this device, and the runs before them, that their sums are
    /// of.
    private mutating func takePieces(_ publicKey: [UInt8]?) {
        let own = meta["own"]?.integer.flatMap { sid in streams.first { $0.sid == sid } }
        let key = own?.publicKey ?? publicKey
        let candidates = streams.filter { $0.publicKey == key }
        for values in foundPieces {
            guard values.count == 5, let seq = values[0].integer, let refs = values[1].blob,
                let body = values[2].blob, let sum = values[3].integer,
                let keys = values[4].blob
            else { continue }
            for stream in candidates {
                for previous in endings[stream.stream, default: []].union([nil, stream.runHash]) {
                    guard
                        let piece = TailPiece(
                            seq: seq, refs: refs, body: body, sum: sum, keys: keys,
                            of: stream.stream, after: previous)
                    else { continue }
                    add(SalvagedPiece(previous: previous, piece: piece), to: stream.stream)
                }
            }
        }
        foundPieces = []
    }

    private mutating func add(_ piece: SalvagedPiece, to stream: StreamID) {
        let isKnown =
            pieces[stream]?.contains {
                $0.piece.seq == piece.piece.seq && $0.previous == piece.previous
            } ?? false
        if !isKnown { pieces[stream, default: []].append(piece) }
    }
}

extension StreamRecord {
    /// A row of `sy_stream`; `nil` for one that its name contradicts, and for a branch's: what is
    /// beside a stream's own chain is taken in anew.
    fileprivate init?(_ record: StoredRecord) {
        let values = record.values
        guard let sid = record.rowid, (1...1 << 20).contains(sid), values.count == 11,
            let scope = values[1].text, let name = values[2].blob.flatMap({ Identifier($0) }),
            let key = values[3].blob, let incarnation = values[4].integer,
            let head = values[5].integer, let sealed = values[6].integer
        else { return nil }
        self.init(
            sid: sid,
            StreamOrigin(
                publicKey: key, scope: scope, incarnation: UInt64(clamping: incarnation)))
        guard stream == StreamID(name) else { return nil }
        (self.head, self.sealed) = (UInt64(clamping: head), UInt64(clamping: sealed))
        runHash = values[7].blob.flatMap { Digest($0) }
        named = UInt64(clamping: values[9].integer ?? 0)
        clock = HybridTime(rawValue: UInt64(clamping: values[10].integer ?? 0))
        end = values[8].blob.flatMap { StreamEnd(stored: $0) }
    }
}
