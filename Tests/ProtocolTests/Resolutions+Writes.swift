import Causality
import Merge
import SyncProtocol

/// What an author writes, one changeset at a time.
enum WriteVectors {
    private static let t = Value.text("t")
    private static let one = LiveDraft(a(1), at: 1, .put(1, .text("a")))
    private static let other = LiveDraft(b(1), at: 2, .put(1, .text("b")))
    private static let both = [a(1), b(1)]
    private static let settled = LiveDraft(
        c(1), at: 3, .resolve(1, .text("a"), covers: [a(1), b(1)]))

    static func vectors() throws -> [Vector] {
        try puts() + hidden() + elements() + counts() + lives() + resolutions() + undos()
    }

    /// - Parameter operations: by hand.
    private static func write(
        _ name: String, _ when: JSON, _ live: [LiveDraft], _ operations: Operation...
    ) throws -> Vector {
        try Vector(
            "writes: \(name)", given: ["live": LiveDraft.json(live)], when: when,
            expect: ["ops": .operations(sorting: operations)], by: .resolutions)
    }

    private static func put(_ basis: [Dot]? = nil, deleteShown: Bool? = nil) -> JSON {
        .members([
            "do": "put", "column": 1, "value": "new", "basis": basis.map(JSON.dots),
            "deleteShown": deleteShown.map { .bool($0) },
        ])
    }

    private static func puts() throws -> [Vector] {
        let text = Value.text("new")
        return [
            try write("a put into a row of nothing", put(), [], .put(1, text)),
            try write("a put over what was shown", put(), [one], .put(1, text, over: [a(1)])),
            try write(
                "a put over the winner only", put(), [one, other], .put(1, text, over: [b(1)])),
            try write(
                "a put over the winner and its equals", put(),
                [one, other, LiveDraft(c(1), at: 1, .put(1, .text("b")))],
                .put(1, text, over: [b(1), c(1)])),
            try write(
                "a put over a resolution and what it covers", put(), [one, other, settled],
                .put(1, text, over: [a(1), b(1), c(1)])),
            try write(
                "a put over the winning resolution leaves a late sibling", put(),
                [one, other, settled, LiveDraft(d(1), at: 1, .put(1, .text("late")))],
                .put(1, text, over: [a(1), b(1), c(1)])),
            try write(
                "a put over a winning late sibling leaves the resolution and the rest", put(),
                [one, other, settled, LiveDraft(d(1), at: 9, .put(1, .text("late")))],
                .put(1, text, over: [d(1)])),
            try write(
                "a put over the resolution that won, and its covers alone", put(),
                [
                    one, other, LiveDraft(c(1), at: 3, .resolve(1, .text("a"), covers: [a(1)])),
                    LiveDraft(d(1), at: 4, .resolve(1, .text("b"), covers: [b(1)])),
                ], .put(1, text, over: [b(1), d(1)])),
            try write(
                "a put over an undo, which nobody has to see", put(),
                [one, other, LiveDraft(c(2), at: 4, .retract(1, over: []))],
                .put(1, text, over: [b(1), c(2)])),
            try write(
                "a put by the basis of a form", put([a(1)]), [one, other],
                .put(1, text, over: [a(1)])),
            try write("a put by a basis of nothing", put([]), [one, other], .put(1, text)),
            try write(
                "a basis that lives no more is left out", put([a(1), d(7)]), [one, other],
                .put(1, text, over: [a(1)])),
            try write(
                "a put by the earliest",
                [
                    "do": "put", "column": 1, "value": 7, "policy": ["earliest": 600_000],
                ],
                [
                    LiveDraft(a(1), at: 1, .put(1, .integer(0))),
                    LiveDraft(b(1), at: 2, .put(1, .integer(9))),
                ], .put(1, .integer(7), over: [a(1)])),
            try write(
                "a put of what is shown is a put too",
                ["do": "put", "column": 1, "value": "a"], [one], .put(1, .text("a"), over: [a(1)])),
        ]
    }

    private static func hidden() throws -> [Vector] {
        let gone = LiveDraft(c(1), at: 3, .delete((CellKey(1), a(1)), (CellKey(1), b(1))))
        let text = Value.text("new")
        return [
            try write(
                "a put into a hidden row restores it, over all that was covered", put(),
                [one, other, gone], .retract(0, over: [c(1)]), .put(1, text, over: both)),
            try write(
                "a put into a hidden row replaces all, whatever the basis", put([a(1)]),
                [one, other, gone], .retract(0, over: [c(1)]), .put(1, text, over: both)),
            try write(
                "a form that was opened before the delete restores nothing",
                put([b(1)], deleteShown: false), [one, other, gone], .put(1, text, over: [b(1)])),
            try write(
                "a form without a basis was shown what is shown", put(deleteShown: false),
                [one, other, gone], .put(1, text, over: [b(1)])),
            try write(
                "a resolution in a hidden row restores nothing",
                ["do": "resolve", "column": 1, "value": "b"], [one, other, gone],
                .resolve(1, .text("b"), covers: both)),
            try write(
                "an undo in a hidden row restores nothing",
                ["do": "undo", "column": 1, "dot": .dot(d(1))],
                [
                    LiveDraft(d(1), at: 2, .resolve(1, text, covers: [])),
                    LiveDraft(c(1), at: 3, .delete((CellKey(1), d(1)))),
                ], .retract(1, over: [d(1)])),
            try write(
                "a put into a row with a conflict of life is a plain put", put(),
                [one, LiveDraft(c(1), at: 3, .delete())], .put(1, text, over: [a(1)])),
            try write(
                "a restore replaces the restores that it finds", put(),
                [
                    one, LiveDraft(d(1), at: 2, .retract(0, over: [])),
                    LiveDraft(c(1), at: 3, .delete((.life, d(1)), (CellKey(1), a(1)))),
                ], .retract(0, over: [c(1), d(1)]), .put(1, text, over: [a(1)])),
        ]
    }

    private static func elements() throws -> [Vector] {
        let add: JSON = ["do": "add", "column": 4, "element": "6174"]
        let remove: JSON = ["do": "remove", "column": 4, "element": "6174"]
        let element = CellKey(4, element: t.canonicalBytes)
        let added = LiveDraft(a(1), at: 1, .add(4, t))
        let gone = LiveDraft(c(1), at: 3, .delete((element, a(1))))
        return [
            try write("an element", add, [], .add(4, t)),
            try write("an element that is in", add, [added]),
            try write(
                "an element over its removals", add,
                [
                    LiveDraft(a(2), at: 2, .remove(4, t, over: [])),
                    LiveDraft(b(1), at: 2, .remove(4, t, over: [])),
                ], .add(4, t, over: [a(2), b(1)])),
            try write(
                "another element", add, [LiveDraft(a(1), at: 1, .add(4, .text("u")))], .add(4, t)),
            try write("a removal of what isn't in", remove, []),
            try write(
                "a removal of what is gone", remove,
                [LiveDraft(a(2), at: 2, .remove(4, t, over: []))]),
            try write(
                "a removal over all that lives in the cell", remove,
                [
                    added, LiveDraft(b(1), at: 1, .add(4, t)),
                    LiveDraft(c(1), at: 2, .remove(4, t, over: [])),
                ], .remove(4, t, over: [a(1), b(1), c(1)])),
            try write(
                "a removal from a hidden row restores it", remove, [added, gone],
                .retract(0, over: [c(1)]), .remove(4, t, over: [a(1)])),
            try write("an element that is in while its row is hidden", add, [added, gone]),
            try write(
                "an element into a hidden row restores it", add,
                [one, LiveDraft(c(1), at: 3, .delete((CellKey(1), a(1))))],
                .retract(0, over: [c(1)]), .add(4, t)),
        ]
    }

    private static func counts() throws -> [Vector] {
        func count(_ by: Int64) -> JSON {
            [
                "do": "count", "column": 5, "stream": .stream(Fixed.stream(1)),
                "by": .number(by),
            ]
        }
        let own = LiveDraft(a(1), at: 1, .count(5, 10, 4))
        let others = LiveDraft(b(1), at: 1, .count(5, 30, 0))
        return [
            try write("the first count", count(3), [], .count(5, 3, 0)),
            try write("a first count back", count(-3), [], .count(5, 0, 3)),
            try write("a count on", count(3), [own], .count(5, 13, 4, over: [a(1)])),
            try write("a count back", count(-3), [own], .count(5, 10, 7, over: [a(1)])),
            try write("a count by nothing", count(0), [own]),
            try write(
                "a count beside another stream's", count(3), [own, others],
                .count(5, 13, 4, over: [a(1)])),
            try write("a first count beside another stream's", count(3), [others], .count(5, 3, 0)),
            try write(
                "own entries that stand apart come together", count(3),
                [own, LiveDraft(a(2), at: 2, .count(5, 1, 1))],
                .count(5, 14, 5, over: [a(1), a(2)])),
            try write(
                "an own op that does not count is left", count(3),
                [own, LiveDraft(a(2), at: 2, .put(5, .integer(7)))],
                .count(5, 13, 4, over: [a(1)])),
            try write(
                "a count that would not fit", count(1), [LiveDraft(a(1), at: 1, .count(5, .max, 0))]
            ),
            try write(
                "a count up to the bound", count(.max), [LiveDraft(a(1), at: 1, .count(5, 0, 9))],
                .count(5, .max, 9, over: [a(1)])),
            try write(
                "a count in a hidden row restores it, and leaves the others' entries", count(3),
                [
                    own, others,
                    LiveDraft(c(1), at: 3, .delete((CellKey(5), a(1)), (CellKey(5), b(1)))),
                ], .retract(0, over: [c(1)]), .count(5, 13, 4, over: [a(1)])),
        ]
    }

    private static func lives() throws -> [Vector] {
        let delete: JSON = ["do": "delete"]
        let restore: JSON = ["do": "restore"]
        let element = CellKey(4, element: t.canonicalBytes)
        let gone = LiveDraft(c(1), at: 3, .delete((CellKey(1), a(1))))
        return [
            try write("a delete of nothing", delete, []),
            try write("a delete", delete, [one], .delete((CellKey(1), a(1)))),
            try write(
                "a delete covers siblings, elements, resolutions and ops without value", delete,
                [
                    one, other, settled, LiveDraft(a(1), at: 1, .add(4, t)),
                    LiveDraft(d(1), at: 4, .retract(1, over: [])),
                    LiveDraft(d(2), at: 4, .retract(0, over: [])),
                    LiveDraft(d(3), at: 4, .count(5, 1, 0)),
                ],
                .delete(
                    (.life, d(2)), (CellKey(1), a(1)), (CellKey(1), b(1)), (CellKey(1), c(1)),
                    (CellKey(1), d(1)), (element, a(1)), (CellKey(5), d(3)))),
            try write("a delete of a hidden row", delete, [one, gone]),
            try write(
                "a delete that settles replaces the delete and covers all", delete,
                [one, other, gone],
                .delete(over: [c(1)], (CellKey(1), a(1)), (CellKey(1), b(1)))),
            try write("a restore of a row that was not deleted", restore, [one]),
            try write("a restore", restore, [one, gone], .retract(0, over: [c(1)])),
            try write(
                "a restore replaces all deletes and restores", restore,
                [
                    one, gone, LiveDraft(d(1), at: 3, .delete((CellKey(1), a(1)))),
                    LiveDraft(b(4), at: 3, .retract(0, over: [])),
                ], .retract(0, over: [b(4), c(1), d(1)])),
            try write(
                "a restore that settles", restore, [one, other, gone], .retract(0, over: [c(1)])),
        ]
    }

    private static func resolutions() throws -> [Vector] {
        func resolve(_ basis: [Dot]? = nil) -> JSON {
            .members([
                "do": "resolve", "column": 1, "value": "b", "basis": basis.map(JSON.dots),
            ])
        }
        let text = Value.text("b")
        let late = LiveDraft(d(1), at: 1, .put(1, .text("late")))
        return [
            try write(
                "a resolution covers what was shown", resolve(), [one, other],
                .resolve(1, text, covers: both)),
            try write(
                "a resolution of a late sibling replaces the first and covers all", resolve(),
                [one, other, settled, late],
                .resolve(1, text, over: [c(1)], covers: [a(1), b(1), d(1)])),
            try write(
                "a resolution by a basis leaves what was not in it", resolve(both),
                [one, other, late], .resolve(1, text, covers: both)),
            try write(
                "a resolution over a resolution takes its covers along", resolve([c(1)]),
                [one, other, settled], .resolve(1, text, over: [c(1)], covers: both)),
            try write(
                "covers that live no more are not taken along", resolve([c(1)]),
                [other, settled], .resolve(1, text, over: [c(1)], covers: [b(1)])),
            try write(
                "a resolution of two resolutions", resolve(),
                [
                    one, other, settled,
                    LiveDraft(d(1), at: 3, .resolve(1, .text("b"), covers: [a(1), b(1)])),
                ], .resolve(1, text, over: [c(1), d(1)], covers: both)),
            try write(
                "a resolution replaces the undos that it finds", resolve(both),
                [one, other, LiveDraft(c(2), at: 4, .retract(1, over: []))],
                .resolve(1, text, over: [c(2)], covers: both)),
            try write(
                "a resolution of one value", resolve(), [one],
                .resolve(1, text, covers: [a(1)])),
        ]
    }

    private static func undos() throws -> [Vector] {
        func undo(_ dot: Dot) -> JSON { ["do": "undo", "column": 1, "dot": .dot(dot)] }
        return [
            try write(
                "an undo", undo(c(1)), [one, other, settled], .retract(1, over: [c(1)])),
            try write(
                "an undo replaces the undos that it finds", undo(c(1)),
                [one, other, settled, LiveDraft(d(1), at: 4, .retract(1, over: []))],
                .retract(1, over: [c(1), d(1)])),
            try write("an undo of what lives no more", undo(c(1)), [one, other]),
            try write("an undo of a put", undo(a(1)), [one, other]),
            try write(
                "an undo of one of two", undo(d(1)),
                [
                    one, other, settled,
                    LiveDraft(d(1), at: 3, .resolve(1, .text("b"), covers: [a(1), b(1)])),
                ], .retract(1, over: [d(1)])),
        ]
    }
}
