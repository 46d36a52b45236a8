/// A hybrid logical time: 48 bits of milliseconds since 1970, then 16 bits that count.
///
/// It orders a device's own writes strictly and breaks ties between values that nobody had
/// compared; it never decides what replaces what. After Kulkarni and others, "Logical Physical
/// Clocks and Consistent Snapshots in Globally Distributed Databases" (2014).
public struct HybridTime: Hashable, Comparable, Sendable, CustomStringConvertible {
    public var rawValue: UInt64

    @inlinable
    public init(rawValue: UInt64) {
        self.rawValue = rawValue
    }

    /// The first time of a millisecond. What lies outside of 0 ..< 2^48 is moved to its edge.
    public init(milliseconds: Int64) {
        let limit = Int64(1) << 48 - 1
        rawValue = UInt64(min(max(milliseconds, 0), limit)) << 16
    }

    /// Milliseconds since 1970.
    @inlinable
    public var milliseconds: Int64 { Int64(rawValue >> 16) }

    @inlinable
    public static func < (a: Self, b: Self) -> Bool { a.rawValue < b.rawValue }

    public var description: String { "\(milliseconds).\(rawValue & 0xffff)" }
}

/// Gives each write of a device its time: `max(local, now, min(remote, now + 10 min))`, plus one.
///
/// Reading the wall clock is the caller's work, so that the same code runs under a simulated one.
public struct HybridClock: Sendable {
    /// How far a remote time may pull this clock ahead of the wall, in milliseconds.
    public static let lookaheadMilliseconds: Int64 = 600_000

    /// The highest time that was given or taken over.
    public private(set) var last: HybridTime

    public init(last: HybridTime = HybridTime(rawValue: 0)) {
        self.last = last
    }

    /// A time greater than every one before, and no less than the wall's.
    public mutating func next(wallMilliseconds: Int64) -> HybridTime {
        let wall = HybridTime(milliseconds: wallMilliseconds)
        precondition(last.rawValue < .max, "the hybrid clock has run out of times")
        last = max(wall, HybridTime(rawValue: last.rawValue + 1))
        return last
    }

    /// Takes over a time seen on a remote changeset, as far as the look-ahead allows.
    public mutating func observe(_ remote: HybridTime, wallMilliseconds: Int64) {
        let bound = max(wallMilliseconds, 0).addingReportingOverflow(Self.lookaheadMilliseconds)
        let limit = HybridTime(milliseconds: bound.overflow ? .max : bound.partialValue)
        last = max(last, min(remote, limit))
    }
}
