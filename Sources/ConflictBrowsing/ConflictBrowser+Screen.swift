internal import ConflictInspection
internal import ProgramOutput
internal import RecordSchema
public import Terminals

/// What is drawn.
extension ConflictBrowser {
    /// Exactly as many lines as the screen has.
    public var lines: [[ScreenSpan]] {
        var lines = [titleLine]
        lines += isHelpShown ? helpLines : bodyLines
        lines += messageLines.map { [ScreenSpan(fitted($0, columns), isBold: true)] }
        lines.append(question == nil ? keyLine : questionLine.spans)
        return lines
    }

    /// Where a person types; `nil` where nothing is asked.
    public var cursor: (column: Int, row: Int)? {
        question == nil ? nil : (min(columns - 1, questionLine.cursor), rows - 1)
    }

    private func fitted(_ text: String, _ columns: Int) -> String {
        TerminalText.fitted(TerminalText.countable(TextTable.printable(text)), to: columns)
    }

    // MARK: First and last

    private var titleLine: [ScreenSpan] {
        let place =
            conflicts.isEmpty
            ? "" : "\(selected + 1)/\(page.hasMore ? "\(conflicts.count)+" : "\(conflicts.count)")"
        let deferred = page.deferredCount > 0 ? ", \(page.deferredCount) put off" : ""
        let left = "\(title): \(ItemCount.text(page.openCount, "open conflict"))\(deferred)"
        let room = max(0, columns - TerminalText.width(of: place) - 1)
        return [ScreenSpan(fitted(left, room) + " " + place, isReversed: true)]
    }

    private var keyLine: [ScreenSpan] {
        let text: String
        if isHelpShown {
            text = "any key goes back"
        } else if let detail {
            // Others have no key of their own.
            let labels = detail.choices.map(\.label).filter { $0.count == 1 }
            let range =
                labels.count > 1 ? "\(labels.first ?? "")–\(labels.last ?? "")" : labels.first ?? ""
            text =
                isWide
                ? "\(range) take  e edit  d put off  u undo  Enter read on  a all  ? help  q quit"
                : "\(range) take  e d u  Enter \(isDetailEntered ? "" : "look ") ? q"
        } else {
            text = "u undo  a all  r reload  ? help  q quit"
        }
        return [ScreenSpan(fitted(text, columns), isReversed: true)]
    }

    private var questionLine: (spans: [ScreenSpan], cursor: Int) {
        let asked =
            switch question {
            case .reason(.take(let label), let text): "\(label): \(text). Why? "
            case .reason(_, let text): "\(text). Why? "
            case .value: "Value: "
            case .until: "Until (18:00, a time; empty: until it changes): "
            case .reasonToWait: "Why wait? (may stay empty) "
            case nil: ""
            }
        // What is typed has room too.
        let label = TerminalText.cut(
            TerminalText.countable(TextTable.printable(asked)), to: max(8, columns * 3 / 5))
        let start = TerminalText.width(of: label)
        let (text, cursor) = input.shown(in: max(1, columns - start - 1))
        return (
            [
                ScreenSpan(label, isReversed: true),
                ScreenSpan(fitted(text, columns - start)),
            ], start + cursor
        )
    }

    // MARK: Between

    private var bodyLines: [[ScreenSpan]] {
        guard isWide else { return isDetailEntered ? detailLines : listLines }
        return zip(listLines, detailLines).map { list, detail in
            list + [ScreenSpan(isDetailEntered ? " ┃ " : " │ ")] + detail
        }
    }

    private var listLines: [[ScreenSpan]] {
        guard !conflicts.isEmpty else { return emptyLines }
        return (0..<bodyRows).map { row in
            let index = listTop + row
            guard conflicts.indices.contains(index) else {
                return [ScreenSpan(fitted("", listColumns))]
            }
            let conflict = conflicts[index]
            let mark = conflict.deferral == nil ? " " : "z"
            let text = "\(conflict.conflictClass.rawValue)\(mark)\(conflict.subjectText)"
            return [
                ScreenSpan(
                    fitted((index == selected ? ">" : " ") + text, listColumns),
                    isBold: conflict.conflictClass == .decision, isReversed: index == selected)
            ]
        }
    }

    private var emptyLines: [[ScreenSpan]] {
        var words = ConflictPage.noneText(
            openCount: page.deferredCount == 0 ? page.openCount : 0)
        if page.deferredCount > 0, !includesDeferred {
            words = "\(page.deferredCount) put off; a lists them too."
        }
        let wrapped = TerminalText.wrapped(words, to: listColumns)
        return (0..<bodyRows).map { row in
            [ScreenSpan(fitted(row < wrapped.count ? wrapped[row] : "", listColumns))]
        }
    }

    private var detailLines: [[ScreenSpan]] {
        let all = detailText
        let isCut = all.count > detailTop + bodyRows
        return (0..<bodyRows).map { row in
            let index = detailTop + row
            // There is more below: without a mark nobody would look for it.
            if isCut, row == bodyRows - 1 {
                let count = all.count - index
                return [
                    ScreenSpan(
                        fitted(
                            isDetailEntered ? "… \(count) more lines" : "… \(count) more: Enter",
                            detailColumns))
                ]
            }
            guard all.indices.contains(index) else {
                return [ScreenSpan(fitted("", detailColumns))]
            }
            return [ScreenSpan(fitted(all[index].text, detailColumns), isBold: all[index].isBold)]
        }
    }

    private var helpLines: [[ScreenSpan]] {
        let help = [
            "↑ ↓ PgUp PgDn Home End   move; j and k do too",
            "Enter Tab →   read on in the conflict; Esc ← back to the list",
            "A B C …       take that value or choice; it asks why",
            "e             settle it with another value",
            "d             put it off, until a time or until it changes",
            "u             take back the last decision that was made here",
            "a             list what was put off too, or not",
            "r             read and draw all again; what comes in is shown without it",
            "q             quit. Nothing is half done: each decision is written at once",
        ]
        return (0..<bodyRows).map { row in
            [ScreenSpan(fitted(row < help.count ? help[row] : "", columns))]
        }
    }
}
