import Causality
import Merge
import RecordSchema
import ReplicaStore
import SyncProtocol
import Testing

/// What SQLite would not keep, and what people would not see.
@Suite struct ExactValues {
    private static let numbers: [Double] = [
        .nan, Double(bitPattern: 0xfff8_0000_0000_0001), .signalingNaN, -0.0, 0, .infinity,
        -.infinity, .leastNonzeroMagnitude, .greatestFiniteMagnitude, 0.1,
    ]

    private static let texts = [
        "", "\0", "a\0b", "\u{e9}", "e\u{301}", "\u{feff}x", "\u{202e}abc", "👩‍🏫",
        "'; DROP TABLE note; --",
    ]

    @Test func `every number survives the file, the wire and reopening, bit by bit`() throws {
        let bench = try Bench()
        var a = try bench.create("a")
        let b = try bench.create("b")
        var ids: [RowID] = []
        for number in Self.numbers {
            let (id, _) = try a.write {
                try $0.insert(into: Sample.measure, [.real(number), nil, nil, nil])
            }
            // Again over an existing value, and inside of a composite.
            try a.write { try $0.set(Sample.measure, id, [(Sample.column("value"), .real(2))]) }
            try a.write {
                try $0.set(Sample.measure, id, [(Sample.column("value"), .real(number))])
            }
            let (note, _) = try a.write { transaction in
                try transaction.insert(
                    into: Sample.note,
                    [nil, nil, .composite([.real(number), .real(-0.0)]), nil, nil])
            }
            ids += [id, note]
        }
        try carry(from: a, to: b)
        a.close()
        a = try bench.open("a")
        for replica in [a, b] {
            for (index, number) in Self.numbers.enumerated() {
                let value = RegisterFold(try replica.state(3, ids[2 * index])[CellKey(1)]).shown
                #expect(value?.action.value == .real(number), "\(number.bitPattern)")
                let pair = RegisterFold(try replica.state(1, ids[2 * index + 1])[CellKey(3)]).shown
                #expect(pair?.action.value == .composite([.real(number), .real(-0.0)]))
            }
            #expect(try replica.verify().problems == [])
        }
        #expect(try a.stateHash() == b.stateHash())
        // A write elsewhere in the row leaves them as they are, and is no foreign write.
        for id in ids where try a.state(3, id).cells.count > 0 {
            try a.write { try $0.set(Sample.measure, id, [(Sample.column("raw"), .blob([1]))]) }
            try a.write { try $0.delete(Sample.measure, id) }
            try a.write { try $0.restore(Sample.measure, id) }
        }
        try carry(from: a, to: b)
        for (index, number) in Self.numbers.enumerated() {
            let value = RegisterFold(try b.state(3, ids[2 * index])[CellKey(1)]).shown
            #expect(value?.action.value == .real(number))
        }
        #expect(try a.stateHash() == b.stateHash())
    }

    @Test func `every text and blob survives, byte by byte`() throws {
        let bench = try Bench()
        let a = try bench.create("a")
        let b = try bench.create("b")
        var ids: [RowID] = []
        for text in Self.texts {
            ids.append(
                try a.write {
                    try $0.insert(into: Sample.note, [.text(text), nil, nil, nil, nil])
                }.result)
        }
        try a.write {
            try $0.add(Sample.note, ids[0], Sample.column("tags"), Self.texts.map { .text($0) })
        }
        let blob = try a.write {
            try $0.insert(into: Sample.measure, [nil, .blob([]), nil, nil])
        }.result
        try carry(from: a, to: b)
        for replica in [a, b] {
            for (id, text) in zip(ids, Self.texts) {
                #expect(
                    try replica.query(
                        "SELECT title FROM note WHERE id = ?", .blob(id.identifier.bytes))
                        == [[.text(text)]])
            }
            #expect(
                AddWinsSet.elements(of: try replica.state(1, ids[0]), column: 4).count
                    == Self.texts.count)
            #expect(
                try replica.query(
                    "SELECT raw FROM measure WHERE id = ?", .blob(blob.identifier.bytes))
                    == [[.blob([])]])
        }
        #expect(try a.stateHash() == b.stateHash())
    }

    @Test func `two spellings of one name are two values, and a NaN agrees with itself`() throws {
        let bench = try Bench()
        let a = try bench.create("a")
        let b = try bench.create("b")
        let key: [Value] = [.text("A")]
        let (id, isChanged) = try a.write {
            try $0.upsert(Sample.person, key: key, [(Sample.column("name"), .text("\u{e9}"))])
        }.result
        try b.write {
            try $0.upsert(Sample.person, key: key, [(Sample.column("name"), .text("e\u{301}"))])
        }
        #expect(isChanged)
        try carry(from: a, to: b)
        #expect(try b.openConflicts() == [OpenConflict(table: 2, row: id, column: 2)])
        let measure = try a.write {
            try $0.insert(into: Sample.measure, [.real(.nan), nil, nil, nil])
        }.result
        try carry(from: a, to: b)
        for (replica, number) in [(a, Double.nan), (b, Double.nan)] {
            let receipt = try replica.write {
                try $0.set(Sample.measure, measure, [(Sample.column("value"), .real(number))])
            }.receipt
            #expect(receipt.dots == [], "it shows that value already")
        }
        let minus = try a.write {
            try $0.insert(into: Sample.measure, [.real(0), nil, nil, nil])
        }.result
        try carry(from: a, to: b)
        try a.write { try $0.set(Sample.measure, minus, [(Sample.column("value"), .real(-0.0))]) }
        #expect(RegisterFold(try a.state(3, minus)[CellKey(1)]).shown?.action.value == .real(-0.0))
    }
}
