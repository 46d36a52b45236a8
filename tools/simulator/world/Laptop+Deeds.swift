import Causality
import FieldRecords
import Merge
import RecordSchema
import ReplicaStore
import StoreTestSupport
import SyncProtocol
import TestSupport

/// What people record.
extension Laptop {
    private static let names = ["name_native", "name_latin", "role"].compactMap {
        Forum.person.column(named: $0)
    }
    private static let spoken = Forum.person.column(named: "languages")
    private static let counted = Forum.tally.column(named: "count")
    private static let languages = ["az", "tr", "kk", "uz"]

    func record(_ deed: Deed, _ random: inout SplitMix64) throws -> String {
        switch deed {
        case .walkIn: try walkIn(&random)
        case .person: try person(&random)
        case .edit: try edit(&random)
        case .several: try several(&random)
        case .languages: try languages(&random)
        case .visit: try visit(&random)
        case .count: try count(&random)
        case .delete: try hide(&random)
        case .restore: try show(&random)
        case .group: try group(&random)
        case .openForm: try openForm(&random)
        case .saveForm: try saveForm(&random)
        case .settle: try settle(&random)
        case .undo: try undo(&random)
        case .foreign: try foreign(&random)
        case .twin: try twin(&random)
        case .large: try large(&random)
        case .erase: try erase(&random)
        case .seal: "sealed \(try replica.seal())"
        default: preconditionFailure("\(deed) is nothing that a person records")
        }
    }

    /// A few of the oldest rows, so that people meet in them.
    private func row(in table: Table, _ random: inout SplitMix64) throws -> RowID? {
        let found = try replica.query("SELECT id FROM \(table.name) ORDER BY id LIMIT 6")
        guard case .blob(let bytes)? = random.pick(found)?[0] else { return nil }
        return Identifier(bytes).map { RowID($0) }
    }

    private func badge(_ random: inout SplitMix64) -> Value { .text("P\(random.below(4))") }

    private func nextText() -> Value { .text(ledger.nextValue()) }

    private func walkIn(_ random: inout SplitMix64) throws -> String {
        try write { transaction in
            try transaction.insert(
                into: Forum.person, [nil, nextText(), nextText(), nil, nil, nil, nil])
        }
    }

    private func person(_ random: inout SplitMix64) throws -> String {
        let columns = Self.names.filter { _ in random.chance(1, in: 2) }
        let key = badge(&random)
        return try write { transaction in
            try transaction.upsert(Forum.person, key: [key], columns.map { ($0, nextText()) })
        }
    }

    private func edit(_ random: inout SplitMix64) throws -> String {
        guard let row = try row(in: Forum.person, &random) else { return "nobody there" }
        let count = 1 + random.below(Self.names.count)
        return try write { transaction in
            _ = try transaction.set(
                Forum.person, row, Self.names.prefix(count).map { ($0, nextText()) })
        }
    }

    /// At times twice to one cell.
    private func several(_ random: inout SplitMix64) throws -> String {
        var changes: [(row: RowID, column: Column)] = []
        for _ in 0..<(2 + random.below(4)) {
            guard let row = try row(in: Forum.person, &random) else { return "nobody there" }
            changes.append((row, Self.names[random.below(Self.names.count)]))
        }
        return try write { transaction in
            for (row, column) in changes {
                _ = try transaction.set(Forum.person, row, [(column, nextText())])
            }
        }
    }

    private func languages(_ random: inout SplitMix64) throws -> String {
        guard let row = try row(in: Forum.person, &random), let column = Self.spoken else {
            return "nobody there"
        }
        let language = Value.text(Self.languages[random.below(Self.languages.count)])
        let isAdding = random.chance(2, in: 3)
        return try write { transaction in
            if isAdding {
                _ = try transaction.add(Forum.person, row, column, [language])
            } else {
                _ = try transaction.remove(Forum.person, row, column, [language])
            }
        }
    }

    private func visit(_ random: inout SplitMix64) throws -> String {
        let item = Forum.schema.rowID(in: Forum.item, key: [.text("I\(random.below(2))")])
        let code = Value.text(random.chance(2, in: 3) ? "KZ" : "UZ")
        let guests = Forum.schema.rowID(in: Forum.delegation, key: [code])
        let arrival = Value.integer(1_764_000_000_000 + Int64(random.below(4)) * 400_000)
        let values = ["status", "actual_arrival", "headcount"].filter { _ in
            random.chance(1, in: 2)
        }
        let headcount = Value.integer(Int64(random.below(40)))
        return try write { transaction in
            try transaction.upsert(Forum.delegation, key: [code], [])
            try transaction.upsert(
                Forum.visit, key: [.blob(item.identifier.bytes), .blob(guests.identifier.bytes)],
                values.compactMap { name in
                    Forum.visit.column(named: name).map { column in
                        switch name {
                        case "status": (column, nextText())
                        case "headcount": (column, headcount)
                        default: (column, arrival)
                        }
                    }
                })
        }
    }

    private func count(_ random: inout SplitMix64) throws -> String {
        guard let column = Self.counted else { return "no counter" }
        let item = Forum.schema.rowID(in: Forum.item, key: [.text("I0")])
        let zone = Value.text("Z\(random.below(2))")
        let amount = Int64(random.below(9)) - 3
        let wasKnown = ledger.beginCount()
        let result = try write { transaction in
            let (row, _) = try transaction.upsert(
                Forum.tally, key: [.blob(item.identifier.bytes), zone, .text("s")], [])
            _ = try transaction.count(Forum.tally, row, column, by: amount)
        }
        ledger.endCount(amount, wasKnown: wasKnown)
        return result
    }

    private func hide(_ random: inout SplitMix64) throws -> String {
        guard let row = try row(in: Forum.person, &random) else { return "nobody there" }
        return try write { _ = try $0.delete(Forum.person, row) }
    }

    private func show(_ random: inout SplitMix64) throws -> String {
        let open = try replica.openConflicts().filter { $0.column == 0 }
        let named = Forum.schema.rowID(in: Forum.person, key: [badge(&random)])
        let row = random.pick(open)?.row ?? named
        return try write { _ = try $0.restore(Forum.person, row) }
    }

    /// Rows that nobody changes afterwards, all with one nonce.
    private func group(_ random: inout SplitMix64) throws -> String {
        guard let column = Forum.site.column(named: "name_en") else { return "no column" }
        let nonce = ledger.nextValue()
        let size = 2 + random.below(8)
        ledger.begin(group: nonce, of: size)
        return try write { transaction in
            for place in 0..<size {
                try transaction.upsert(
                    Forum.site, key: [.text("\(nonce)-\(place)")], [(column, .text(nonce))])
            }
        }
    }

    /// A transaction of more than a changeset takes; two of them are more than a message takes.
    private func large(_ random: inout SplitMix64) throws -> String {
        let texts = (0..<(4 + random.below(28))).map { _ in
            // Texts that don't compress to nothing.
            Value.text((0..<2_500).map { _ in String(random.next(), radix: 16) }.joined())
        }
        return try write { transaction in
            for text in texts { try transaction.insert(into: Forum.note, [nil, nil, nil, text]) }
        }
    }

    /// A coordinator asks that a person be forgotten; not often, else nobody would be left.
    private func erase(_ random: inout SplitMix64) throws -> String {
        guard random.chance(1, in: 2), let row = try row(in: Forum.person, &random) else {
            return "nobody asks"
        }
        ledger.noteAsked(row)
        return try write { transaction in
            try transaction.upsert(Forum.erasure, key: [.blob(row.identifier.bytes)], [])
        }
    }

    // MARK: Forms and conflicts

    private func openForm(_ random: inout SplitMix64) throws -> String {
        guard let row = try row(in: Forum.person, &random) else { return "nobody there" }
        let column = Self.names[random.below(Self.names.count)]
        let state = try replica.state(Forum.person.id, row)
        let naming = try replica.naming()
        forms.append(
            Form(
                row: row, column: column,
                basis: state.basis(of: CellKey(column.id), policy: column.policy),
                held: replica.versionVector(), naming: naming))
        return "shown \(forms.last?.basis.count ?? 0)"
    }

    private func saveForm(_ random: inout SplitMix64) throws -> String {
        guard !forms.isEmpty else { return "no form" }
        let form = forms.remove(at: random.below(forms.count))
        // A page asks to look again.
        guard try form.naming == replica.naming() else {
            return "what was shown is called otherwise"
        }
        return try write(from: form) { transaction in
            _ = try transaction.set(
                Forum.person, form.row, [(form.column, nextText())], basis: form.basis)
        }
    }

    private func settle(_ random: inout SplitMix64) throws -> String {
        let open = try replica.openConflicts().filter { $0.column != 0 }
        guard let conflict = random.pick(open),
            let column = Forum.schema.table(id: conflict.table)?.column(id: conflict.column)
        else { return "nothing open" }
        let fold = RegisterFold(
            try replica.state(conflict.table, conflict.row)[CellKey(conflict.column)],
            policy: column.policy)
        guard let chosen = random.pick(fold.candidates)?.action.value else { return "no value" }
        return try write { transaction in
            _ = try transaction.author(conflict.table, conflict.row) { state in
                let key = CellKey(conflict.column)
                let fold = RegisterFold(state[key], policy: column.policy)
                return [state.resolve(key, chosen, basis: fold.allDots)]
            }
        }
    }

    private func undo(_ random: inout SplitMix64) throws -> String {
        guard let row = try row(in: Forum.person, &random) else { return "nobody there" }
        return try write { transaction in
            _ = try transaction.author(Forum.person.id, row) { state in
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

    // MARK: Other processes

    /// A program that knows nothing of changes writes to the table.
    private func foreign(_ random: inout SplitMix64) throws -> String {
        guard let row = try row(in: Forum.person, &random) else { return "nobody there" }
        let value = ledger.nextValue()
        let other = try Connection(path: path, isWritable: true, fileSystem: disk.name)
        defer { other.close() }
        let isDeleting = random.chance(1, in: 5)
        if isDeleting {
            try other.execute("DELETE FROM person WHERE id = x'\(row)'")
        } else {
            try other.execute("UPDATE person SET name_latin = '\(value)' WHERE id = x'\(row)'")
        }
        guard !disk.isDead else { return "another program wrote" }
        try replica.takeForeignWrites()
        guard !isDeleting, !disk.isDead, let column = Forum.person.column(named: "name_latin")
        else {
            return "another program wrote"
        }
        guard try !replica.erasedPeople().contains(row) else {
            return "another program wrote of somebody who was erased"
        }
        let live = try replica.state(Forum.person.id, row)[CellKey(column.id)].live
        guard live.contains(where: { $0.action.value == .text(value) }) else {
            throw Violation("I2", "laptop \(number) did not take \(value) from another program")
        }
        return "another program wrote \(value)"
    }

    private func twin(_ random: inout SplitMix64) throws -> String {
        let other = try Replica.open(
            at: path, schema: Forum.schema, environment: clock.environment(on: disk))
        defer { other.close() }
        let key = badge(&random)
        return try write(with: other) { transaction in
            try transaction.upsert(Forum.person, key: [key], [(Self.names[0], nextText())])
        }
    }
}
