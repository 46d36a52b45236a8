import Causality
import Merge
import SyncProtocol

/// Dots of three streams, in the order of their ids.
func a(_ seq: UInt64) -> Dot { Dot(Fixed.stream(1), seq) }
func b(_ seq: UInt64) -> Dot { Dot(Fixed.stream(2), seq) }
func c(_ seq: UInt64) -> Dot { Dot(Fixed.stream(3), seq) }
func d(_ seq: UInt64) -> Dot { Dot(Fixed.stream(4), seq) }

extension Operation {
    static func put(_ column: UInt32, _ value: Value, over: [Dot] = []) -> Operation {
        Operation(CellKey(column), .put(value), over: over)
    }

    static func resolve(
        _ column: UInt32, _ value: Value, over: [Dot] = [], covers: [Dot]
    ) -> Operation {
        Operation(CellKey(column), .resolve(value, covers: covers), over: over)
    }

    static func retract(_ column: UInt32, over: [Dot]) -> Operation {
        Operation(CellKey(column), .retract, over: over)
    }

    static func add(_ column: UInt32, _ element: Value, over: [Dot] = []) -> Operation {
        Operation(CellKey(column, element: element.canonicalBytes), .put(.null), over: over)
    }

    static func remove(_ column: UInt32, _ element: Value, over: [Dot]) -> Operation {
        Operation(CellKey(column, element: element.canonicalBytes), .retract, over: over)
    }

    static func delete(over: [Dot] = [], _ covers: (CellKey, Dot)...) -> Operation {
        Operation(.life, .delete(covers: covers.map { CellDot($0.0, $0.1) }), over: over)
    }

    static func count(
        _ column: UInt32, _ increments: Int64, _ decrements: Int64, over: [Dot] = []
    ) -> Operation {
        put(
            column, Counter.entryValue(increments: increments, decrements: decrements), over: over)
    }
}

/// A changeset of a vector.
struct ChangesetDraft {
    var dot: Dot
    var time: HybridTime
    var after: [Dot]
    var rows: [RowChange]

    /// One row. The time is that many milliseconds.
    init(_ dot: Dot, at time: Int64, after: [Dot] = [], _ operations: Operation...) {
        self.init(
            dot, at: time, after: after,
            rows: [RowChange(table: 1, row: Fixed.row, operations: operations)])
    }

    init(_ dot: Dot, at time: Int64, after: [Dot] = [], rows: [RowChange]) {
        self.dot = dot
        self.time = HybridTime(milliseconds: time)
        self.after = after
        self.rows = rows
    }

    var json: JSON {
        [
            "dot": .dot(dot), "time": .time(time), "after": .dots(after),
            "rows": .array(
                rows.map { row in
                    [
                        "table": .number(row.table), "row": .row(row.row),
                        "ops": .array(row.operations.map(JSON.operation)),
                    ]
                }),
        ]
    }
}

enum MergeVectors {
    static func vectors() throws -> [Vector] {
        try registers() + sets() + counters() + lives() + resolutions() + hashes()
    }

    /// - Parameters:
    ///   - orders: how many causal orders there are, by hand.
    ///   - live: the dots of the live ops, by hand, one for each op.
    static func vector(
        _ name: String, orders: Int, live: [Dot], _ changesets: ChangesetDraft...
    ) throws -> Vector {
        let vector = try Vector(
            name, given: ["changesets": .array(changesets.map(\.json))], when: "deliver",
            by: .merge)
        let found = try vector.expect.items("live").map { try $0.member("dot").dot() }
        guard vector.expect["orders"] == .number(orders), found.sorted() == live.sorted() else {
            throw VectorError("\(name): found \(vector.expect.document)")
        }
        return vector
    }

    private static func put(
        _ dot: Dot, at time: Int64, _ text: String, over: [Dot] = [], after: [Dot]? = nil
    ) -> ChangesetDraft {
        ChangesetDraft(dot, at: time, after: after ?? over, .put(1, .text(text), over: over))
    }

    private static func registers() throws -> [Vector] {
        [
            try vector("nothing", orders: 1, live: []),
            try vector("one put", orders: 1, live: [a(1)], put(a(1), at: 1, "a")),
            try vector(
                "a put replaces its own stream's", orders: 1, live: [a(2)], put(a(1), at: 1, "a"),
                put(a(2), at: 2, "b", over: [a(1)])),
            try vector(
                "a put that names nothing stands beside its own stream's", orders: 1,
                live: [a(1), a(2)], put(a(1), at: 1, "a"), put(a(2), at: 2, "b")),
            try vector(
                "two puts apart", orders: 2, live: [a(1), b(1)], put(a(1), at: 1, "a"),
                put(b(1), at: 2, "b")),
            try vector(
                "two equal puts apart", orders: 2, live: [a(1), b(1)], put(a(1), at: 1, "a"),
                put(b(1), at: 2, "a")),
            try vector(
                "three puts apart", orders: 6, live: [a(1), b(1), c(1)], put(a(1), at: 1, "a"),
                put(b(1), at: 1, "b"), put(c(1), at: 1, "c")),
            try vector(
                "four puts apart", orders: 24, live: [a(1), b(1), c(1), d(1)],
                put(a(1), at: 4, "a"), put(b(1), at: 3, "b"), put(c(1), at: 2, "c"),
                put(d(1), at: 1, "d")),
            try vector(
                "a put that saw one of two replaces that one", orders: 3, live: [b(1), c(1)],
                put(a(1), at: 1, "a"), put(b(1), at: 2, "b"),
                put(c(1), at: 3, "c", over: [a(1)])),
            try vector(
                "a put that saw both replaces both", orders: 2, live: [c(1)],
                put(a(1), at: 1, "a"), put(b(1), at: 2, "b"),
                put(c(1), at: 3, "c", over: [a(1), b(1)])),
            try vector(
                "two replace one apart", orders: 2, live: [b(1), c(1)], put(a(1), at: 1, "a"),
                put(b(1), at: 2, "b", over: [a(1)]), put(c(1), at: 2, "c", over: [a(1)])),
            try vector(
                "a diamond", orders: 2, live: [a(2)], put(a(1), at: 1, "a"),
                put(b(1), at: 2, "b", over: [a(1)]), put(c(1), at: 3, "c", over: [a(1)]),
                put(a(2), at: 4, "d", over: [b(1), c(1)])),
            try vector(
                "a later put of an earlier time replaces", orders: 1, live: [b(1)],
                put(a(1), at: 9_000, "a"), put(b(1), at: 1, "b", over: [a(1)])),
            try vector(
                "what is held and not shown is not replaced", orders: 1, live: [a(1), b(1)],
                put(a(1), at: 1, "a"), put(b(1), at: 2, "b", after: [a(1)])),
            try vector(
                "two streams of three", orders: 20, live: [a(3), b(3)], put(a(1), at: 1, "a"),
                put(a(2), at: 2, "b", over: [a(1)]), put(a(3), at: 3, "c", over: [a(2)]),
                put(b(1), at: 1, "x"), put(b(2), at: 2, "y", over: [b(1)]),
                put(b(3), at: 3, "z", over: [b(2)])),
            try vector(
                "three replace in a ring of overlaps", orders: 48, live: [a(2), b(2), c(2)],
                put(a(1), at: 1, "a"), put(b(1), at: 1, "b"), put(c(1), at: 1, "c"),
                put(a(2), at: 2, "ab", over: [a(1), b(1)]),
                put(b(2), at: 2, "bc", over: [b(1), c(1)]),
                put(c(2), at: 2, "ca", over: [a(1), c(1)])),
            try vector(
                "an over of a dot that wrote another cell", orders: 1, live: [a(1), b(1)],
                put(a(1), at: 1, "a"),
                ChangesetDraft(b(1), at: 2, after: [a(1)], .put(2, .text("b"), over: [a(1)]))),
            try vector(
                "dots in any order and twice", orders: 2, live: [c(1)], put(a(1), at: 1, "a"),
                put(b(1), at: 2, "b"), put(c(1), at: 3, "c", over: [b(1), a(1), b(1)])),
        ]
    }

    private static func sets() throws -> [Vector] {
        let t = Value.text("t")
        return [
            try vector(
                "an element added twice apart", orders: 2, live: [a(1), b(1)],
                ChangesetDraft(a(1), at: 1, .add(4, t)), ChangesetDraft(b(1), at: 1, .add(4, t))),
            try vector(
                "a removal beside an add that it had not seen", orders: 3, live: [b(1), c(1)],
                ChangesetDraft(a(1), at: 1, .add(4, t)), ChangesetDraft(b(1), at: 1, .add(4, t)),
                ChangesetDraft(c(1), at: 2, after: [a(1)], .remove(4, t, over: [a(1)]))),
            try vector(
                "a removal of all that was seen", orders: 2, live: [c(1)],
                ChangesetDraft(a(1), at: 1, .add(4, t)), ChangesetDraft(b(1), at: 1, .add(4, t)),
                ChangesetDraft(
                    c(1), at: 2, after: [a(1), b(1)], .remove(4, t, over: [a(1), b(1)]))),
            try vector(
                "an element comes back", orders: 1, live: [b(1)],
                ChangesetDraft(a(1), at: 1, .add(4, t)),
                ChangesetDraft(a(2), at: 2, .remove(4, t, over: [a(1)])),
                ChangesetDraft(b(1), at: 3, after: [a(2)], .add(4, t, over: [a(2)]))),
            try vector(
                "two removals apart", orders: 2, live: [b(1), c(1)],
                ChangesetDraft(a(1), at: 1, .add(4, t)),
                ChangesetDraft(b(1), at: 2, after: [a(1)], .remove(4, t, over: [a(1)])),
                ChangesetDraft(c(1), at: 2, after: [a(1)], .remove(4, t, over: [a(1)]))),
            try vector(
                "elements of one changeset, sorted by their bytes", orders: 1,
                live: [a(1), a(1), a(1), a(1), a(1)],
                ChangesetDraft(
                    a(1), at: 1, .add(4, .text("b")), .add(4, .text("aa")), .add(4, .integer(1)),
                    .add(4, .real(1)), .add(4, .blob([1])))),
        ]
    }

    private static func counters() throws -> [Vector] {
        [
            try vector(
                "two count apart", orders: 2, live: [a(1), b(1)],
                ChangesetDraft(a(1), at: 1, .count(5, 42, 0)),
                ChangesetDraft(b(1), at: 1, .count(5, 37, 2))),
            try vector(
                "an entry replaces its own stream's", orders: 3, live: [a(2), b(1)],
                ChangesetDraft(a(1), at: 1, .count(5, 1, 0)),
                ChangesetDraft(a(2), at: 2, .count(5, 2, 0, over: [a(1)])),
                ChangesetDraft(b(1), at: 1, .count(5, 7, 7))),
            try vector(
                "an entry leaves those that it saw", orders: 1, live: [a(1), b(1)],
                ChangesetDraft(a(1), at: 1, .count(5, 1, 0)),
                ChangesetDraft(b(1), at: 2, after: [a(1)], .count(5, 3, 0))),
            try vector(
                "three streams of two", orders: 90, live: [a(2), b(2), c(2)],
                ChangesetDraft(a(1), at: 1, .count(5, 1, 0)),
                ChangesetDraft(a(2), at: 2, .count(5, 1, 1, over: [a(1)])),
                ChangesetDraft(b(1), at: 1, .count(5, 10, 0)),
                ChangesetDraft(b(2), at: 2, .count(5, 20, 0, over: [b(1)])),
                ChangesetDraft(c(1), at: 1, .count(5, 0, 3)),
                ChangesetDraft(c(2), at: 2, .count(5, 0, 4, over: [c(1)]))),
        ]
    }

    private static func lives() throws -> [Vector] {
        let key = CellKey(1)
        return [
            try vector(
                "a delete", orders: 1, live: [a(1), b(1)], put(a(1), at: 1, "a"),
                ChangesetDraft(b(1), at: 2, after: [a(1)], .delete((key, a(1))))),
            try vector(
                "a delete beside an edit", orders: 2, live: [b(1), c(1)], put(a(1), at: 1, "a"),
                ChangesetDraft(b(1), at: 2, after: [a(1)], .delete((key, a(1)))),
                put(c(1), at: 2, "c", over: [a(1)])),
            try vector(
                "two deletes apart", orders: 2, live: [a(1), b(1), c(1)], put(a(1), at: 1, "a"),
                ChangesetDraft(b(1), at: 2, after: [a(1)], .delete((key, a(1)))),
                ChangesetDraft(c(1), at: 2, after: [a(1)], .delete((key, a(1))))),
            try vector(
                "a delete replaces a delete", orders: 1, live: [a(1), c(1)],
                put(a(1), at: 1, "a"),
                ChangesetDraft(b(1), at: 2, after: [a(1)], .delete((key, a(1)))),
                ChangesetDraft(c(1), at: 3, after: [b(1)], .delete(over: [b(1)], (key, a(1))))),
            try vector(
                "a restore", orders: 1, live: [a(1), c(1)], put(a(1), at: 1, "a"),
                ChangesetDraft(b(1), at: 2, after: [a(1)], .delete((key, a(1)))),
                ChangesetDraft(c(1), at: 3, after: [b(1)], .retract(0, over: [b(1)]))),
            try vector(
                "a restore beside another delete", orders: 2, live: [a(1), a(2), c(1)],
                put(a(1), at: 1, "a"),
                ChangesetDraft(b(1), at: 2, after: [a(1)], .delete((key, a(1)))),
                ChangesetDraft(c(1), at: 3, after: [b(1)], .retract(0, over: [b(1)])),
                ChangesetDraft(a(2), at: 3, after: [b(1)], .delete(over: [b(1)], (key, a(1))))),
            try vector(
                "a write to a hidden row", orders: 1, live: [c(1), c(1)], put(a(1), at: 1, "a"),
                ChangesetDraft(b(1), at: 2, after: [a(1)], .delete((key, a(1)))),
                ChangesetDraft(
                    c(1), at: 3, after: [b(1)], .retract(0, over: [b(1)]),
                    .put(1, .text("c"), over: [a(1)]))),
            try vector(
                "covers replace nothing", orders: 1, live: [a(1), a(1), b(1)],
                ChangesetDraft(a(1), at: 1, .put(1, .text("a")), .add(4, .text("t"))),
                ChangesetDraft(
                    b(1), at: 2, after: [a(1)],
                    .delete(
                        (key, a(1)), (CellKey(4, element: Value.text("t").canonicalBytes), a(1))))),
        ]
    }

    private static func resolutions() throws -> [Vector] {
        let quarrel = [put(a(1), at: 1, "a"), put(b(1), at: 2, "b")]
        func resolution(
            _ dot: Dot, at time: Int64, _ text: String, over: [Dot] = [], after: [Dot]? = nil
        ) -> ChangesetDraft {
            ChangesetDraft(
                dot, at: time, after: after ?? over + [a(1), b(1)],
                .resolve(1, .text(text), over: over, covers: [a(1), b(1)]))
        }
        let settled = resolution(c(1), at: 3, "a")
        return [
            try vector(
                "a resolution", orders: 2, live: [a(1), b(1), c(1)], quarrel[0], quarrel[1],
                settled),
            try vector(
                "two resolutions apart", orders: 4, live: [a(1), b(1), c(1), d(1)], quarrel[0],
                quarrel[1], settled, resolution(d(1), at: 3, "b")),
            try vector(
                "a resolution replaces a resolution", orders: 2, live: [a(1), b(1), a(2)],
                quarrel[0], quarrel[1], settled, resolution(a(2), at: 4, "b", over: [c(1)])),
            try vector(
                "an undo", orders: 2, live: [a(1), b(1), a(2)], quarrel[0], quarrel[1], settled,
                ChangesetDraft(a(2), at: 4, after: [c(1)], .retract(1, over: [c(1)]))),
            try vector(
                "an undo of an undo", orders: 2, live: [a(1), b(1), b(2)], quarrel[0], quarrel[1],
                settled, ChangesetDraft(a(2), at: 4, after: [c(1)], .retract(1, over: [c(1)])),
                resolution(b(2), at: 5, "a", over: [a(2)])),
            try vector(
                "an edit of a resolved cell beside an undo", orders: 4, live: [a(2), b(2)],
                quarrel[0], quarrel[1], settled,
                put(a(2), at: 4, "c", over: [a(1), b(1), c(1)]),
                ChangesetDraft(b(2), at: 4, after: [c(1)], .retract(1, over: [c(1)]))),
            try vector(
                "a late sibling", orders: 8, live: [a(1), b(1), c(1), d(1)], quarrel[0],
                quarrel[1], settled, put(d(1), at: 1, "late")),
        ]
    }

    private static func hashes() throws -> [Vector] {
        let other = RowID(Identifier(high: .max, low: 0))
        let text = { (table: UInt32, row: RowID, text: String) in
            RowChange(table: table, row: row, operations: [.put(1, .text(text))])
        }
        let exact = ChangesetDraft(
            a(1), at: 1, .put(1, .real(-0.0)),
            .put(2, .real(Double(bitPattern: 0x7ff4_0000_0000_0000))),
            .put(3, .text("e\u{301}")), .put(4, .text("\u{e9}")), .put(5, .text("\0")),
            .put(6, .integer(.min)), .put(7, .composite([.real(0.5), .null])), .put(8, .blob([])),
            .put(70_000, .null))
        let hidden = ChangesetDraft(
            a(1), at: 1, .put(1, .sealed(SealedValue(about: nil, box: BodyVectors.box))),
            .put(2, .sealed(SealedValue(about: other, box: BodyVectors.box))), .put(3, .erased),
            .resolve(4, .erased, covers: []))
        return [
            try vector(
                "what is sealed or erased", orders: 1, live: Array(repeating: a(1), count: 4),
                hidden),
            try vector(
                "values of every kind", orders: 1, live: Array(repeating: a(1), count: 9), exact),
            try vector(
                "rows of several tables, whose order is not that of writing", orders: 2,
                live: [a(1), a(1), a(1), b(1)],
                ChangesetDraft(
                    a(1), at: 1,
                    rows: [
                        text(300, Fixed.row, "a"), text(2, other, "b"), text(2, Fixed.row, "c"),
                    ]),
                ChangesetDraft(b(1), at: 2, rows: [text(2, Fixed.row, "d")])),
            try vector(
                "two row items of one row", orders: 1, live: [a(1), a(1)],
                ChangesetDraft(
                    a(1), at: 1,
                    rows: [
                        text(1, Fixed.row, "a"),
                        RowChange(table: 1, row: Fixed.row, operations: [.put(2, .text("b"))]),
                    ])),
            try vector(
                "streams are sorted as bytes, seqs as numbers", orders: 286,
                live: (1...10).map { a(UInt64($0)) } + (1...3).map { b(UInt64($0)) },
                (1...10).map { put(a(UInt64($0)), at: Int64($0), "a") }
                    + (1...3).map { put(b(UInt64($0)), at: 1, "b") }),
            try vector(
                "a time with all its bits", orders: 1, live: [a(1)],
                put(a(1), at: 1 << 48 - 1, "a")),
            try vector(
                "an element in column 0 is no delete", orders: 1, live: [a(1)],
                ChangesetDraft(a(1), at: 1, .add(0, .text("t")))),
        ]
    }

    private static func vector(
        _ name: String, orders: Int, live: [Dot], _ changesets: [ChangesetDraft]
    ) throws -> Vector {
        let vector = try Vector(
            name, given: ["changesets": .array(changesets.map(\.json))], when: "deliver",
            by: .merge)
        guard vector.expect["orders"] == .number(orders),
            try vector.expect.items("live").count == live.count
        else { throw VectorError("\(name): found \(vector.expect.document)") }
        return vector
    }
}
