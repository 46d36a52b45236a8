internal import ProgramOutput

extension Report {
    /// One section as comma-separated values (RFC 4180) in UTF-8, with a byte order mark, by which spreadsheet
    /// programs know that.
    ///
    /// A text that a spreadsheet would take for a formula has an apostrophe before it, for names come from outside.
    public func csv(_ section: ReportSection) -> String {
        let lines =
            [section.columns.map(\.name)]
            + section.rows.map { row in zip(section.columns, row).map { Self.field($1, in: $0) } }
        return "\u{feff}"
            + lines.map { $0.map(Self.quoted).joined(separator: ",") + "\r\n" }.joined()
    }

    private static func field(_ cell: ReportCell, in column: ReportColumn) -> String {
        switch cell {
        case .text, .unresolved:
            let shown = TextTable.withoutControls(cell.text)
            // By its first scalar: a mark behind it makes another character of it, and the same formula.
            return shown.unicodeScalars.first.map { "=+-@\t\r\n".unicodeScalars.contains($0) }
                == true
                ? "'" + shown : shown
        default: return cell.text
        }
    }

    /// Always, for where a list is separated by semicolons a text with one would be two.
    private static func quoted(_ text: String) -> String {
        let isPlain = text.unicodeScalars.allSatisfy {
            ("0"..."9").contains($0) || ("a"..."z").contains($0)
                || "-_:+T".unicodeScalars.contains($0)
        }
        return isPlain ? text : "\"" + text.replacing("\"", with: "\"\"") + "\""
    }
}
