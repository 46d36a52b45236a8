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
            all.map { $0[column].displayWidth }.max() ?? 0
        }
        return all.map { row in
            var line = ""
            for (column, text) in row.enumerated() {
                line += text
                guard column < row.count - 1 else { continue }
                line += String(repeating: " ", count: widths[column] - text.displayWidth + 2)
            }
            while line.hasSuffix(" ") { line.removeLast() }
            return line
        }
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

extension String {
    /// Terminal columns: none for combining marks, two for wide characters.
    var displayWidth: Int {
        unicodeScalars.reduce(0) { width, scalar in
            switch scalar.properties.generalCategory {
            case .nonspacingMark, .enclosingMark, .format: width
            default: width + (scalar.isWide ? 2 : 1)
            }
        }
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

    /// The East Asian wide blocks and the emoji.
    fileprivate var isWide: Bool {
        switch value {
        case 0x1100...0x115f, 0x2e80...0xa4cf, 0xac00...0xd7a3, 0xf900...0xfaff, 0xfe30...0xfe6f,
            0xff00...0xff60, 0xffe0...0xffe6, 0x1f300...0x1f64f, 0x1f900...0x1f9ff,
            0x20000...0x3fffd:
            true
        default: false
        }
    }
}
