internal import Causality
internal import Merge
internal import SyncProtocol

/// The most bytes that parts of a changeset take: so that a writer knows before it writes whether
/// they fit. A head of CBOR has at most nine.

extension Operation {
    /// Without the value of a register.
    var wireLimit: Int {
        switch action {
        case .put, .retract: 18 + cell.element.count + over.count * Self.dotBytes
        case .resolve(_, let covers): 27 + (over.count + covers.count) * Self.dotBytes
        case .delete(let covers):
            covers.reduce(27 + over.count * Self.dotBytes) {
                $0 + Self.dotBytes + 9 + $1.cell.element.count
            }
        }
    }

    private static let dotBytes = 18

    /// The longest list of dots that the op holds.
    var dotCount: Int {
        switch action {
        case .put, .retract: over.count
        case .resolve(_, let covers): max(over.count, covers.count)
        case .delete(let covers): max(over.count, covers.count)
        }
    }

    /// What the op replaces and what it covers.
    var namedDots: [Dot] {
        switch action {
        case .put, .retract: over
        case .resolve(_, let covers): over + covers
        case .delete(let covers): over + covers.map(\.dot)
        }
    }
}

extension RowName {
    /// With the head of the row.
    var wireLimit: Int {
        switch self {
        case .new: 28
        case .whole: 44
        case .keyed(let key): key.reduce(36) { $0 + $1.wireLimit }
        }
    }
}

extension Value {
    var wireLimit: Int {
        switch self {
        case .text(let text): 9 + text.utf8.count
        case .blob(let bytes): 9 + bytes.count
        case .composite(let parts): parts.reduce(10) { $0 + $1.wireLimit }
        case .sealed(let value): 36 + value.box.count
        case .null, .integer, .real, .erased: 9
        }
    }
}

extension WireValue {
    var wireLimit: Int {
        switch self {
        case .plain(let value): value.wireLimit
        case .keyed(_, _, let key): key.reduce(27) { $0 + $1.wireLimit }
        case .row: 26
        case .time: 18
        }
    }
}
