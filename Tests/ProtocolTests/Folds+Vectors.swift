import Causality
import Merge
import SyncProtocol

/// A live op of a vector.
struct LiveDraft {
    var cell: CellKey
    var op: LiveOp

    /// - Parameter time: milliseconds, at counter 0.
    init(_ dot: Dot, at time: Int64, _ operation: Operation) {
        cell = operation.cell
        op = LiveOp(dot: dot, time: HybridTime(milliseconds: time), action: operation.action)
    }

    static func json(_ drafts: [LiveDraft]) -> JSON {
        .array(
            drafts.sorted { ($0.cell, $0.op.dot) < ($1.cell, $1.op.dot) }
                .map { .live($0.cell, $0.op) })
    }
}

enum FoldVectors {
    static func vectors() throws -> [Vector] {
        try latest() + resolved() + earliest() + others() + unreadable() + sets() + counters()
            + lives() + conflicts()
    }

    private static func put(_ dot: Dot, at time: Int64, _ value: Value) -> LiveDraft {
        LiveDraft(dot, at: time, .put(1, value))
    }

    private static func resolve(
        _ dot: Dot, at time: Int64, _ value: Value, covers: [Dot]
    ) -> LiveDraft {
        LiveDraft(dot, at: time, .resolve(1, value, covers: covers))
    }

    /// What is shown, and the flags, by hand.
    private static func register(
        _ name: String, policy: RegisterPolicy = .latest, shows dot: Dot?, conflict: Bool = false,
        within: Bool = false, covered: [Dot] = [], _ live: LiveDraft...
    ) throws -> Vector {
        let vector = try Vector(
            "a register: \(name)", given: ["live": LiveDraft.json(live)],
            when: ["register": .policy(policy)], by: .folds)
        guard vector.expect["shown"] == dot.map(JSON.dot) ?? .null,
            vector.expect["conflict"] == .bool(conflict),
            vector.expect["withinTolerance"] == .bool(within),
            vector.expect["covered"] == .dots(covered)
        else { throw VectorError("\(name): found \(vector.expect.document)") }
        return vector
    }

    private static func latest() throws -> [Vector] {
        let (x, y) = (Value.text("x"), Value.text("y"))
        return [
            try register("without ops", shows: nil),
            try register("one put", shows: a(1), put(a(1), at: 1, x)),
            try register("a put of null", shows: a(1), put(a(1), at: 1, .null)),
            try register(
                "two values: the later time", shows: a(1), conflict: true, put(a(1), at: 2, x),
                put(b(1), at: 1, y)),
            try register(
                "two values of one time: the greater stream", shows: b(1), conflict: true,
                put(a(9), at: 1, x), put(b(1), at: 1, y)),
            try register(
                "two values of one time and stream: the greater seq as a number", shows: a(10),
                conflict: true, put(a(9), at: 1, x), put(a(10), at: 1, y)),
            try register(
                "two equal values are no conflict", shows: b(1), put(a(1), at: 1, x),
                put(b(1), at: 2, x)),
            try register(
                "two equal and a third", shows: c(1), conflict: true, put(a(1), at: 1, x),
                put(b(1), at: 2, x), put(c(1), at: 3, y)),
            try register(
                "the winner has an equal that lost", shows: c(1), conflict: true,
                put(a(1), at: 1, x), put(b(1), at: 2, y), put(c(1), at: 3, x)),
            try register(
                "null beside a value is a conflict", shows: b(1), conflict: true,
                put(a(1), at: 1, x), put(b(1), at: 2, .null)),
            try register(
                "an integer is not the same real", shows: b(1), conflict: true,
                put(a(1), at: 1, .integer(1)), put(b(1), at: 2, .real(1))),
            try register(
                "zero is not minus zero", shows: b(1), conflict: true, put(a(1), at: 1, .real(0)),
                put(b(1), at: 2, .real(-0.0))),
            try register(
                "a NaN equals itself", shows: b(1), put(a(1), at: 1, .real(.nan)),
                put(b(1), at: 2, .real(.nan))),
            try register(
                "two NaNs of different bits", shows: b(1), conflict: true,
                put(a(1), at: 1, .real(.nan)),
                put(b(1), at: 2, .real(Double(bitPattern: 0x7ff8_0000_0000_0001)))),
            try register(
                "two spellings of a letter", shows: b(1), conflict: true,
                put(a(1), at: 1, .text("\u{e9}")), put(b(1), at: 2, .text("e\u{301}"))),
            try register(
                "equal composites", shows: b(1), put(a(1), at: 1, .composite([.real(1), .null])),
                put(b(1), at: 2, .composite([.real(1), .null]))),
            try register(
                "composites that differ in a part", shows: b(1), conflict: true,
                put(a(1), at: 1, .composite([.real(1), .null])),
                put(b(1), at: 2, .composite([.real(1), .real(2)]))),
            try register(
                "a retract alone", shows: nil, LiveDraft(a(1), at: 1, .retract(1, over: []))),
            try register(
                "a retract beside a put shows nothing of its own", shows: a(1),
                put(a(1), at: 1, x), LiveDraft(b(1), at: 9, .retract(1, over: []))),
        ]
    }

    private static func resolved() throws -> [Vector] {
        let (x, y, z) = (Value.text("x"), Value.text("y"), Value.text("z"))
        let (first, second) = (put(a(1), at: 1, x), put(b(1), at: 2, y))
        let both = [a(1), b(1)]
        return [
            try register(
                "a resolution covers both", shows: c(1), covered: both, first, second,
                resolve(c(1), at: 3, z, covers: both)),
            try register(
                "a resolution of an earlier time than what it covers", shows: c(1), covered: both,
                first, second, resolve(c(1), at: 0, x, covers: both)),
            try register(
                "a put that the resolution does not cover", shows: d(1), conflict: true,
                covered: both, first, second, resolve(c(1), at: 3, x, covers: both),
                put(d(1), at: 4, y)),
            try register(
                "a late put of an earlier time leaves the resolution shown", shows: c(1),
                conflict: true, covered: both, first, second,
                resolve(c(1), at: 3, x, covers: both), put(d(1), at: 1, y)),
            try register(
                "a late put that says what was decided", shows: d(1), covered: both, first,
                second, resolve(c(1), at: 3, x, covers: both), put(d(1), at: 4, x)),
            try register(
                "two equal resolutions", shows: d(1), covered: both, first, second,
                resolve(c(1), at: 3, x, covers: both), resolve(d(1), at: 3, x, covers: both)),
            try register(
                "two different resolutions", shows: d(1), conflict: true, covered: both, first,
                second, resolve(c(1), at: 3, x, covers: both),
                resolve(d(1), at: 3, y, covers: both)),
            try register(
                "two resolutions that cover one each", shows: d(1), conflict: true, covered: both,
                first, second, resolve(c(1), at: 3, x, covers: [a(1)]),
                resolve(d(1), at: 4, y, covers: [b(1)])),
            try register(
                "who sees one resolution has not seen what the other covers alone", shows: d(1),
                conflict: true, covered: both, first, second,
                resolve(c(1), at: 3, x, covers: [a(1)]), resolve(d(1), at: 4, y, covers: both)),
            try register(
                "a resolution that another names in its covers is a candidate", shows: d(1),
                conflict: true, first, resolve(c(1), at: 3, x, covers: []),
                resolve(d(1), at: 4, y, covers: [c(1)])),
            try register(
                "a resolution that covers nothing", shows: c(1), conflict: true, first,
                resolve(c(1), at: 3, y, covers: [])),
            try register(
                "covers that live no more mean nothing", shows: c(1), covered: [b(1)], second,
                resolve(c(1), at: 3, x, covers: [a(1), b(1), a(7)])),
            try register(
                "a resolution of null", shows: c(1), covered: both, first, second,
                resolve(c(1), at: 3, .null, covers: both)),
            try register(
                "an undone resolution is gone, and the undo shows nothing", shows: b(1),
                conflict: true, first, second, LiveDraft(c(2), at: 4, .retract(1, over: []))),
        ]
    }

    private static func earliest() throws -> [Vector] {
        let policy = RegisterPolicy.earliest(within: 600_000)
        let ten = Int64(1_764_064_800_000)
        func at(_ dot: Dot, _ time: Int64, minutes: Int64, more: Int64 = 0) -> LiveDraft {
            put(dot, at: time, .integer(ten + minutes * 60_000 + more))
        }
        return [
            try register("earliest: nothing", policy: policy, shows: nil),
            try register(
                "earliest: one value", policy: policy, shows: a(1), at(a(1), 1, minutes: 0)),
            try register(
                "earliest: one text", policy: policy, shows: a(1), put(a(1), at: 1, .text("x"))),
            try register(
                "earliest: five minutes apart", policy: policy, shows: a(1), conflict: true,
                within: true, at(a(1), 1, minutes: 0), at(b(1), 9, minutes: 5)),
            try register(
                "earliest: ten minutes apart is within", policy: policy, shows: a(1),
                conflict: true, within: true, at(a(1), 1, minutes: 0), at(b(1), 9, minutes: 10)),
            try register(
                "earliest: a millisecond more is not", policy: policy, shows: b(1),
                conflict: true, at(a(1), 1, minutes: 0), at(b(1), 9, minutes: 10, more: 1)),
            try register(
                "earliest: the least value, not the first written", policy: policy, shows: b(1),
                conflict: true, within: true, at(a(1), 1, minutes: 5), at(b(1), 9, minutes: 0)),
            try register(
                "earliest: of equals the latest", policy: policy, shows: b(1), conflict: true,
                within: true, at(a(1), 3, minutes: 0), at(b(1), 3, minutes: 0),
                at(c(1), 9, minutes: 5)),
            try register(
                "earliest: equal values", policy: policy, shows: b(1), at(a(1), 1, minutes: 0),
                at(b(1), 2, minutes: 0)),
            try register(
                "earliest: of three the outermost count", policy: policy, shows: c(1),
                conflict: true, at(a(1), 1, minutes: 0), at(b(1), 2, minutes: 6),
                at(c(1), 3, minutes: 12)),
            try register(
                "earliest: beside a null the latest", policy: policy, shows: b(1),
                conflict: true, at(a(1), 1, minutes: 0), put(b(1), at: 2, .null)),
            try register(
                "earliest: beside a real the latest", policy: policy, shows: b(1),
                conflict: true, at(a(1), 1, minutes: 0), put(b(1), at: 2, .real(Double(ten)))),
            try register(
                "earliest: a resolution is a candidate", policy: policy, shows: c(1),
                covered: [a(1), b(1)], at(a(1), 1, minutes: 0), at(b(1), 2, minutes: 30),
                resolve(c(1), at: 3, .integer(ten + 1_800_000), covers: [a(1), b(1)])),
            try register(
                "earliest: a resolution and a late value within tolerance", policy: policy,
                shows: d(1), conflict: true, within: true, covered: [a(1)],
                at(a(1), 1, minutes: 30),
                resolve(c(1), at: 3, .integer(ten + 60_000), covers: [a(1)]),
                at(d(1), 2, minutes: 0)),
            try register(
                "earliest: a difference over 63 bits", policy: .earliest(within: .max),
                shows: b(1), conflict: true, put(a(1), at: 1, .integer(.min)),
                put(b(1), at: 2, .integer(0))),
            try register(
                "earliest: a difference of 2^63 - 1", policy: .earliest(within: .max),
                shows: a(1), conflict: true, within: true, put(a(1), at: 1, .integer(.min)),
                put(b(1), at: 2, .integer(-1))),
            try register(
                "earliest: a tolerance of nothing", policy: .earliest(within: 0), shows: b(1),
                conflict: true, at(a(1), 1, minutes: 0), at(b(1), 2, minutes: 0, more: 1)),
        ]
    }

    private static func others() throws -> [Vector] {
        [
            try register(
                "times differ in their counters only", shows: a(1), conflict: true,
                LiveDraft(a(1), counter: 2, .put(1, .integer(1))),
                LiveDraft(b(1), counter: 1, .put(1, .integer(2)))),
            try register(
                "a time of 48 bits is greater than one of ten years ahead", shows: a(1),
                conflict: true, put(a(1), at: 1 << 48 - 1, .integer(1)),
                put(b(1), at: 2_079_360_000_000, .integer(2))),
        ]
    }

    /// What was erased, or is sealed and has no key, clashes with nothing.
    private static func unreadable() throws -> [Vector] {
        let (x, y) = (Value.text("x"), Value.text("y"))
        let sealed = Value.sealed(SealedValue(about: nil, box: BodyVectors.box))
        let other = Value.sealed(
            SealedValue(about: Fixed.otherRow, box: BodyVectors.box.reversed()))
        let policy = RegisterPolicy.earliest(within: 600_000)
        return [
            try register("an erased value", shows: a(1), put(a(1), at: 1, .erased)),
            try register(
                "two erased values", shows: b(1), put(a(1), at: 1, .erased),
                put(b(1), at: 2, .erased)),
            try register(
                "an erased value beside an earlier one", shows: a(1), put(a(1), at: 1, x),
                put(b(1), at: 2, .erased)),
            try register(
                "an erased value beside a later one", shows: b(1), put(a(1), at: 1, .erased),
                put(b(1), at: 2, x)),
            try register(
                "an erased value beside a null", shows: b(1), put(a(1), at: 1, .erased),
                put(b(1), at: 2, .null)),
            try register(
                "two sealed values that differ", shows: b(1), put(a(1), at: 1, sealed),
                put(b(1), at: 2, other)),
            try register(
                "a sealed value beside one that was erased", shows: b(1), put(a(1), at: 1, .erased),
                put(b(1), at: 2, sealed)),
            try register(
                "two values that clash, and an erased one", shows: b(1), conflict: true,
                put(a(1), at: 1, x), put(b(1), at: 2, y), put(c(1), at: 3, .erased)),
            try register(
                "two equal values, and a sealed one", shows: c(1), put(a(1), at: 1, x),
                put(b(1), at: 2, sealed), put(c(1), at: 3, x)),
            try register(
                "an erased resolution covers both", shows: c(1), covered: [a(1), b(1)],
                put(a(1), at: 1, x), put(b(1), at: 2, y),
                resolve(c(1), at: 3, .erased, covers: [a(1), b(1)])),
            try register(
                "earliest: beside an erased value the latest", policy: policy, shows: c(1),
                conflict: true, put(a(1), at: 1, .integer(1)), put(b(1), at: 2, .erased),
                put(c(1), at: 3, .integer(2))),
        ]
    }
}

extension LiveDraft {
    /// In the first millisecond.
    init(_ dot: Dot, counter: UInt64, _ operation: Operation) {
        self.init(dot, at: 0, operation)
        op.time = HybridTime(rawValue: counter)
    }
}
