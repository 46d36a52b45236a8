import Causality
import FieldRecords

/// What people type: badges, codes, names, times, and the names of rows and dots.
struct NamesTarget: FuzzTarget {
    let inputLimit = 96
    let allocationLimit = 4

    func offer(_ bytes: [UInt8]) throws(Violation) -> Bool {
        let text = String(decoding: bytes, as: UTF8.self)
        let key = NameFold.key(text)
        try hold(NameFold.key(key) == key, "a name's key is not its own")
        let badge = Badge(text)
        if let badge { try hold(Badge(badge.text) == badge, "a badge is another one") }
        let code = Code(text)
        if let code {
            try hold(Code(code.text) == code, "a code is another one")
            try hold(
                code.text.utf8.count <= Code.lengthLimit && Forum.scope(of: code).utf8.count <= 64,
                "a code over its limit")
        }
        let hasTime = try checkTimes(text)
        let hasName = try checkNames(text)
        return badge != nil || code != nil || hasTime || hasName
    }

    /// A time is written so that it reads as the same one; years of more than four digits aren't read.
    private func checkTimes(_ text: String) throws(Violation) -> Bool {
        let noon = Instant(milliseconds: 1_764_000_000_000)
        let times = [try? Instant(text), try? Instant(text, onDayOf: noon)].compactMap { $0 }
        for time in times {
            for offset in [UTCOffset.forum, .utc] {
                let written = time.formatted(offset: offset)
                guard written.utf8.first != 0x2b, written.utf8.first != 0x2d else { continue }
                try hold((try? Instant(written)) == time, "\(written) is another time")
            }
        }
        return !times.isEmpty
    }

    private func checkNames(_ text: String) throws(Violation) -> Bool {
        let identifier = Identifier(hexadecimal: text)
        if let identifier {
            try hold(
                Identifier(hexadecimal: identifier.hexadecimal) == identifier,
                "an identifier is another one")
        }
        let dot = Dot(text)
        if let dot { try hold(Dot(dot.description) == dot, "a dot is another one") }
        return identifier != nil || dot != nil
    }
}
