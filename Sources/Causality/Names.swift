/// One device's append-only log in one scope, per incarnation.
///
/// The 16 bytes are the start of SHA-256 over (domain, device, scope, incarnation), so that a
/// stream can't be claimed by a device that did not make it.
public struct StreamID: Hashable, Comparable, Sendable, CustomStringConvertible {
    public var identifier: Identifier

    @inlinable
    public init(_ identifier: Identifier) {
        self.identifier = identifier
    }

    @inlinable
    public static func < (a: Self, b: Self) -> Bool { a.identifier < b.identifier }

    public var description: String { identifier.hexadecimal }
}

/// The name of a row: 16 bytes, in every table.
public struct RowID: Hashable, Comparable, Sendable, CustomStringConvertible {
    public var identifier: Identifier

    @inlinable
    public init(_ identifier: Identifier) {
        self.identifier = identifier
    }

    @inlinable
    public static func < (a: Self, b: Self) -> Bool { a.identifier < b.identifier }

    public var description: String { identifier.hexadecimal }
}

/// A key pair's name: SHA-256 of the public signing key, 32 bytes.
public struct DeviceID: Hashable, Comparable, Sendable, CustomStringConvertible {
    public let bytes: [UInt8]

    /// Takes 32 bytes; `nil` for any other count.
    public init?(_ bytes: [UInt8]) {
        guard bytes.count == 32 else { return nil }
        self.bytes = bytes
    }

    public static func < (a: Self, b: Self) -> Bool { a.bytes.lexicographicallyPrecedes(b.bytes) }

    public var description: String { Hexadecimal.text(of: bytes) }

    /// The first eight digits: enough for a person to tell the devices of one forum apart.
    public var short: String { Hexadecimal.text(of: bytes.prefix(4)) }
}

/// The name of a changeset, and of that changeset's op on a cell.
///
/// `seq` counts from 1 in its stream, without holes.
public struct Dot: Hashable, Comparable, Sendable, CustomStringConvertible {
    public var stream: StreamID
    public var seq: UInt64

    @inlinable
    public init(_ stream: StreamID, _ seq: UInt64) {
        self.stream = stream
        self.seq = seq
    }

    @inlinable
    public static func < (a: Self, b: Self) -> Bool {
        a.stream != b.stream ? a.stream < b.stream : a.seq < b.seq
    }

    /// `STREAM:SEQ`, the form that `--basis` takes.
    public var description: String { "\(stream):\(seq)" }

    /// Reads `STREAM:SEQ`; `nil` for anything else, a `seq` of 0 included.
    public init?(_ text: some StringProtocol) {
        let parts = text.split(separator: ":", omittingEmptySubsequences: false)
        guard parts.count == 2, let stream = Identifier(hexadecimal: parts[0]),
            let seq = UInt64(parts[1]), seq > 0, parts[1] == "\(seq)"
        else { return nil }
        self.init(StreamID(stream), seq)
    }
}
