import Causality
import Merge
import RecordSchema
import ReplicaStore
import StoreTestSupport
import SyncProtocol
import TestSupport

/// Three to five replicas in files of their own, on which people do what people do.
final class StoreSchedule {
    private struct Form {
        var table: Table
        var row: RowID
        var key: CellKey
        var basis: [Dot]
    }

    private let bench: Bench
    private var generator: SplitMix64
    private let names: [String]
    private(set) var replicas: [Replica] = []
    private var forms: [[Form]]
    private(set) var counts: [String: Int] = [:]

    init(seed: UInt64) throws {
        bench = try Bench(isVolatile: true)
        generator = SplitMix64(seed: seed)
        names = Array(["a", "b", "c", "d", "e"].prefix(3 + generator.below(3)))
        forms = Array(repeating: [], count: names.count)
        for name in names { replicas.append(try bench.create(name)) }
    }

    /// - Returns: the first thing that is wrong.
    func run() throws -> String? {
        for _ in 0..<(30 + generator.below(50)) {
            let place = generator.below(replicas.count)
            try step(place)
            if generator.chance(1, in: 20) {
                let problems = try replicas[place].verify().problems
                guard problems.isEmpty else { return "\(names[place]): \(problems[0])" }
            }
        }
        for _ in 0..<2 {
            for source in replicas {
                for target in replicas where target !== source {
                    try carry(from: source, to: target)
                }
            }
        }
        return try differenceAtEnd()
    }

    private func differenceAtEnd() throws -> String? {
        let expected = try StateOracle(replicas[0], tables: Sample.tables)
        let hash = try replicas[0].stateHash()
        for (name, replica) in zip(names, replicas) {
            guard try replica.stateHash() == hash else { return "\(name) has another hash" }
            let verification = try replica.verify()
            guard verification.problems.isEmpty, verification.stateHash == hash else {
                return "\(name): \(verification.problems)"
            }
            guard try replica.unreadableForeignWrites().isEmpty else {
                return "\(name) still has notes of foreign writes"
            }
            if let difference = try expected.difference(from: replica) {
                return "\(name): \(difference)"
            }
        }
        return nil
    }

    private func count(_ name: String) { counts[name, default: 0] += 1 }

    private func step(_ place: Int) throws {
        let replica = replicas[place]
        switch generator.below(33) {
        case 0...1: try insert(replica)
        case 2...4: try several(replica)
        case 5...8: try openForm(place)
        case 9...12: try saveForm(place)
        case 13: try life(replica)
        case 14...17: try settle(replica)
        case 18...19: try foreign(place)
        case 20: try reopen(place)
        case 22...24: try clash()
        case 21:
            try replica.seal()
            count("seal")
        default: try exchange(place)
        }
    }

    // MARK: Writes

    /// A few old rows, so that people meet in them.
    private func rows(_ table: Table, _ replica: Replica) throws -> [RowID] {
        try replica.query("SELECT id FROM \(table.name) ORDER BY id LIMIT 2").compactMap {
            if case .blob(let bytes) = $0[0] { Identifier(bytes).map { RowID($0) } } else { nil }
        }
    }

    private func value(_ column: Column) -> Value {
        let number = Int64(generator.below(4))
        switch column.name {
        case "title", "name", "badge":
            return [.text("p"), .text("q"), .text("é"), .null][Int(number)]
        case "arrival", "born": return .integer(1_764_000_000_000 + number * 400_000)
        case "position":
            return .composite([.real(Double(number)), number > 2 ? .null : .real(0.5)])
        case "value": return .real([0, -0.0, .nan, 1.5][Int(number)])
        case "raw": return .blob(Array(repeating: 7, count: Int(number)))
        case "friend": return .blob(personID(Int(number)).identifier.bytes)
        default: return .integer(number)
        }
    }

    private func personID(_ number: Int) -> RowID {
        Sample.schema.rowID(in: Sample.person, key: [.text("P\(number)")])
    }

    private func insert(_ replica: Replica) throws {
        let isNote = generator.chance(2, in: 3)
        let table = isNote ? Sample.note : Sample.measure
        var values = table.columns.map { column -> Value? in
            column.isSet || column.name == "about" || generator.chance(1, in: 3)
                ? nil : value(column)
        }
        values[0] = value(table.columns[0])
        try replica.write { _ = try $0.insert(into: table, values) }
        count("insert")
    }

    /// One transaction with a few writes, at times to the same cell.
    private func several(_ replica: Replica) throws {
        let notes = try rows(Sample.note, replica)
        let measures = try rows(Sample.measure, replica)
        try replica.write(author: "someone") { transaction in
            for _ in 0...generator.below(3) {
                if let measure = generator.pick(measures), generator.chance(1, in: 4) {
                    try change(Sample.measure, measure, transaction)
                } else if let note = generator.pick(notes), generator.chance(3, in: 4) {
                    try change(Sample.note, note, transaction)
                } else {
                    let columns = Sample.person.columns.dropFirst().filter { _ in
                        generator.chance(1, in: 2)
                    }
                    try transaction.upsert(
                        Sample.person, key: [.text("P\(generator.below(4))")],
                        columns.map { ($0, value($0)) })
                }
            }
        }
        count("transaction")
    }

    private func change(
        _ table: Table, _ row: RowID, _ transaction: WriteTransaction
    ) throws {
        let column = table.columns[generator.below(table.columns.count)]
        if column.isSet {
            let elements = (0...generator.below(2)).map { _ in element(column) }
            if generator.chance(2, in: 3) {
                try transaction.add(table, row, column, elements)
            } else {
                try transaction.remove(table, row, column, elements)
            }
        } else if column.name == "about" {
            try transaction.set(table, row, [(column, .blob(row.identifier.bytes))])
        } else {
            try transaction.set(table, row, [(column, value(column))])
        }
        if generator.chance(1, in: 12) { try transaction.delete(table, row) }
        if generator.chance(1, in: 12) { try transaction.restore(table, row) }
    }

    private func element(_ column: Column) -> Value {
        let number = generator.below(3)
        return column.name == "marks" ? .integer(Int64(number)) : .text(["x", "y", "z"][number])
    }

    private func life(_ replica: Replica) throws {
        let table = generator.chance(2, in: 3) ? Sample.note : Sample.person
        if generator.chance(1, in: 2), let row = generator.pick(try rows(table, replica)) {
            try replica.write { _ = try $0.delete(table, row) }
            count("delete")
        } else {
            let open = try replica.openConflicts().filter { $0.column == 0 }
            let row = generator.pick(open)?.row ?? personID(generator.below(4))
            try replica.write { transaction in
                for table in Sample.tables { try transaction.restore(table, row) }
            }
            count("restore")
        }
    }

    /// Two laptops say something of one person at the same time.
    private func clash() throws {
        let number = generator.below(2)
        let column = Sample.person.columns[1 + generator.below(3)]
        for _ in 0..<2 {
            let replica = replicas[generator.below(replicas.count)]
            let value = value(column)
            try replica.write {
                _ = try $0.upsert(
                    Sample.person, key: [.text("P\(number)")], [(column, value)])
            }
        }
        count("clash")
    }

    // MARK: Forms and conflicts

    private func openForm(_ place: Int) throws {
        let table = generator.chance(2, in: 3) ? Sample.note : Sample.person
        guard let row = generator.pick(try rows(table, replicas[place])) else { return }
        let column = table.columns[generator.below(table.columns.count)]
        let key =
            column.isSet
            ? CellKey(column.id, element: element(column).canonicalBytes) : CellKey(column.id)
        let state = try replicas[place].state(table.id, row)
        forms[place].append(
            Form(
                table: table, row: row, key: key,
                basis: state.basis(of: key, policy: column.policy)))
        count("form opened")
    }

    private func saveForm(_ place: Int) throws {
        guard !forms[place].isEmpty else { return }
        let form = forms[place].remove(at: generator.below(forms[place].count))
        guard let column = form.table.column(id: form.key.column) else { return }
        let value = value(column)
        let isAdding = generator.chance(1, in: 2)
        try replicas[place].write { transaction in
            if column.isSet {
                try transaction.author(form.table.id, form.row) { state in
                    isAdding
                        ? state.put(form.key, .null, basis: form.basis, isDeleteShown: false)
                        : state.remove(form.key, basis: form.basis, isDeleteShown: false)
                }
            } else {
                try transaction.set(
                    form.table, form.row, [(column, value)], basis: form.basis)
            }
        }
        count("form saved")
    }

    /// Settles an open conflict, or takes a settlement back, or takes that back.
    private func settle(_ replica: Replica) throws {
        let open = try replica.openConflicts().filter { $0.column != 0 }
        if let conflict = generator.pick(open), generator.chance(2, in: 3),
            let column = Sample.schema.table(id: conflict.table)?.column(id: conflict.column)
        {
            let value = value(column)
            try replica.write { transaction in
                try transaction.author(conflict.table, conflict.row) { state in
                    let key = CellKey(conflict.column)
                    let fold = RegisterFold(state[key], policy: column.policy)
                    return [state.resolve(key, value, basis: fold.allDots)]
                }
            }
            return count("settled")
        }
        var taken = false
        let table = generator.chance(2, in: 3) ? Sample.note : Sample.person
        for row in try rows(table, replica) where !taken {
            try replica.write { transaction in
                taken = try transaction.author(table.id, row) { state in
                    for entry in state.cells where entry.key != .life {
                        for op in entry.cell.live {
                            guard case .resolve = op.action else { continue }
                            return state.undo(resolution: op.dot, in: entry.key).map { [$0] } ?? []
                        }
                    }
                    return []
                }
            }
        }
        if taken { count("undone") }
    }

    // MARK: Around the replica

    private func foreign(_ place: Int) throws {
        let replica = replicas[place]
        let note = generator.pick(try rows(Sample.note, replica)).map { literal($0) }
        let person = generator.pick(try rows(Sample.person, replica)).map { literal($0) }
        let new = literal(RowID(Identifier(high: generator.next(), low: generator.next())))
        var statements = ["INSERT INTO note(id, title, tags) VALUES(\(new), 'shell', '[\"x\"]')"]
        if let note {
            statements += [
                "UPDATE note SET title = 'shell', count = 9 WHERE id = \(note)",
                "UPDATE note SET tags = '[\"z\",\"y\"]', lat = 4 WHERE id = \(note)",
                "UPDATE note SET tags = NULL WHERE id = \(note)",
                "UPDATE note SET title = title || '', count = count + 0 WHERE id = \(note)",
                "DELETE FROM note WHERE id = \(note)",
                "INSERT OR REPLACE INTO note(id, count) VALUES(\(note), 3)",
                "DELETE FROM note WHERE id = \(note); INSERT INTO note(id, count) VALUES(\(note), 4)",
                "UPDATE note SET id = \(new) WHERE id = \(note)",
            ]
        }
        if let person {
            statements += [
                "UPDATE person SET name = 'shell', friend = id WHERE id = \(person)",
                "UPDATE person SET badge = 'Q' WHERE id = \(person)",
            ]
        }
        let sql = (0...generator.below(2)).compactMap { _ in generator.pick(statements) }
            .reduce("") { $0.contains("note SET id") || $0.contains(new) ? $0 : $0 + $1 + ";\n" }
        if generator.chance(1, in: 2) {
            try replica.withLock { try bench.shell(names[place], sql) }
            // The next write takes in what the shell wrote, before anything is read.
            if generator.chance(1, in: 2) {
                try insert(replica)
            } else {
                try replica.takeForeignWrites()
            }
        } else {
            replica.close()
            try bench.shell(names[place], sql)
            replicas[place] = try bench.open(names[place])
        }
        count("foreign")
    }

    private func reopen(_ place: Int) throws {
        let before = try replicas[place].stateHash()
        let isClean = try replicas[place].query("SELECT 1 FROM sy_dirty LIMIT 1").isEmpty
        replicas[place].close()
        replicas[place] = try bench.open(names[place])
        guard try !isClean || replicas[place].stateHash() == before else {
            throw Fault("reopening \(names[place]) changed its hash")
        }
        count("reopened")
    }

    struct Fault: Error {
        var text: String
        init(_ text: String) { self.text = text }
    }

    /// Some of the runs that are missing, in their order, some of them twice, and old ones again.
    private func exchange(_ place: Int) throws {
        let source = replicas[generator.below(replicas.count)]
        let target = replicas[place]
        guard source !== target else { return }
        try source.seal()
        let missing = try source.sealedRuns(after: target.versionVector())
        var runs: [SealedRun] = []
        for run in missing.prefix(generator.chance(2, in: 3) ? .max : generator.below(3)) {
            runs.append(run)
            if generator.chance(1, in: 3) { runs.append(run) }
        }
        let all = try source.sealedRuns(after: VersionVector())
        let held = target.versionVector()
        if let old = generator.pick(all),
            old.header.lastSeq <= held[old.header.stream]
        {
            runs.append(old)
        }
        for result in try target.ingest(runs) {
            if case .refused(let refusal) = result {
                throw Fault("\(names[place]) refuses a run: \(refusal)")
            }
        }
        count("exchange")
    }
}
