extension Instant {
    /// ISO 8601 at `offset`, as in `2025-11-26T10:10:00+04:00`; with milliseconds where there are
    /// any. A year outside of 0000...9999 has a sign and six digits or more.
    public func formatted(offset: UTCOffset = .forum) -> String {
        let local = LocalTime(self, offset: offset)
        let clock = [local.hour, local.minute, local.second].map { Self.padded($0, to: 2) }
        let date = [
            Self.year(local.day.year), Self.padded(local.day.month, to: 2),
            Self.padded(local.day.day, to: 2),
        ]
        let fraction =
            local.millisecond == 0 ? "" : "." + Self.padded(local.millisecond, to: 3)
        return date.joined(separator: "-") + "T" + clock.joined(separator: ":") + fraction
            + offset.description
    }

    private static func year(_ year: Int) -> String {
        guard (0...9_999).contains(year) else {
            return (year < 0 ? "-" : "+") + padded(abs(year), to: 6)
        }
        return padded(year, to: 4)
    }

    fileprivate static func padded(_ number: Int, to width: Int) -> String {
        let digits = String(number)
        return String(repeating: "0", count: max(0, width - digits.count)) + digits
    }
}

extension Instant: CustomStringConvertible {
    /// At the forum's offset.
    public var description: String { formatted() }
}

extension UTCOffset: CustomStringConvertible {
    /// As in `+04:00`.
    public var description: String {
        let size = abs(minutes)
        return (minutes < 0 ? "-" : "+") + Instant.padded(size / 60, to: 2) + ":"
            + Instant.padded(size % 60, to: 2)
    }
}

/// A moment as calendars and clocks show it at one offset.
struct LocalTime {
    var day: CivilDay
    var hour: Int
    var minute: Int
    var second: Int
    var millisecond: Int

    init(_ instant: Instant, offset: UTCOffset) {
        let all = Int(instant.milliseconds)
        let utcSeconds = CivilDay.floorDivide(all, by: 1_000)
        let seconds = utcSeconds + offset.minutes * 60
        let days = CivilDay.floorDivide(seconds, by: 86_400)
        let ofDay = seconds - days * 86_400
        day = CivilDay(daysSince1970: days)
        (hour, minute, second) = (ofDay / 3_600, ofDay / 60 % 60, ofDay % 60)
        millisecond = all &- utcSeconds &* 1_000
    }

    init(day: CivilDay, hour: Int, minute: Int, second: Int, millisecond: Int) {
        self.day = day
        self.hour = hour
        self.minute = minute
        self.second = second
        self.millisecond = millisecond
    }

    /// - Precondition: the year is in 0...9999, or that of an ``Instant``.
    func instant(offset: UTCOffset) -> Instant {
        let ofDay = hour * 3_600 + minute * 60 + second - offset.minutes * 60
        let seconds = day.daysSince1970 * 86_400 + ofDay
        return Instant(milliseconds: Int64(seconds * 1_000 + millisecond))
    }
}

extension Instant {
    /// As ``formatted(offset:)``, without the fraction of a second: for people.
    public var inWholeSeconds: String {
        let fraction = milliseconds % 1_000
        let down = fraction >= 0 ? fraction : fraction + 1_000
        let (whole, overflow) = milliseconds.subtractingReportingOverflow(down)
        return Instant(milliseconds: overflow ? milliseconds : whole).formatted()
    }
}

extension Instant {
    /// How long something takes, for people: `38 min`, `3 h`, `2 days`.
    public static func span(milliseconds: Int64) -> String {
        let minutes = milliseconds.magnitude / 60_000
        if minutes < 120 { return "\(minutes) min" }
        return minutes < 2_880 ? "\(minutes / 60) h" : "\(minutes / 1_440) days"
    }

    /// The day that it lies in at `offset`, as in `2025-11-26`.
    public func day(offset: UTCOffset = .forum) -> String {
        String(formatted(offset: offset).prefix { $0 != "T" })
    }
}
