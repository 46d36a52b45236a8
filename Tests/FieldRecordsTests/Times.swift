import FieldRecords
import Testing

@Suite struct `Times` {
    /// Milliseconds by GNU `date -u -d … +%s`.
    static let known: [(text: String, milliseconds: Int64)] = [
        ("1970-01-01T00:00:00Z", 0),
        ("1969-12-31T23:59:59.999Z", -1),
        ("2025-11-26T10:10:00+04:00", 1_764_137_400_000),
        ("2025-11-26T06:10Z", 1_764_137_400_000),
        ("2025-11-26T06:10:00.25Z", 1_764_137_400_250),
        ("2025-11-25T23:40:00-06:30", 1_764_137_400_000),
        ("2024-02-29T12:00:00Z", 1_709_208_000_000),
        ("2000-02-29T00:00:00Z", 951_782_400_000),
        ("1900-03-01T00:00:00Z", -2_203_891_200_000),
        ("0000-01-01T00:00:00Z", -62_167_219_200_000),
        ("9999-12-31T23:59:59.999Z", 253_402_300_799_999),
    ]

    @Test(arguments: known)
    func `known times read as known`(text: String, milliseconds: Int64) throws {
        #expect(try Instant(text).milliseconds == milliseconds)
    }

    @Test func `a time is shown at the forum's offset`() {
        let instant = Instant(milliseconds: 1_764_137_400_000)
        #expect(instant.formatted() == "2025-11-26T10:10:00+04:00")
        #expect("\(instant)" == "2025-11-26T10:10:00+04:00")
        #expect(instant.formatted(offset: .utc) == "2025-11-26T06:10:00+00:00")
        #expect(
            Instant(milliseconds: 1_764_137_400_007).formatted() == "2025-11-26T10:10:00.007+04:00")
        #expect(
            UTCOffset(minutes: -570).map(instant.formatted) == "2025-11-25T20:40:00-09:30")
        #expect(UTCOffset(minutes: 1_440) == nil)
    }

    @Test func `what is shown reads back`() throws {
        // A linear congruence: the same values in every run, over the years 0 to 9999.
        var state: UInt64 = 1
        for _ in 0..<2_000 {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            let milliseconds =
                Int64(state >> 11) % (253_402_300_800_000 + 62_167_219_200_000 - 200_000_000)
                - 62_167_219_200_000 + 100_000_000
            let instant = Instant(milliseconds: milliseconds)
            let minutes = Int(state >> 40) % 2_879 - 1_439
            let offset = try #require(UTCOffset(minutes: minutes))
            #expect(try Instant(instant.formatted(offset: offset)) == instant)
        }
    }

    @Test func `any number of milliseconds can be shown`() {
        #expect(
            Instant(milliseconds: .max).formatted(offset: .utc)
                == "+292278994-08-17T07:12:55.807+00:00")
        #expect(
            Instant(milliseconds: .min).formatted(offset: .utc)
                == "-292275055-05-16T16:47:04.192+00:00")
    }

    @Test func `every day of two centuries follows the one before`() throws {
        var expected = try Instant("1899-01-01T00:00:00Z").milliseconds
        var wrong: [String] = []
        for year in 1899..<2102 {
            for month in 1...12 {
                for day in 1...31 {
                    let digits = [month, day].map { $0 < 10 ? "0\($0)" : "\($0)" }
                    let text = "\(year)-\(digits[0])-\(digits[1])T00:00:00+00:00"
                    guard let instant = try? Instant(text) else { continue }
                    if instant.milliseconds != expected || instant.formatted(offset: .utc) != text {
                        wrong.append(text)
                    }
                    expected += 86_400_000
                }
            }
        }
        #expect(wrong == [])
        #expect(try Instant("2102-01-01T00:00:00Z").milliseconds == expected)
    }

    @Test func `a bare time is on the day of its reference, where the clock hangs`() throws {
        // 27 November at the forum, still 26 November in UTC
        let reference = try Instant("2025-11-26T22:30:00Z")
        #expect(try Instant("10:10", onDayOf: reference).formatted() == "2025-11-27T10:10:00+04:00")
        #expect(
            try Instant("23:59:58.5", onDayOf: reference, offset: .utc).formatted(offset: .utc)
                == "2025-11-26T23:59:58.500+00:00")
        #expect(
            try Instant("2025-11-24T09:00:00+04:00", onDayOf: reference).formatted()
                == "2025-11-24T09:00:00+04:00")
    }

    @Test(
        arguments: [
            ("", .empty), ("yesterday", .shape), ("2025-11-26", .shape),
            ("2025-11-26 10:10:00Z", .shape), ("2025-11-26t10:10:00Z", .shape),
            ("2025-11-26T10:10:00z", .shape), ("2025-11-26T10:10:00Z ", .shape),
            ("2025-11-26T9:10:00Z", .shape), ("25-11-26T10:10:00Z", .shape),
            ("2025-11-26T10:10:00+0400", .shape), ("2025-11-26T10:10:00.Z", .shape),
            ("+2025-11-26T10:10:00Z", .shape), ("２025-11-26T10:10:00Z", .shape),
            ("2025.11-26T10:10Z", .shape), ("2025-11.26T10:10Z", .shape),
            ("2025-11-26T10.10Z", .shape), ("2025-11-26T10:10+04:00x", .shape),
            ("2025-11-26T10:10", .noOffset), ("2025-11-26T10:10:00.5", .noOffset),
            ("2025-13-26T10:10:00Z", .noSuchMonth(13)), ("2025-00-26T10:10Z", .noSuchMonth(0)),
            ("2025-02-29T10:10:00Z", .noSuchDay(29)), ("1900-02-29T10:10Z", .noSuchDay(29)),
            ("2025-11-31T10:10:00Z", .noSuchDay(31)), ("2025-11-00T10:10Z", .noSuchDay(0)),
            ("2025-11-26T24:00:00Z", .noSuchTime), ("2025-11-26T10:60Z", .noSuchTime),
            ("2025-11-26T10:10:60Z", .noSuchTime),
            ("2025-11-26T10:10:00+24:00", .noSuchOffset),
            ("2025-11-26T10:10:00+04:60", .noSuchOffset),
            ("2025-11-26T10:10:00.1234Z", .tooFine), ("10:10", .noDay),
        ] as [(String, InstantError.Reason)])
    func `what isn't a time says why`(text: String, reason: InstantError.Reason) {
        #expect(throws: InstantError(reason: reason, text: text)) { try Instant(text) }
    }

    @Test(arguments: [
        (1_764_158_999_999, "2025-11-26T16:09:59+04:00"),
        (1_764_159_000_000, "2025-11-26T16:10:00+04:00"),
        (-1, "1970-01-01T03:59:59+04:00"), (0, "1970-01-01T04:00:00+04:00"),
    ])
    func `in whole seconds a time is never later than it was`(_ milliseconds: Int64, _ text: String)
    {
        #expect(Instant(milliseconds: milliseconds).inWholeSeconds == text)
    }

    @Test func `a bare time is strict too`() throws {
        let reference = Instant(milliseconds: 0)
        for (text, reason) in [
            ("9:10", .shape), ("10:1", .shape), ("10:10Z", .shape), ("25:00", .noSuchTime),
            ("10:10+04:00", .shape),
        ] as [(String, InstantError.Reason)] {
            #expect(throws: InstantError(reason: reason, text: text)) {
                try Instant(text, onDayOf: reference)
            }
        }
    }
}
