import Causality
import Merge
import SyncProtocol

/// Sets, counters, the life of a row, and what is open in it.
extension FoldVectors {
    private static func vector(
        _ name: String, _ when: JSON, _ expect: JSON, _ live: [LiveDraft]
    ) throws -> Vector {
        try Vector(
            name, given: ["live": LiveDraft.json(live)], when: when, expect: expect, by: .folds)
    }

    static func sets() throws -> [Vector] {
        func set(_ name: String, _ elements: [JSON], _ live: LiveDraft...) throws -> Vector {
            try vector("a set: \(name)", ["set": 4], ["elements": .array(elements)], live)
        }
        let t = Value.text("t")
        return [
            try set("without ops", []),
            try set("one element", ["6174"], LiveDraft(a(1), at: 1, .add(4, t))),
            try set(
                "an element added twice", ["6174"], LiveDraft(a(1), at: 1, .add(4, t)),
                LiveDraft(b(1), at: 1, .add(4, t))),
            try set("an element that is gone", [], LiveDraft(a(2), at: 2, .remove(4, t, over: []))),
            try set(
                "an add beside a removal", ["6174"],
                LiveDraft(a(2), at: 9, .remove(4, t, over: [])),
                LiveDraft(b(1), at: 1, .add(4, t))),
            try set(
                "sorted by bytes: numbers, blobs, texts by length first",
                ["01", "20", "4101", "6162", "626161", "f93c00"],
                LiveDraft(a(1), at: 1, .add(4, .text("b"))),
                LiveDraft(a(2), at: 1, .add(4, .text("aa"))),
                LiveDraft(a(3), at: 1, .add(4, .integer(1))),
                LiveDraft(a(4), at: 1, .add(4, .real(1))),
                LiveDraft(a(5), at: 1, .add(4, .integer(-1))),
                LiveDraft(a(6), at: 1, .add(4, .blob([1])))),
            try set(
                "a put without an element is in no set", ["6174"],
                LiveDraft(a(1), at: 1, .add(4, t)), LiveDraft(a(2), at: 1, .put(4, .null))),
            try set(
                "a resolution of an element is not in", [],
                LiveDraft(
                    a(1), at: 1,
                    Operation(
                        CellKey(4, element: t.canonicalBytes), .resolve(.null, covers: [])))),
            try set(
                "another column is another set", ["6174"], LiveDraft(a(1), at: 1, .add(4, t)),
                LiveDraft(a(2), at: 1, .add(5, .text("u")))),
        ]
    }

    static func counters() throws -> [Vector] {
        func counter(_ name: String, _ total: JSON, _ live: LiveDraft...) throws -> Vector {
            try vector("a counter: \(name)", ["counter": 5], ["total": total], live)
        }
        return [
            try counter("without ops", nil),
            try counter("one entry", 42, LiveDraft(a(1), at: 1, .count(5, 42, 0))),
            try counter(
                "two doors", 79, LiveDraft(a(1), at: 1, .count(5, 42, 0)),
                LiveDraft(b(1), at: 1, .count(5, 37, 0))),
            try counter(
                "more taken away than added", -3, LiveDraft(a(1), at: 1, .count(5, 1, 4))),
            try counter("an entry of nothing", 0, LiveDraft(a(1), at: 1, .count(5, 0, 0))),
            try counter(
                "beyond 63 bits shows the bound", "9223372036854775807",
                LiveDraft(a(1), at: 1, .count(5, .max, 0)), LiveDraft(b(1), at: 1, .count(5, 1, 0))),
            try counter(
                "below -2^63 shows the bound", "-9223372036854775808",
                LiveDraft(a(1), at: 1, .count(5, 0, .max)),
                LiveDraft(b(1), at: 1, .count(5, 0, .max))),
            try counter(
                "sums are exact before they are bounded", 5,
                LiveDraft(a(1), at: 1, .count(5, .max, 0)),
                LiveDraft(b(1), at: 1, .count(5, .max, 0)),
                LiveDraft(c(1), at: 1, .count(5, 5, .max)),
                LiveDraft(d(1), at: 1, .count(5, 0, .max))),
            try counter(
                "a negative part counts as nothing", 7,
                LiveDraft(a(1), at: 1, .count(5, -1, 0)), LiveDraft(b(1), at: 1, .count(5, 7, 0)),
                LiveDraft(c(1), at: 1, .count(5, 100, -1))),
            try counter(
                "an entry of three parts counts as nothing", nil,
                LiveDraft(
                    a(1), at: 1, .put(5, .composite([.integer(1), .integer(2), .integer(3)])))),
            try counter(
                "an entry of a real counts as nothing", nil,
                LiveDraft(a(1), at: 1, .put(5, .composite([.real(1), .integer(0)])))),
            try counter(
                "an integer counts as nothing", 4, LiveDraft(a(1), at: 1, .put(5, .integer(9))),
                LiveDraft(b(1), at: 1, .count(5, 4, 0))),
            try counter(
                "a resolution counts as nothing", 4,
                LiveDraft(
                    a(1), at: 1,
                    .resolve(5, Counter.entryValue(increments: 9, decrements: 0), covers: [])),
                LiveDraft(b(1), at: 1, .count(5, 4, 0))),
        ]
    }

    static func lives() throws -> [Vector] {
        func life(
            _ name: String, hidden: Bool = false, conflict: Bool = false, deletes: [Dot] = [],
            uncovered: [JSON] = [], _ live: LiveDraft...
        ) throws -> Vector {
            try vector(
                "a life: \(name)", "life",
                [
                    "hidden": .bool(hidden), "conflict": .bool(conflict),
                    "deletes": .dots(deletes), "uncovered": .array(uncovered),
                ], live)
        }
        func place(_ column: Int64, _ dot: Dot) -> JSON {
            ["column": .integer(column), "dot": .dot(dot)]
        }
        let one = LiveDraft(a(1), at: 1, .put(1, .text("a")))
        let two = LiveDraft(b(1), at: 1, .put(2, .text("b")))
        let element = CellKey(4, element: Value.text("t").canonicalBytes)
        return [
            try life("nothing lives"), try life("no delete", one, two),
            try life(
                "a delete that covers all", hidden: true, deletes: [c(1)], one, two,
                LiveDraft(c(1), at: 2, .delete((CellKey(1), a(1)), (CellKey(2), b(1))))),
            try life(
                "a delete that misses one", conflict: true, deletes: [c(1)],
                uncovered: [place(2, b(1))], one, two,
                LiveDraft(c(1), at: 2, .delete((CellKey(1), a(1))))),
            try life(
                "two deletes cover all together", hidden: true, deletes: [c(1), d(1)], one, two,
                LiveDraft(c(1), at: 2, .delete((CellKey(1), a(1)))),
                LiveDraft(d(1), at: 2, .delete((CellKey(2), b(1))))),
            try life(
                "a delete that covers nothing of nothing", hidden: true, deletes: [c(1)],
                LiveDraft(c(1), at: 2, .delete())),
            try life(
                "the same dot in another column is not covered", conflict: true, deletes: [c(1)],
                uncovered: [place(2, a(1))], one, LiveDraft(a(1), at: 1, .put(2, .text("a"))),
                LiveDraft(c(1), at: 2, .delete((CellKey(1), a(1))))),
            try life(
                "the same dot of another element is not covered", conflict: true,
                deletes: [c(1)],
                uncovered: [["column": 4, "element": "6175", "dot": .dot(a(1))]],
                LiveDraft(a(1), at: 1, .add(4, .text("t"))),
                LiveDraft(a(1), at: 1, .add(4, .text("u"))),
                LiveDraft(c(1), at: 2, .delete((element, a(1))))),
            try life(
                "a restore that the delete has not seen", conflict: true, deletes: [c(1)],
                uncovered: [place(0, b(1))], one,
                LiveDraft(b(1), at: 3, .retract(0, over: [])),
                LiveDraft(c(1), at: 2, .delete((CellKey(1), a(1))))),
            try life(
                "a restore that the delete covers", hidden: true, deletes: [c(1)], one,
                LiveDraft(b(1), at: 1, .retract(0, over: [])),
                LiveDraft(c(1), at: 2, .delete((.life, b(1)), (CellKey(1), a(1))))),
            try life(
                "an undo that the delete has not seen", conflict: true, deletes: [c(1)],
                uncovered: [place(1, b(1))], one, LiveDraft(b(1), at: 3, .retract(1, over: [])),
                LiveDraft(c(1), at: 2, .delete((CellKey(1), a(1))))),
            try life(
                "what a resolution covers lives too", conflict: true, deletes: [d(1)],
                uncovered: [place(1, a(1))], one,
                LiveDraft(b(1), at: 2, .resolve(1, .text("r"), covers: [a(1)])),
                LiveDraft(d(1), at: 3, .delete((CellKey(1), b(1))))),
            try life(
                "deletes do not need to be covered", hidden: true, deletes: [c(1), d(1)], one,
                LiveDraft(c(1), at: 2, .delete((CellKey(1), a(1)))),
                LiveDraft(d(1), at: 2, .delete((CellKey(1), a(1))))),
            try life("a restore alone", LiveDraft(b(1), at: 3, .retract(0, over: [])), one),
        ]
    }

    static func conflicts() throws -> [Vector] {
        /// - Parameter columns: those with an open conflict, by hand.
        func open(_ name: String, _ columns: [JSON], _ live: LiveDraft...) throws -> Vector {
            let forms: JSON = [
                ["column": 1, "shape": "register", "policy": "latest"],
                ["column": 2, "shape": "register", "policy": ["earliest": 600_000]],
                ["column": 4, "shape": "set"], ["column": 5, "shape": "counter"],
            ]
            let vector = try Vector(
                "open: \(name)",
                given: [
                    "table": 6, "row": .row(Fixed.row), "live": LiveDraft.json(live),
                ], when: ["conflicts": forms], by: .folds)
            guard try vector.expect.items("open").map({ try $0.member("column") }) == columns
            else { throw VectorError("\(name): found \(vector.expect.document)") }
            return vector
        }
        let (one, other) = (
            LiveDraft(a(1), at: 1, .put(1, .text("a"))), LiveDraft(b(1), at: 2, .put(1, .text("b")))
        )
        let early = LiveDraft(a(1), at: 1, .put(2, .integer(0)))
        let late = LiveDraft(b(1), at: 2, .put(2, .integer(60_000)))
        return [
            try open("nothing", [], one), try open("two values", [1], one, other),
            try open("two columns of the same changesets", [1, 2], one, other, early, late),
            try open("within tolerance is open too", [2], early, late),
            try open(
                "settled", [], one, other,
                LiveDraft(c(1), at: 3, .resolve(1, .text("a"), covers: [a(1), b(1)]))),
            try open(
                "an erased value beside two that clash", [1], one, other,
                LiveDraft(c(1), at: 3, .put(1, .erased))),
            try open(
                "an erased value beside one", [], one, LiveDraft(c(1), at: 3, .put(1, .erased))),
            try open(
                "sets and counters never", [], LiveDraft(a(1), at: 1, .add(4, .text("t"))),
                LiveDraft(b(1), at: 1, .remove(4, .text("t"), over: [])),
                LiveDraft(a(1), at: 1, .count(5, 1, 0)), LiveDraft(b(1), at: 1, .count(5, 2, 0))),
            try open(
                "an unknown column", [], LiveDraft(a(1), at: 1, .put(9, .text("a"))),
                LiveDraft(b(1), at: 1, .put(9, .text("b")))),
            try open(
                "a hidden row has none", [], one, other,
                LiveDraft(c(1), at: 3, .delete((CellKey(1), a(1)), (CellKey(1), b(1))))),
            try open(
                "a delete beside an edit", [0], one, LiveDraft(c(1), at: 3, .delete())),
            try open(
                "a delete beside two values: both", [0, 1], one, other,
                LiveDraft(c(1), at: 3, .delete((CellKey(1), a(1))))),
            try open(
                "one changeset's dot stands for each uncovered cell", [0], one,
                LiveDraft(a(1), at: 1, .put(2, .integer(1))), LiveDraft(c(1), at: 3, .delete())),
            try open(
                "an unknown column counts as life", [0],
                LiveDraft(a(1), at: 1, .put(9, .text("a"))), LiveDraft(c(1), at: 3, .delete())),
        ]
    }
}
