import Causality
import FieldRecords
import RecordSchema
import Testing

@Suite struct `Badges and codes` {
    @Test(
        arguments: [
            "AZ-014", "az 14", "AZ014", "aZ--014", " AZ - 14 \r\n", "AZ-0014", "\u{FEFF}AZ-014",
            // Cyrillic А; an en dash; a minus; a non-breaking hyphen; a soft hyphen
            "А\u{5A}–014", "аz−14", "AZ‑014", "AZ\u{AD}-014",
            // full-width; Greek Α and Ζ; Arabic-Indic digits; a no-break space
            "ＡＺ－０１４", "ΑΖ 14", "αζ-14", "AZ ٠١٤", "AZ\u{A0}014",
        ])
    func `every spelling of a badge is one badge`(typed: String) {
        #expect(Badge(typed)?.text == "AZ-014")
        #expect(
            Forum.rowID(in: Forum.person, named: typed)
                == Forum.rowID(in: Forum.person, named: "AZ-014"))
    }

    @Test func `badges and codes are in the order of their text`() throws {
        let badges = try ["AZ-014", "AZ-0140", "B-001"].map { try #require(Badge($0)) }
        #expect(badges.reversed().sorted() == badges)
        #expect(badges.map(\.description) == badges.map(\.text))
        let codes = try ["P1", "P10", "P2"].map { try #require(Code($0)) }
        #expect(codes.reversed().sorted() == codes)
    }

    @Test(
        arguments: [
            ("ти-7", nil), ("КМ 7", "KM-007"), ("UZ1234", "UZ-1234"), ("hu000", "HU-000"),
            ("İı-5", "II-005"), ("i\u{307}i5", "II-005"), ("ҮХ 12", "YX-012"),
        ] as [(String, String?)])
    func `look-alikes count and other letters don't`(typed: String, badge: String?) {
        #expect(Badge(typed)?.text == badge)
    }

    @Test(
        arguments: [
            "", " ", "-", "AZ", "014", "AZ-", "-014", "AZ-14-", "A Z-14", "AZ-1 4", "AZ14B",
            "ЩЮ-014", "AZ/014", "AZ_014", "AZ-1234567890", "ABCDEFGHI-1", "Gülşən", "AZ\u{0}14",
        ])
    func `what can't be a badge is none`(typed: String) {
        #expect(Badge(typed) == nil)
    }

    @Test func `a badge reads back as itself`() {
        for number in [0, 1, 99, 100, 999, 1_000, 123_456_789] {
            let badge = Badge("kz\(number)")
            #expect(badge != nil)
            #expect(Badge(badge?.text ?? "") == badge)
        }
    }

    @Test func `codes fold like badges and keep their digits`() {
        #expect(Code(" v12 ")?.text == "V12")
        #expect(Code("nax–ordubad")?.text == "NAX-ORDUBAD")
        #expect(Code("КЗ") == nil)
        #expect(Code("КZ") == Code("KZ"))
        #expect(Code("V1") != Code("V01"))
        for wrong in [
            "", "-", "V12-", "-V12", "V 12", "Əli", "a/b", String(repeating: "a", count: 33),
        ] {
            #expect(Code(wrong) == nil, "\(wrong)")
        }
    }

    @Test func `only tables with one name have named rows`() {
        #expect(Forum.naturalKey(in: Forum.item, named: "v12") == "V12")
        #expect(Forum.rowID(in: Forum.contact, named: "AZ-014") == nil)
        #expect(Forum.rowID(in: Forum.observation, named: "AZ-014") == nil)
        #expect(Forum.rowID(in: Forum.person, named: "nobody") == nil)
    }
}
