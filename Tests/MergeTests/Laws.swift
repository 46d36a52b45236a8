import Causality
import Merge
import TestSupport
import Testing

@Suite struct Laws {
    private static let plain = CellKey(1)
    private static let composite = CellKey(2)
    private static let element = CellKey(3, element: [1])
    private static let other = CellKey(3, element: [2])
    private static let counter = CellKey(4)
    private static let arrival = CellKey(5)
    private static let place = Value.composite([.real(1), .null])

    private static let kinds: [(name: String, deeds: [Deed])] = [
        (
            "registers",
            [
                .put(plain, .text("a")), .put(plain, .text("b")), .blindPut(plain, .text("a")),
                .blindPut(plain, .null), .put(composite, place),
            ]
        ),
        (
            "composites",
            [
                .put(composite, place), .put(composite, .composite([.null, .real(2)])),
                .blindPut(composite, place), .resolve(composite, place), .undo(composite),
            ]
        ),
        (
            "sets",
            [
                .put(element, .null), .blindPut(element, .null), .remove(element),
                .put(other, .null), .remove(other),
            ]
        ),
        (
            "counters",
            [
                .count(counter, 1), .count(counter, -2), .count(counter, .max),
                .put(counter, .text("no entry")), .delete,
            ]
        ),
        (
            "registers that show the earliest",
            [
                .put(arrival, .integer(3), policy: DeedFamily.tolerance),
                .blindPut(arrival, .integer(9)), .blindPut(arrival, .integer(14)),
                .blindPut(arrival, .null), .resolve(arrival, .integer(4)),
            ]
        ),
        (
            "the life of a row",
            [
                .delete, .restore, .put(plain, .text("c")), .blindPut(plain, .text("d")),
                .remove(element),
            ]
        ),
        (
            "resolutions",
            [
                .resolve(plain, .text("a")), .resolve(plain, .text("c")), .undo(plain),
                .put(plain, .text("d")), .blindPut(plain, .text("e")), .delete,
            ]
        ),
    ]

    /// Histories that all three laptops share, from nothing to a resolved conflict under a delete.
    private static let histories: [[(author: Int, deed: Deed)]] = [
        [],
        [(0, .put(plain, .text("a")))],
        [(0, .put(plain, .text("a"))), (1, .blindPut(plain, .text("b")))],
        [
            (0, .put(plain, .text("a"))), (1, .blindPut(plain, .text("b"))),
            (2, .resolve(plain, .text("b"))),
        ],
        [
            (0, .put(plain, .text("a"))), (1, .blindPut(plain, .text("b"))),
            (2, .resolve(plain, .text("b"))), (0, .undo(plain)),
        ],
        [(0, .put(composite, place)), (1, .put(element, .null)), (2, .blindPut(element, .null))],
        [(0, .put(composite, place)), (1, .put(element, .null)), (2, .delete)],
        [
            (0, .put(plain, .text("a"))), (1, .blindPut(plain, .text("b"))),
            (2, .resolve(plain, .text("b"))), (0, .delete),
        ],
        [(0, .put(plain, .text("a"))), (1, .delete), (2, .blindPut(plain, .text("b")))],
        [(0, .put(element, .null)), (1, .delete), (2, .restore), (0, .remove(element))],
        [(0, .count(counter, 2)), (1, .count(counter, -1)), (0, .count(counter, 1)), (2, .delete)],
        [(0, .blindPut(arrival, .integer(1))), (1, .blindPut(arrival, .integer(8)))],
    ]

    private static func trio(_ history: [(author: Int, deed: Deed)]) -> Trio {
        var trio = Trio()
        for step in history {
            trio.write(step.author, step.deed)
            trio.meet()
        }
        return trio
    }

    @Test(arguments: kinds.indices)
    func `merging is commutative, associative, idempotent and inflationary, in any causal order`(
        kind: Int
    ) {
        let deeds = Self.kinds[kind].deeds
        var count = 0
        for history in Self.histories {
            let start = Self.trio(history)
            for first in deeds {
                for second in deeds {
                    for third in deeds {
                        for isInformed in [false, true] {
                            var trio = start
                            trio.write(0, first)
                            trio.write(1, second)
                            // The third has seen what the first did, or neither.
                            if isInformed { trio.give(from: 0, to: 2) }
                            trio.write(2, third)
                            let commits = Array(trio.commits[start.commits.count...])
                            let checker = LawChecker(base: start.laptops[0], commits: commits)
                            // Of every case all orders; of every 20th all pairs and triples.
                            let fault = checker.fault(isMerging: count % 20 == 0)
                            #expect(
                                fault == nil,
                                "\(first.name), \(second.name), \(third.name) after \(history)")
                            count += 1
                        }
                    }
                }
            }
        }
        print("laws of \(Self.kinds[kind].name): \(count) cases")
    }

    @Test func `chains of changesets on three laptops give one state in every causal order`() {
        let deeds = Self.kinds.flatMap(\.deeds)
        var generator = SplitMix64(seed: 7)
        for _ in 0..<2_000 {
            var trio = Self.trio(generator.pick(Self.histories) ?? [])
            let start = trio
            for _ in 0..<6 {
                let author = generator.below(3)
                if generator.chance(1, in: 3) { trio.give(from: generator.below(3), to: author) }
                if let deed = generator.pick(deeds) { trio.write(author, deed) }
            }
            let commits = Array(trio.commits[start.commits.count...])
            let fault = LawChecker(base: start.laptops[0], commits: commits).fault()
            #expect(fault == nil)
        }
    }

    @Test func `a row and a cell keep their order whatever comes first`() {
        var row = RowState()
        let keys = [
            CellKey(9), CellKey(2, element: [2]), .life, CellKey(2, element: [1]), CellKey(1),
        ]
        for (index, key) in keys.enumerated() {
            for author in [2, 0, 1] {
                row.apply(
                    Operation(key, key == .life ? .retract : .put(.integer(1))),
                    dot: Dot(Trio.stream(author), UInt64(index + 1)),
                    time: HybridTime(milliseconds: 1))
                row.checkInvariants()
            }
        }
        #expect(row.cells.map(\.key) == keys.sorted())
        row.set(CellKey(2, element: [1]), Cell())
        row.set(CellKey(77), Cell())
        row.checkInvariants()
        #expect(row.cells.count == 4)
        #expect(row[CellKey(77)].isEmpty)
    }
}
