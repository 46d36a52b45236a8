/// A moment, in milliseconds since 1970: what the columns of type `time` hold.
public struct Instant: Hashable, Comparable, Sendable {
    public var milliseconds: Int64

    public init(milliseconds: Int64) {
        self.milliseconds = milliseconds
    }

    public static func < (a: Self, b: Self) -> Bool { a.milliseconds < b.milliseconds }
}

/// How far a place's clock is ahead of UTC.
public struct UTCOffset: Hashable, Sendable {
    /// In -1439...1439.
    public let minutes: Int

    /// - Returns: `nil` for a day or more.
    public init?(minutes: Int) {
        guard (-1439...1439).contains(minutes) else { return nil }
        self.minutes = minutes
    }

    private init(hours: Int) { minutes = hours * 60 }

    /// Azerbaijan's, all year: +04:00.
    public static let forum = UTCOffset(hours: 4)
    public static let utc = UTCOffset(hours: 0)
}

/// Why a text isn't a time, and how to write it.
public struct InstantError: Error, Hashable, Sendable, CustomStringConvertible {
    public enum Reason: Hashable, Sendable {
        case empty
        /// Neither a date and time nor a bare time.
        case shape
        /// A date and time without `Z` or `+hh:mm`.
        case noOffset
        case noSuchMonth(Int)
        case noSuchDay(Int)
        case noSuchTime
        case noSuchOffset
        /// More than three digits after the second.
        case tooFine
        /// A bare time where only a date and time will do.
        case noDay
    }

    public let reason: Reason
    /// What was read, or the start of it.
    public let text: String

    public init(reason: Reason, text: String) {
        self.reason = reason
        self.text = text
    }

    public var description: String {
        let example = "write it like 2025-11-26T10:10:00+04:00"
        return switch reason {
        case .empty: "no time is given: \(example)"
        case .shape: "“\(text)” is not a time: \(example)"
        case .noOffset: "“\(text)” does not say how far from UTC: add +04:00, or Z for UTC"
        case .noSuchMonth(let month): "“\(text)”: there is no month \(month)"
        case .noSuchDay(let day): "“\(text)”: that month has no day \(day)"
        case .noSuchTime: "“\(text)”: the time of day must lie in 00:00:00 to 23:59:59"
        case .noSuchOffset: "“\(text)”: the offset must lie in -23:59 to +23:59"
        case .tooFine: "“\(text)” is finer than a millisecond: write at most three digits"
        case .noDay: "“\(text)” has no date: \(example)"
        }
    }
}
