internal import FoundationEssentials

/// One line of logfmt in the making.
struct HubLogLine {
    /// The longest value, in bytes before escaping; the rest is cut, and `…` says so.
    static let valueBytes = 512
    private static let ownKeys: Set<String> = ["time", "level", "event"]

    private var text = ""

    /// The line with its newline.
    var bytes: [UInt8] { Array(text.utf8) + [0x0a] }

    /// RFC 3339 in UTC with milliseconds.
    static func time(_ milliseconds: Int64) -> String {
        // The style cuts, and most milliseconds lie just below their decimal as a Double.
        Date(timeIntervalSince1970: (Double(milliseconds) + 0.5) / 1_000)
            .formatted(Date.ISO8601FormatStyle(includingFractionalSeconds: true))
    }

    /// Adds what the log itself says: time, level and event.
    mutating func add(own key: String, _ value: String) {
        if !text.isEmpty { text += " " }
        text += key + "=" + Self.escaped(value)
    }

    /// Adds metadata; a key can't take the place of what the log itself says.
    mutating func add(_ key: String, _ value: String) {
        add(own: Self.ownKeys.contains(key) ? key + "_" : Self.safeKey(key), value)
    }

    private static func safeKey(_ key: String) -> String {
        key.isEmpty ? "_" : String(key.unicodeScalars.map { isPlain($0) ? Character($0) : "_" })
    }

    /// `value` as it is when it is plain, else in quotes with escapes.
    static func escaped(_ value: String) -> String {
        let scalars = value.unicodeScalars
        if !scalars.isEmpty && value.utf8.count <= valueBytes && scalars.allSatisfy(isPlain) {
            return value
        }
        var quoted = "\""
        var count = 0
        for scalar in scalars {
            count += UTF8.width(scalar)
            guard count <= valueBytes else {
                quoted += "…"
                break
            }
            quoted += escaped(scalar)
        }
        return quoted + "\""
    }

    private static func escaped(_ scalar: Unicode.Scalar) -> String {
        switch scalar {
        case "\"": "\\\""
        case "\\": "\\\\"
        case "\n": "\\n"
        case "\r": "\\r"
        case "\t": "\\t"
        case _ where isInvisible(scalar): "\\u{\(String(scalar.value, radix: 16))}"
        default: String(scalar)
        }
    }

    /// Neither a space nor anything that logfmt or a terminal reads as more than a letter.
    private static func isPlain(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar {
        case "a"..."z", "A"..."Z", "0"..."9", ".", "_", ":", "/", "+", "@", "%", ",", "-": true
        default: false
        }
    }

    /// What a terminal obeys or doesn't show: control characters, line separators, the marks that
    /// turn the direction of writing.
    private static func isInvisible(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.properties.generalCategory {
        case .control, .format, .lineSeparator, .paragraphSeparator, .privateUse, .unassigned,
            .surrogate:
            true
        default: false
        }
    }
}
