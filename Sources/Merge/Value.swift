public import Causality

/// What a cell can hold. Equality is that of the canonical bytes, never of their meaning: two
/// Unicode spellings of one name differ, −0 differs from 0, and a NaN equals itself.
public enum Value: Sendable {
    case null
    case integer(Int64)
    case real(Double)
    case text(String)
    case blob([UInt8])
    /// The parts of a composite register, in the order of its declaration.
    case composite([Value])
    /// What somebody recorded of a person, without the key to it.
    case sealed(SealedValue)
    /// What somebody recorded of a person who has been erased: nobody can read it any more.
    case erased

    /// Whether nobody can say here what was recorded: it is no other value, and no reason for a conflict.
    public var isUnreadable: Bool {
        switch self {
        case .sealed, .erased: true
        default: false
        }
    }
}

/// A value as a body holds what is personal: encrypted, by a key that lies elsewhere.
public struct SealedValue: Hashable, Sendable {
    /// The person's row; `nil` for the row that the value lies in.
    public var subject: RowID?
    /// The ciphertext, with its tag.
    public var box: [UInt8]

    public init(about subject: RowID?, box: [UInt8]) {
        (self.subject, self.box) = (subject, box)
    }
}

extension Value: Hashable {
    public static func == (a: Self, b: Self) -> Bool {
        switch (a, b) {
        case (.null, .null): true
        case (.integer(let a), .integer(let b)): a == b
        case (.real(let a), .real(let b)): a.bitPattern == b.bitPattern
        case (.text(let a), .text(let b)): a.utf8.elementsEqual(b.utf8)
        case (.blob(let a), .blob(let b)): a == b
        case (.composite(let a), .composite(let b)): a == b
        case (.sealed(let a), .sealed(let b)): a == b
        case (.erased, .erased): true
        default: false
        }
    }

    public func hash(into hasher: inout Hasher) {
        switch self {
        case .null: hasher.combine(0)
        case .integer(let value): hasher.combine(value)
        case .real(let value): hasher.combine(value.bitPattern)
        case .text(let text):
            for byte in text.utf8 { hasher.combine(byte) }
        case .blob(let bytes): hasher.combine(bytes)
        case .composite(let parts): hasher.combine(parts)
        case .sealed(let value): hasher.combine(value)
        case .erased: hasher.combine(1)
        }
    }
}
