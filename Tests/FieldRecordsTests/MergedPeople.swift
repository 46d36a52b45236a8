import Causality
import FieldRecords
import Testing

@Suite struct `Merged people` {
    let rows: ForumRows
    let item: RowID
    let other: RowID
    /// Sorted by id.
    let people: [RowID]

    init() throws {
        rows = try ForumRows()
        item = try #require(Forum.rowID(in: Forum.item, named: "P07"))
        other = try #require(Forum.rowID(in: Forum.item, named: "P08"))
        people = (1...5).compactMap { Forum.rowID(in: Forum.person, named: "AZ-\($0)") }.sorted()
        try rows.add(item: item)
        try rows.add(item: other)
        for person in people { try rows.add(person: person) }
    }

    func canonical() throws -> [String] {
        try people.map { person in
            let found = try rows.query(
                "SELECT lower(hex(canonical)) FROM person_identity"
                    + " WHERE person = \(ForumRows.sql(person))")
            return people.firstIndex { "\($0)" == found.first?.first }.map(String.init) ?? "-"
        }
    }

    func summary(_ item: RowID) throws -> String {
        try rows.query(
            """
            SELECT expected, "in", out, absent, excused, unknown FROM attendance_summary
            WHERE item = \(ForumRows.sql(item))
            """
        ).map { $0.joined(separator: " ") }.joined(separator: "; ")
    }

    @Test func `a merge is followed to its end`() throws {
        try rows.merge(people[0], into: people[3])
        try rows.merge(people[3], into: people[1])
        #expect(try canonical() == ["1", "-", "-", "1", "-"])
    }

    @Test func `opposite merges agree on the least id, and so do those who lead there`() throws {
        try rows.merge(people[2], into: people[1])
        try rows.merge(people[1], into: people[2])
        try rows.merge(people[0], into: people[2])
        #expect(try canonical() == ["1", "1", "1", "-", "-"])
        try rows.merge(people[1], into: nil)
        #expect(try canonical() == ["1", "-", "1", "-", "-"])
    }

    @Test func `a merge into oneself or into nobody changes nothing`() throws {
        try rows.merge(people[2], into: people[2])
        try rows.merge(people[1], into: RowID(Identifier(high: 1, low: 1)))
        #expect(try canonical() == ["-", "-", "-", "-", "-"])
    }

    @Test func `attendance follows a merge, and an unmerge restores it`() throws {
        let scan = try rows.observe(.in, people[0], at: item, 900)
        try rows.observe(.absent, people[1], at: item, 1000)
        #expect(try summary(item) == "5 1 0 1 0 3")
        try rows.merge(people[0], into: people[1])
        #expect(try summary(item) == "4 1 0 0 0 3")
        try rows.observe(.out, people[1], at: item, 1700, seen: [scan])
        #expect(try summary(item) == "4 0 1 0 0 3")
        try rows.merge(people[0], into: nil)
        #expect(try summary(item) == "5 1 1 0 0 3")
    }

    @Test func `the summary has every item and everyone expected`() throws {
        try rows.observe(.in, people[0], at: item, 900)
        try rows.observe(.excused, people[1], at: item, 900)
        let mistake = try rows.observe(.in, people[2], at: item, 900)
        try rows.void(mistake, people[2], at: item)
        #expect(try summary(item) == "5 1 0 0 1 3")
        #expect(try summary(other) == "5 0 0 0 0 5")
    }

    @Test func `someone without a row is counted and not expected`() throws {
        try rows.observe(.in, RowID(Identifier(high: 1, low: 1)), at: item, 900)
        #expect(try summary(item) == "5 1 0 0 0 5")
    }
}
