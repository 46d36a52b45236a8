import Causality
import Merge
import RecordSchema
import ReplicaStore
import Testing

/// What lies beside the rows is damaged: it is said, and the rows around it read as before.
@Suite struct DamagedRows {
    private let tags = Sample.column("tags")

    private func isDamage(_ error: any Error) -> Bool {
        if case StoreError.damaged = error { true } else { false }
    }

    @Test func `a live op that can't be read is damage, and the other rows stay readable`() throws {
        let bench = try Bench()
        let a = try bench.create("a")
        let ids = try (0..<2).map { number in
            try a.write { transaction in
                let id = try transaction.insert(
                    into: Sample.note, [.text("note \(number)"), nil, nil, nil, nil])
                try transaction.add(
                    Sample.note, id, tags, (0..<3).map { .text("tag \(number) \($0)") })
                return id
            }.result
        }
        let before = try ids.map { try a.state(1, $0) }
        let first = "SELECT min(elem) FROM sy_live WHERE id = \(literal(ids[0]))"
        func setKind(_ kind: Int) throws {
            try bench.shell("a", "UPDATE sy_live SET kind = \(kind) WHERE elem = (\(first));")
        }
        try setKind(9)
        for _ in 0..<2 {
            #expect { try a.state(1, ids[0]) } throws: { isDamage($0) }
            #expect(try a.state(1, ids[1]) == before[1])
        }
        try setKind(0)
        #expect(try ids.map { try a.state(1, $0) } == before)
    }

    @Test func `a clock that names more changesets than a row has columns is damage`() throws {
        let bench = try Bench()
        let a = try bench.create("a")
        let title = Sample.column("title")
        let id = try a.write {
            try $0.insert(into: Sample.note, [.text("x"), nil, nil, nil, nil])
        }.result
        let before = try a.query("SELECT sy_clk FROM note")
        func setClock(_ hexadecimal: String) throws {
            try bench.shell(
                "a", "UPDATE note SET sy_clk = x'\(hexadecimal)';", firesTriggers: false)
        }
        func checked(_ hexadecimal: String) throws -> String {
            var sum = Checksum()
            sum.add(id.identifier)
            try #require(Hexadecimal.bytes(of: hexadecimal)).withUnsafeBytes { sum.add($0) }
            return hexadecimal
                + Hexadecimal.text(
                    of: (0..<4).map { UInt8(truncatingIfNeeded: sum.word >> (8 * $0)) })
        }
        // Of one column, and of 251 entries for it.
        try setClock(checked("140101010102" + "01"))
        #expect(throws: Never.self) { try a.state(1, id) }
        try setClock(checked("14fb01" + String(repeating: "010102", count: 251) + "01"))
        #expect { try a.state(1, id) } throws: { isDamage($0) }
        // Without its check.
        try setClock("040101010102" + "01")
        #expect { try a.state(1, id) } throws: { isDamage($0) }
        #expect {
            try a.write { try $0.set(Sample.note, id, [(title, .text("y"))]) }
        } throws: {
            isDamage($0)
        }
        guard case .blob(let bytes) = before[0][0] else { return }
        try setClock(Hexadecimal.text(of: bytes))
        try a.write { try $0.set(Sample.note, id, [(title, .text("y"))]) }
        #expect(try a.query("SELECT title FROM note") == [[.text("y")]])
    }

    @Test func `a row of as many columns as a table may have names a changeset for each`() throws {
        let columns = (1...250).map { Column(UInt32($0), "c\($0)", .integer) }
        let wide = Table(1, "wide", columns)
        let schema = Schema(name: "wide", version: 1, tables: [wide])
        let bench = try Bench(isVolatile: true)
        let a = try bench.create("a", schema: schema)
        let id = try a.write {
            try $0.insert(into: wide, columns.map { .integer(Int64($0.id)) })
        }.result
        for column in columns {
            try a.write { try $0.set(wide, id, [(column, .integer(-Int64(column.id)))]) }
        }
        // One more of them, and then several at once.
        try a.write { try $0.set(wide, id, [(columns[0], .integer(1))]) }
        try a.write { transaction in
            try transaction.set(wide, id, columns.suffix(100).map { ($0, .integer(2)) })
        }
        a.close()
        let again = try bench.open("a", schema: schema)
        let b = try bench.create("b", schema: schema)
        try carry(from: again, to: b)
        #expect(try b.stateHash() == again.stateHash())
        #expect(try again.verify().problems == [])
        let expected = columns.map { column -> Value in
            .integer(column.id == 1 ? 1 : column.id > 150 ? 2 : -Int64(column.id))
        }
        let names = columns.map(\.name).joined(separator: ", ")
        #expect(try b.query("SELECT \(names) FROM wide") == [expected])
    }
}
