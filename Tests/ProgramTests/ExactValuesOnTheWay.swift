import Foundation
import Testing

/// What a file says arrives byte by byte on another laptop, and in what it exports.
@Suite struct ExactValuesOnTheWay {
    private static let texts = [
        "a\0b", "\0", "\u{e9}", "e\u{301}", "\u{202e}abc", "abc\u{2066}", "👩‍🏫", "👨‍👩‍👧‍👦🏳️‍🌈", "🇦🇿",
        "\u{feff}x", " ", "two\nlines", "\"quoted\"", "'; DROP TABLE site; --",
        String(repeating: "ə", count: 32_768),
    ]

    /// By code, the text and the bits of latitude and longitude.
    private struct Site: Hashable {
        var name: [UInt8]
        var position: [UInt64]
    }

    private static let sites: [String: Site] = Dictionary(
        uniqueKeysWithValues: texts.enumerated().map { index, text in
            let position: [Double] = index.isMultiple(of: 2) ? [-0.0, 0.0] : [39.2, -0.0]
            return (
                "EXACT-\(index)",
                Site(name: Array(text.utf8), position: position.map(\.bitPattern))
            )
        })

    private func csv() -> String {
        var lines = ["code,name_en,lat,lon"]
        for (code, site) in Self.sites.sorted(by: { $0.key < $1.key }) {
            let name = String(decoding: site.name, as: UTF8.self)
                .replacingOccurrences(of: "\"", with: "\"\"")
            let position = site.position.map { "\(Double(bitPattern: $0))" }
            lines.append("\(code),\"\(name)\",\(position.joined(separator: ","))")
        }
        return lines.joined(separator: "\r\n") + "\r\n"
    }

    @Test func `texts and numbers of a CSV file are exact on another laptop and in its export`()
        throws
    {
        let forum = try Forum(prepared: ["L1", "L2"])
        try forum.connect("L1", "L2")
        try Data(csv().utf8).write(to: forum.path("sites.csv"))
        try forum.must("L1", "import", "sites", "sites.csv")
        // A second time nothing has changed.
        let again = try forum.json("L1", "import", "sites", "sites.csv")
        #expect(again["changed"] as? Int == 0 && again["created"] as? Int == 0)
        // Another program's import of a file with the largest and the smallest whole number.
        let counts = ["9223372036854775807", "-9223372036854775808", "9007199254740993", "0"]
        try Data(counts.map { "\($0)\n" }.joined().utf8).write(to: forum.path("counts.csv"))
        let imported = try Programs.run(
            "/usr/bin/sqlite3",
            [
                "-bail", "L1.sqlite", "CREATE TEMP TABLE c(n INTEGER)",
                ".import --csv --schema temp counts.csv c",
                "INSERT INTO visit(id, headcount) SELECT randomblob(16), n FROM c",
            ], in: forum.directory)
        #expect(imported.status == 0, "\(imported.errors)")
        // What no CSV file can spell.
        try forum.must("L1", "set", "site", "EXACT-0", "position=nan(0x123),-nan(0x4),-0.0")
        for laptop in ["L1", "L2"] { try forum.must(laptop, "sync") }
        #expect(try forum.verified("L1") == forum.verified("L2"))

        for laptop in ["L1", "L2"] {
            let exported = try Exported(forum.must(laptop, "verify", "--export", "-"))
            for (code, site) in Self.sites {
                #expect(exported.texts.contains(site.name), "\(laptop) \(code)")
                #expect(exported.reals.contains(site.position + [nil]), "\(laptop) \(code)")
            }
            #expect(
                exported.reals.contains([0x7ff8_0000_0000_0123, 0xfff8_0000_0000_0004, 1 << 63]))
            for count in counts { #expect(exported.integers.contains(count), "\(laptop) \(count)") }
            // And in the words that other programs read.
            for (code, site) in Self.sites {
                let shown = try forum.shown(laptop, ["site", code])["name_en"]
                #expect(shown.map { Array($0.utf8) } == site.name, "\(laptop) \(code)")
            }
        }
    }
}

/// All values of an export, by their bytes and bits.
private struct Exported {
    private(set) var texts: Set<[UInt8]> = []
    /// Of composites.
    private(set) var reals: Set<[UInt64?]> = []
    private(set) var integers: Set<String> = []

    init(_ lines: String) throws {
        for line in lines.split(separator: "\n") {
            collect(try JSONSerialization.jsonObject(with: Data(line.utf8)))
        }
    }

    private mutating func collect(_ item: Any) {
        if let items = item as? [Any] { items.forEach { collect($0) } }
        guard let object = item as? [String: Any] else { return }
        if let value = object["value"] { note(value) }
        object.values.forEach { collect($0) }
    }

    private mutating func note(_ value: Any) {
        if let number = value as? Int { integers.insert(String(number)) }
        if let text = value as? String { texts.insert(Array(text.utf8)) }
        guard let form = value as? [String: Any] else { return }
        if let digits = form["int"] as? String { integers.insert(digits) }
        if let text = form["text"] { texts.insert(Self.bytes(text)) }
        if let parts = form["composite"] as? [Any] {
            reals.insert(
                parts.map { part in
                    ((part as? [String: Any])?["real"] as? String).flatMap { UInt64($0, radix: 16) }
                })
        }
    }

    /// Of hex digits, or of an array of them with repetitions.
    private static func bytes(_ form: Any) -> [UInt8] {
        if let digits = form as? String {
            let digits = Array(digits.utf8)
            return stride(from: 0, to: digits.count - 1, by: 2).compactMap {
                UInt8(String(decoding: digits[$0...$0 + 1], as: UTF8.self), radix: 16)
            }
        }
        return (form as? [Any] ?? []).flatMap { part -> [UInt8] in
            guard let pair = part as? [Any], pair.count == 2, let count = pair[1] as? Int else {
                return bytes(part)
            }
            return Array(repeatElement(bytes(pair[0]), count: count).joined())
        }
    }
}
