/// Rows in aligned columns, for people.
public struct TextTable {
    private let header: [String]
    private var rows: [[String]] = []

    public init(_ header: [String]) {
        self.header = header.map(Self.printable)
    }

    public mutating func add(_ row: [String]) { rows.append(row.map(Self.printable)) }

    /// The lines, each without trailing spaces.
    public var lines: [String] {
        let all = [header] + rows
        let widths = header.indices.map { column in
            all.map { TerminalText.width(of: $0[column]) }.max() ?? 0
        }
        return all.map { row in
            var line = ""
            for (column, text) in row.enumerated() {
                line += text
                guard column < row.count - 1 else { continue }
                line += String(
                    repeating: " ", count: widths[column] - TerminalText.width(of: text) + 2)
            }
            while line.hasSuffix(" ") { line.removeLast() }
            return line
        }
    }

    /// Text from a record for a file: control characters but tabs and line ends are shown, not obeyed.
    public static func withoutControls(_ text: String) -> String {
        var result = ""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\n", "\r", "\t": result.unicodeScalars.append(scalar)
            case "\0"..<" ", "\u{7f}"..."\u{9f}": result += "\u{fffd}"
            default: result.unicodeScalars.append(scalar)
            }
        }
        return result
    }

    /// Text from a record, safe for a terminal: control characters, and what turns or hides text, are shown, not
    /// obeyed.
    public static func printable(_ text: String) -> String {
        var result = ""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\n": result += "⏎"
            case "\t": result += " "
            case "\0"..<" ", "\u{7f}"..."\u{9f}": result += "\u{fffd}"
            case "\u{ad}"... where scalar.isInvisible: result += "\u{fffd}"
            default: result.unicodeScalars.append(scalar)
            }
        }
        return result
    }
}

extension Unicode.Scalar {
    /// Marks of format, and separators of lines, but for the joiners that scripts and emoji need.
    fileprivate var isInvisible: Bool {
        switch properties.generalCategory {
        case .format: value != 0x200c && value != 0x200d
        case .lineSeparator, .paragraphSeparator: true
        default: false
        }
    }
}
