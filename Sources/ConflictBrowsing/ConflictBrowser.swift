public import ConflictInspection
internal import ProgramOutput
internal import RecordSchema
internal import SyncProtocol
public import Terminals

/// A list of conflicts, one of them told whole, and keys to settle it: what is on the screen, and what a key does. It
/// draws nothing and writes nothing itself.
public struct ConflictBrowser: Sendable {
    /// What it can't do itself. ``show(_:)-(ConflictPage)``, ``show(_:)-(ConflictDetail?)`` or ``tell(_:)`` follow.
    public enum Request: Sendable {
        case quit
        /// The list is to be read again, up to this many.
        case read(limit: Int, includesDeferred: Bool)
        case resolve(Conflict, Decision, reason: String)
        case postpone(Conflict, until: String, reason: String)
        /// The last decision that was made here.
        case undo
    }

    enum Question {
        case reason(Decision, text: String)
        case value
        case until
        case reasonToWait(until: String)
    }

    let title: String
    public private(set) var columns = 80
    public private(set) var rows = 24

    private(set) var conflicts: [Conflict] = []
    private(set) var page = ConflictPage()
    private(set) var detail: ConflictDetail?
    /// The detail's, as wide as there is room.
    private(set) var detailText: [DetailLine] = []
    private(set) var message = ""
    private(set) var question: Question?
    /// The last one that was answered, while its answer may have to be given again.
    private var answeredQuestion: Question?
    private(set) var input = InputLine()
    private(set) var isHelpShown = false
    /// The detail is what keys move, and on a small screen what is shown.
    private(set) var isDetailEntered = false
    private(set) var selected = 0
    private(set) var listTop = 0
    private(set) var detailTop = 0
    private(set) var includesDeferred = false
    /// How many are read at first; further ones when the end of the list is reached.
    private var limit = 200

    /// - Parameters:
    ///   - title: what is browsed.
    ///   - includesDeferred: those put off are listed from the start.
    public init(title: String, includesDeferred: Bool = false) {
        self.title = title
        self.includesDeferred = includesDeferred
    }

    public var firstRequest: Request { .read(limit: limit, includesDeferred: includesDeferred) }

    /// The conflict that is to be told; `nil` where there is none, or it is told already.
    public var wanted: Conflict? {
        guard conflicts.indices.contains(selected) else { return nil }
        return detail?.conflict.id == conflicts[selected].id ? nil : conflicts[selected]
    }

    // MARK: What comes in

    public mutating func show(_ page: ConflictPage) {
        let last = conflicts.indices.contains(selected) ? conflicts[selected] : nil
        self.page = page
        conflicts = page.conflicts
        if let last {
            // The same one, or else the one that took its place.
            let same =
                conflicts.firstIndex { $0.id == last.id }
                ?? conflicts.firstIndex { $0.subjectText == last.subjectText }
            selected = same ?? selected
        }
        selected = max(0, min(selected, conflicts.count - 1))
        if conflicts.isEmpty || wanted != nil { (detail, detailText) = (nil, []) }
        // Nobody shall settle what they have not chosen to look at.
        if conflicts.isEmpty || conflicts[selected].id != last?.id { isDetailEntered = false }
        settle()
    }

    public mutating func show(_ detail: ConflictDetail?) {
        self.detail = detail
        detailTop = 0
        layOut()
    }

    private mutating func layOut() {
        detailText = detail?.lines(columns: detailColumns) ?? []
        settle()
    }

    public mutating func tell(_ message: String) {
        self.message = message
        settle()
    }

    /// What was asked for couldn't be done now: the question stands again, with its answer.
    public mutating func askAgain(_ message: String) {
        question = answeredQuestion
        tell(message)
    }

    public mutating func resize(columns: Int, rows: Int) {
        (self.columns, self.rows) = (max(20, columns), max(5, rows))
        layOut()
    }

    // MARK: Keys

    public mutating func handle(_ key: TerminalKey) -> Request? {
        if isHelpShown {
            isHelpShown = false
            return nil
        }
        if question != nil {
            defer { settle() }
            return answer(key)
        }
        message = ""
        answeredQuestion = nil
        switch key {
        case .escape where isDetailEntered: isDetailEntered = false
        case .character("q"): return .quit
        case .escape: message = "q quits."
        case .character("?"): isHelpShown = true
        case .character("r"): return firstRequest
        case .character("a"):
            includesDeferred.toggle()
            return firstRequest
        case .character("u"): return .undo
        case .character("e"): askForValue()
        case .character("d"):
            if detail != nil { ask(.until) }
        case .character(let letter) where letter.isUppercase && letter.isASCII: take(String(letter))
        case .pasted: message = "What is pasted is not taken here: letters are commands."
        case .tab: isDetailEntered = !isDetailEntered && detail != nil
        case .enter, .right, .character("l"): isDetailEntered = detail != nil
        case .left, .character("h"): isDetailEntered = false
        default: return move(key)
        }
        settle()
        return nil
    }

    private mutating func move(_ key: TerminalKey) -> Request? {
        let step: Int
        switch key {
        case .up, .character("k"): step = -1
        case .down, .character("j"): step = 1
        case .pageUp: step = -bodyRows
        case .pageDown, .character(" "): step = bodyRows
        case .home: step = -1_000_000
        case .end: step = 1_000_000
        case .character(let letter) where letter.unicodeScalars.allSatisfy({ $0.value > 32 }):
            message = "“\(letter)” does nothing here; ? tells the keys."
            settle()
            return nil
        default: return nil
        }
        if isDetailEntered {
            detailTop += step
        } else {
            selected = max(0, min(selected + step, conflicts.count - 1))
            if wanted != nil { (detail, detailText) = (nil, []) }
        }
        settle()
        guard !isDetailEntered, page.hasMore, selected == conflicts.count - 1, step > 0 else {
            return nil
        }
        limit *= 4
        return firstRequest
    }

    private mutating func take(_ label: String) {
        guard let detail else { return }
        guard let choice = detail.choices.first(where: { $0.label == label }) else {
            let labels = detail.choices.map(\.label).joined(separator: ", ")
            message = "There is no \(label) here; there are \(labels)."
            return
        }
        ask(.reason(.take(label), text: choice.text))
    }

    private mutating func askForValue() {
        guard let detail else { return }
        guard detail.conflict.rule == nil, detail.conflict.subject.column != nil else {
            message = "It is not between values: take one of the choices, by its letter."
            return
        }
        ask(.value)
    }

    private mutating func ask(_ question: Question) {
        self.question = question
        input = InputLine()
    }

    private mutating func answer(_ key: TerminalKey) -> Request? {
        switch key {
        case .escape:
            question = nil
            message = "Nothing was written."
        case .enter: return answered(input.text.trimmed)
        default: _ = input.edit(key)
        }
        return nil
    }

    private mutating func answered(_ text: String) -> Request? {
        guard let asked = question, let conflict = detail?.conflict else {
            question = nil
            return nil
        }
        question = nil
        answeredQuestion = asked
        message = ""
        switch asked {
        case .value:
            guard !text.isEmpty else {
                message = "Nothing was written."
                return nil
            }
            ask(.reason(.value(text), text: text))
        case .until: ask(.reasonToWait(until: text))
        case .reasonToWait(let until): return .postpone(conflict, until: until, reason: text)
        case .reason(let decision, _):
            guard !text.isEmpty || conflict.conflictClass < .decision else {
                message = "Say why: others will want to know. Esc leaves it open."
                question = asked
                return nil
            }
            return .resolve(conflict, decision, reason: text)
        }
        return nil
    }

    // MARK: What is in view

    /// Between the title and the last line, and the message where there is one.
    var bodyRows: Int { max(1, rows - 2 - messageLines.count) }

    /// A long one takes more lines, but never more than leave room for something else.
    var messageLines: [String] {
        guard !message.isEmpty else { return [] }
        let lines = TerminalText.wrapped(
            TerminalText.countable(TextTable.printable(message)), to: columns)
        return Array(lines.prefix(max(1, min(3, rows - 4))))
    }

    /// List and detail stand side by side.
    var isWide: Bool { columns >= 70 }
    var listColumns: Int { isWide ? min(48, columns * 2 / 5) : columns }
    var detailColumns: Int { isWide ? columns - listColumns - 3 : columns }

    private mutating func settle() {
        if selected < listTop { listTop = selected }
        if selected >= listTop + bodyRows { listTop = selected - bodyRows + 1 }
        listTop = max(0, min(listTop, conflicts.count - bodyRows))
        detailTop = max(0, min(detailTop, detailText.count - bodyRows))
    }
}

extension String {
    fileprivate var trimmed: String {
        var text = self[...]
        while text.first == " " { text.removeFirst() }
        while text.last == " " { text.removeLast() }
        return String(text)
    }
}
