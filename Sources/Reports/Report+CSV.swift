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
        case .text(let text), .unresolved(let text):
            let shown = if case .unresolved = cell { "unresolved: \(text)" } else { text }
            return shown.first.map { "=+-@\t\r".contains($0) } == true ? "'" + shown : shown
        default: return cell.text
        }
    }

    private static func quoted(_ text: String) -> String {
        let needsQuotes = text.unicodeScalars.contains { "\",\r\n".unicodeScalars.contains($0) }
        return needsQuotes ? "\"" + text.replacing("\"", with: "\"\"") + "\"" : text
    }
}
