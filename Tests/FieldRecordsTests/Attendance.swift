import Causality
import FieldRecords
import Testing

@Suite struct `Attendance` {
    let rows: ForumRows
    let item: RowID
    let person: RowID

    init() throws {
        rows = try ForumRows()
        item = try #require(Forum.rowID(in: Forum.item, named: "P07"))
        person = try #require(Forum.rowID(in: Forum.person, named: "AZ-014"))
        try rows.add(item: item)
        try rows.add(person: person)
    }

    /// State, first in, last out, observations, standing, class.
    func shown(_ person: RowID? = nil) throws -> String {
        let found = try rows.query(
            """
            SELECT state, first_in, last_out, observations, standing, class FROM attendance
            WHERE item = \(ForumRows.sql(item)) AND person = \(ForumRows.sql(person ?? self.person))
            """)
        return found.map { $0.joined(separator: " ") }.joined(separator: "; ")
    }

    @Test func `story 1: two doors make one attendance, from the earlier`() throws {
        try rows.observe(.in, person, at: item, 902)
        try rows.observe(.in, person, at: item, 905)
        #expect(try shown() == "in 902 - 2 2 0")
    }

    @Test func `story 2: a scan beats a roll call, and is worth a notice`() throws {
        try rows.observe(.absent, person, at: item, 1000)
        try rows.observe(.in, person, at: item, 958)
        #expect(try shown() == "in 958 - 2 2 1")
    }

    @Test func `story 2: a scan beside an excuse needs a decision`() throws {
        let excused = try rows.observe(.excused, person, at: item, 1000)
        let scanned = try rows.observe(.in, person, at: item, 958)
        #expect(try shown() == "in 958 - 2 2 2")
        try rows.observe(.in, person, at: item, 958, seen: [excused, scanned])
        #expect(try shown() == "in 958 - 3 1 0")
    }

    @Test func `story 3: an undone scan takes no other one with it`() throws {
        let mistake = try rows.observe(.in, person, at: item, 900)
        try rows.void(mistake, person, at: item)
        #expect(try shown() == "- - - 1 0 0")
        try rows.observe(.in, person, at: item, 903)
        #expect(try shown() == "in 903 - 2 1 0")
    }

    @Test func `a scan gives way to a later roll call that saw it`() throws {
        let scan = try rows.observe(.in, person, at: item, 900)
        try rows.observe(.absent, person, at: item, 1000, seen: [scan])
        #expect(try shown() == "absent - - 2 1 0")
    }

    @Test func `undoing what superseded brings back what gave way`() throws {
        let scan = try rows.observe(.in, person, at: item, 900)
        let absent = try rows.observe(.absent, person, at: item, 1000, seen: [scan])
        try rows.void(absent, person, at: item)
        #expect(try shown() == "in 900 - 2 1 0")
    }

    @Test func `an undo can't be undone, and a second one changes nothing`() throws {
        let scan = try rows.observe(.in, person, at: item, 900)
        let undo = try rows.void(scan, person, at: item)
        try rows.void(undo, person, at: item)
        try rows.void(scan, person, at: item)
        #expect(try shown() == "- - - 1 0 0")
    }

    @Test func `who left was present`() throws {
        let scan = try rows.observe(.in, person, at: item, 900)
        let left = try rows.observe(.out, person, at: item, 1700, seen: [scan])
        #expect(try shown() == "out 900 1700 2 1 0")
        try rows.observe(.in, person, at: item, 1800, seen: [scan, left])
        #expect(try shown() == "in 900 1700 3 1 0")
    }

    @Test func `a second scan by one who saw the first keeps the arrival`() throws {
        let scan = try rows.observe(.in, person, at: item, 900)
        try rows.observe(.in, person, at: item, 930, seen: [scan])
        #expect(try shown() == "in 900 - 2 1 0")
    }

    @Test func `a denied arrival doesn't come back with the next one`() throws {
        let wrong = try rows.observe(.in, person, at: item, 900)
        let absent = try rows.observe(.absent, person, at: item, 1000, seen: [wrong])
        try rows.observe(.in, person, at: item, 1100, seen: [wrong, absent])
        #expect(try shown() == "in 1100 - 3 1 0")
    }

    @Test func `of an arrival and a departure that saw nothing of each other the later shows`()
        throws
    {
        try rows.observe(.in, person, at: item, 900)
        try rows.observe(.out, person, at: item, 1700)
        #expect(try shown() == "out 900 1700 2 2 0")
        try rows.observe(.in, person, at: item, 1700)
        #expect(try shown() == "in 900 1700 3 3 0")
    }

    @Test func `leaving doesn't silence the conflict that arriving had`() throws {
        let scan = try rows.observe(.in, person, at: item, 900)
        try rows.observe(.excused, person, at: item, 1000)
        try rows.observe(.out, person, at: item, 1700, seen: [scan])
        #expect(try shown() == "out 900 1700 3 2 2")
    }

    @Test func `an excuse tells more than a roll call`() throws {
        try rows.observe(.absent, person, at: item, 1000)
        try rows.observe(.excused, person, at: item, 900)
        #expect(try shown() == "excused - - 2 2 0")
    }

    @Test func `a person scanned at no known time is in`() throws {
        try rows.observe(.in, person, at: item)
        #expect(try shown() == "in - - 1 1 0")
        try rows.observe(.out, person, at: item)
        #expect(try shown() == "in - - 2 2 0")
    }

    @Test func `only whole ids in seen count`() throws {
        let first = try rows.observe(.in, person, at: item, 900)
        let second = try rows.observe(.in, person, at: item, 901)
        // Across the two halves lies an id that nobody saw.
        let low = RowID(Identifier(high: 0, low: first.identifier.high))
        let high = RowID(Identifier(high: first.identifier.low, low: 0))
        try rows.observe(.absent, person, at: item, 1000, seen: [low, high, second])
        #expect(try shown() == "in 900 - 3 2 1")
    }
}
