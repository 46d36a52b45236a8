extension Instant {
    /// Reads a date, a time and an offset in ISO 8601's extended format: `2025-11-26T10:10+04:00`,
    /// `2025-11-26T06:10:00.500Z`. Seconds, and up to three digits of a fraction, may be missing.
    public init(_ text: some StringProtocol) throws(InstantError) {
        self = try InstantParser(text).dateAndTime()
    }

    /// Reads a date and time, or a bare `10:10` or `10:10:30`, which is a time of the day that
    /// `reference` lies in.
    ///
    /// - Parameters:
    ///   - reference: what tells the day, such as an item's planned start, or now.
    ///   - offset: where that day, and a bare time, are looked at.
    public init(
        _ text: some StringProtocol, onDayOf reference: Instant, offset: UTCOffset = .forum
    ) throws(InstantError) {
        let parser = InstantParser(text)
        if parser.isBareTime {
            self = try parser.bareTime(
                on: LocalTime(reference, offset: offset).day, offset: offset)
        } else {
            self = try parser.dateAndTime()
        }
    }
}

/// Reads one text, byte by byte and without leave: no spaces, no lower case, no missing digit.
private struct InstantParser {
    private let text: String
    private let bytes: [UInt8]

    init(_ text: some StringProtocol) {
        self.text = String(text.prefix(60))
        bytes = Array(text.utf8)
    }

    /// A colon comes third.
    var isBareTime: Bool { bytes.count >= 5 && bytes[2] == UInt8(ascii: ":") }

    func dateAndTime() throws(InstantError) -> Instant {
        guard !bytes.isEmpty else { throw fail(.empty) }
        guard !isBareTime else { throw fail(.noDay) }
        var rest = bytes[...]
        let day = try date(&rest)
        guard rest.popFirst() == UInt8(ascii: "T") else { throw fail(.shape) }
        let time = try clock(&rest, on: day)
        return time.instant(offset: try offset(&rest))
    }

    func bareTime(on day: CivilDay, offset: UTCOffset) throws(InstantError) -> Instant {
        var rest = bytes[...]
        let time = try clock(&rest, on: day)
        guard rest.isEmpty else { throw fail(.shape) }
        return time.instant(offset: offset)
    }

    private func date(_ rest: inout ArraySlice<UInt8>) throws(InstantError) -> CivilDay {
        let hyphen = UInt8(ascii: "-")
        let year = try number(4, &rest)
        guard rest.popFirst() == hyphen else { throw fail(.shape) }
        let month = try number(2, &rest)
        guard rest.popFirst() == hyphen else { throw fail(.shape) }
        let day = try number(2, &rest)
        guard (1...12).contains(month) else { throw fail(.noSuchMonth(month)) }
        guard (1...CivilDay.days(inMonth: month, of: year)).contains(day) else {
            throw fail(.noSuchDay(day))
        }
        return CivilDay(year: year, month: month, day: day)
    }

    private func clock(
        _ rest: inout ArraySlice<UInt8>, on day: CivilDay
    ) throws(InstantError) -> LocalTime {
        let colon = UInt8(ascii: ":")
        let hour = try number(2, &rest)
        guard rest.popFirst() == colon else { throw fail(.shape) }
        let minute = try number(2, &rest)
        var (second, millisecond) = (0, 0)
        if rest.first == colon {
            rest.removeFirst()
            second = try number(2, &rest)
            millisecond = try fraction(&rest)
        }
        guard hour < 24, minute < 60, second < 60 else { throw fail(.noSuchTime) }
        return LocalTime(
            day: day, hour: hour, minute: minute, second: second, millisecond: millisecond)
    }

    private func fraction(_ rest: inout ArraySlice<UInt8>) throws(InstantError) -> Int {
        guard rest.first == UInt8(ascii: ".") else { return 0 }
        rest.removeFirst()
        let digits = rest.prefix(while: isDigit)
        guard !digits.isEmpty else { throw fail(.shape) }
        guard digits.count <= 3 else { throw fail(.tooFine) }
        rest.removeFirst(digits.count)
        return value(of: digits + Array(repeating: UInt8(ascii: "0"), count: 3 - digits.count))
    }

    /// The offset, with which the text ends.
    private func offset(_ rest: inout ArraySlice<UInt8>) throws(InstantError) -> UTCOffset {
        guard let sign = rest.popFirst() else { throw fail(.noOffset) }
        if sign == UInt8(ascii: "Z"), rest.isEmpty { return .utc }
        guard sign == UInt8(ascii: "+") || sign == UInt8(ascii: "-") else { throw fail(.shape) }
        let hours = try number(2, &rest)
        guard rest.popFirst() == UInt8(ascii: ":") else { throw fail(.shape) }
        let minutes = try number(2, &rest)
        guard rest.isEmpty else { throw fail(.shape) }
        let size = hours * 60 + minutes
        guard minutes < 60,
            let offset = UTCOffset(minutes: sign == UInt8(ascii: "-") ? -size : size)
        else { throw fail(.noSuchOffset) }
        return offset
    }

    private func number(
        _ count: Int, _ rest: inout ArraySlice<UInt8>
    ) throws(InstantError) -> Int {
        let digits = rest.prefix(count)
        guard digits.count == count, digits.allSatisfy(isDigit) else { throw fail(.shape) }
        rest.removeFirst(count)
        return value(of: digits)
    }

    private func isDigit(_ byte: UInt8) -> Bool {
        (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte)
    }

    private func value(of digits: ArraySlice<UInt8>) -> Int {
        digits.reduce(0) { $0 * 10 + Int($1 - UInt8(ascii: "0")) }
    }

    private func fail(_ reason: InstantError.Reason) -> InstantError {
        InstantError(reason: reason, text: text)
    }
}
