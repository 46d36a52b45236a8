import ConflictBrowsing
import ConflictInspection
import FieldRecords
import Merge
import RecordSchema
import Recording
import ReplicaStore
import Terminals
import Testing

/// A browser without a terminal, over a laptop's conflicts.
private struct Browsing {
    let field: Field
    var browser = ConflictBrowser(title: "L3.sqlite")
    var conflicts: Conflicts { field.conflicts(2) }

    init(_ field: Field, columns: Int = 80, rows: Int = 24) throws {
        self.field = field
        browser.resize(columns: columns, rows: rows)
        try read(browser.firstRequest)
    }

    mutating func read(_ request: ConflictBrowser.Request?) throws {
        guard case .read(let limit, let includesDeferred)? = request else { return }
        browser.show(
            try conflicts.briefPage(
                ConflictFilter(), limit: limit, includesDeferred: includesDeferred))
        try look()
    }

    mutating func look() throws {
        guard let wanted = browser.wanted else { return }
        let told = try conflicts.withLog(wanted)
        browser.show(ConflictDetail(told, past: try conflicts.past(of: told)))
    }

    /// - Returns: what the last key asks for.
    @discardableResult
    mutating func press(_ keys: TerminalKey...) throws -> ConflictBrowser.Request? {
        var request: ConflictBrowser.Request?
        for key in keys {
            request = browser.handle(key)
            try read(request)
            try look()
            expectWhole()
        }
        return request
    }

    mutating func type(_ text: String) throws {
        for character in text { try press(.character(character)) }
    }

    /// The screen is full, and nothing stands beside it.
    func expectWhole(sourceLocation: SourceLocation = #_sourceLocation) {
        let lines = browser.lines
        #expect(lines.count == browser.rows, sourceLocation: sourceLocation)
        for line in lines {
            let width = line.reduce(0) { $0 + $1.text.columns }
            #expect(width <= browser.columns, "\(line)", sourceLocation: sourceLocation)
        }
        if let cursor = browser.cursor {
            #expect(
                cursor.column < browser.columns && cursor.row < browser.rows,
                sourceLocation: sourceLocation)
        }
    }

    var text: [String] { browser.lines.map { $0.map(\.text).joined() } }
    var selected: String? {
        text.first { $0.hasPrefix(">") }
    }
}

extension String {
    /// Without wide characters, of which these records have none.
    fileprivate var columns: Int {
        unicodeScalars.count { $0.properties.generalCategory != .nonspacingMark }
    }
}

@Suite struct BrowsingConflicts {
    @Test func `keys move through the list, and the chosen one is told whole`() throws {
        var browsing = try Browsing(try Field.disagreeing())
        let open = try browsing.conflicts.open()
        #expect(browsing.text[0].contains("\(open.count) open conflicts"))
        #expect(browsing.text[0].hasSuffix("1/\(open.count)"))
        for conflict in open {
            let start = String(conflict.subjectText.prefix(20))
            #expect(browsing.selected?.contains(start) == true, "\(start)")
            #expect(browsing.text[1].contains("│ \(conflict.subjectText.prefix(40))"))
            try browsing.press(.down)
        }
        #expect(browsing.text[0].hasSuffix("\(open.count)/\(open.count)"))
        try browsing.press(.home, .end, .pageUp, .character("j"), .character("k"))
        #expect(browsing.text[0].hasSuffix(" 1/\(open.count)"))
    }

    @Test func `a letter takes that value, once somebody has said why`() throws {
        var browsing = try Browsing(try Field.disagreeing())
        let first = try browsing.conflicts.open()[0]
        #expect(try browsing.press(.character("Z")) == nil)
        #expect(browsing.text[22].contains("There is no Z here; there are"))
        // The same letter of another alphabet takes nothing, and neither does what is pasted.
        #expect(try browsing.press(.character("А")) == nil && browsing.browser.cursor == nil)
        #expect(browsing.text[22].contains("“А” does nothing here"))
        #expect(try browsing.press(.pasted("A why\nB why")) == nil)
        #expect(browsing.browser.cursor == nil && browsing.text[22].contains("is not taken here"))
        #expect(try browsing.press(.character("B"), .enter) == nil)
        #expect(browsing.text[22].contains("Say why"))
        try browsing.type("the buss")
        try browsing.press(.backspace, .home)
        try browsing.type("at: ")
        guard
            case .resolve(let conflict, .take(let label), let reason)? = try browsing.press(.enter)
        else {
            Issue.record("nothing was decided")
            return
        }
        #expect(conflict.id == first.id && label == "B" && reason == "at: the bus")
        browsing.expectWhole()
        // Where it couldn't be written, the answer is still there.
        browsing.browser.askAgain("Somebody else holds the file.")
        browsing.expectWhole()
        #expect(browsing.text[22].contains("Somebody else holds"))
        try browsing.press(.pasted(" and\u{1b} more"))
        guard case .resolve(_, _, let again)? = try browsing.press(.enter) else {
            Issue.record("nothing was decided")
            return
        }
        #expect(again.contains("and more") && again.contains("the bus"), "\(again)")
        // Who leaves the question leaves the conflict.
        try browsing.press(.character("A"))
        try browsing.type("no")
        #expect(try browsing.press(.escape) == nil)
        #expect(browsing.text[22].contains("Nothing was written"))
        #expect(browsing.browser.cursor == nil)
    }

    @Test func `another value, a time to wait and taking back are asked for`() throws {
        var browsing = try Browsing(try Field.disagreeing())
        let open = try browsing.conflicts.open()
        let column = try #require(open.firstIndex { $0.subject.column?.name == "role" })
        for _ in 0..<column { try browsing.press(.down) }
        try browsing.press(.character("e"))
        try browsing.type("guest")
        try browsing.press(.enter)
        try browsing.type("why")
        guard case .resolve(_, .value("guest"), "why")? = try browsing.press(.enter) else {
            Issue.record("no value")
            return
        }
        try browsing.press(.character("d"))
        try browsing.type("18:00")
        try browsing.press(.enter)
        guard case .postpone(let conflict, "18:00", "")? = try browsing.press(.enter) else {
            Issue.record("not put off")
            return
        }
        #expect(conflict.id == open[column].id)
        guard case .undo? = try browsing.press(.character("u")) else {
            Issue.record("not taken back")
            return
        }
        guard case .quit? = try browsing.press(.character("q")) else {
            Issue.record("goes on")
            return
        }
        // Records that clash have no value.
        let clash = try #require(open.firstIndex { $0.rule != nil })
        try browsing.press(.home)
        for _ in 0..<clash { try browsing.press(.down) }
        #expect(try browsing.press(.character("e")) == nil && browsing.browser.cursor == nil)
        #expect(browsing.text[22].contains("take one of the choices"))
    }

    @Test func `what was settled leaves the list, and the next one is chosen, not entered`() throws
    {
        let field = try Field.disagreeing()
        var browsing = try Browsing(field)
        let open = try browsing.conflicts.open()
        try browsing.press(.down, .enter)
        #expect(browsing.text[1].contains("┃"))
        _ = try browsing.conflicts.resolve(
            open[1].shortID, .take("A"), reason: "why", author: "Aysel")
        try browsing.read(browsing.browser.firstRequest)
        #expect(browsing.text[0].hasSuffix("2/\(open.count - 1)"))
        #expect(browsing.selected?.contains(open[2].subjectText.prefix(20)) == true)
        #expect(!browsing.text[1].contains("┃"))
        // One that was put off is gone, and listed when that is asked for.
        _ = try browsing.conflicts.postpone(
            open[2].shortID, untilMilliseconds: nil, reason: "later", author: "Aysel")
        try browsing.press(.character("r"))
        #expect(browsing.text[0].contains("1 put off"))
        try browsing.press(.character("a"))
        #expect(browsing.text.contains { $0.hasPrefix(" 2z") || $0.hasPrefix(">2z") })
        for conflict in try browsing.conflicts.open() {
            _ = try browsing.conflicts.resolve(
                conflict.shortID, conflict.rule == nil ? .take("A") : .take("A"), reason: "why",
                author: "Aysel")
        }
        try browsing.press(.character("r"), .down, .enter, .character("A"), .character("d"))
        #expect(browsing.text[1].hasPrefix("No open conflicts."))
        #expect(!browsing.text.joined().contains("take"), "nothing of the last one is left")
    }

    @Test(arguments: [(40, 10), (20, 5), (70, 8), (200, 60)])
    func `it fits a screen of any size`(_ columns: Int, _ rows: Int) throws {
        var browsing = try Browsing(try Field.disagreeing(), columns: columns, rows: rows)
        browsing.expectWhole()
        let count = try browsing.conflicts.open().count
        for _ in 0..<count {
            try browsing.press(.enter, .pageDown, .pageDown, .up, .end, .character("?"), .enter)
            try browsing.press(.character("A"))
            try browsing.type("ə Гюльшан Мамедова, ü, and a long reason that fits into no line")
            for key in [TerminalKey.left, .home, .delete, .end, .character("\u{15}"), .escape] {
                try browsing.press(key)
            }
            try browsing.press(.tab, .left, .down)
        }
        browsing.browser.resize(columns: 80, rows: 24)
        browsing.expectWhole()
        #expect(browsing.text[0].hasSuffix("\(count)/\(count)"))
    }
}
