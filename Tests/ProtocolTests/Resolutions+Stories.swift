import Causality
import Merge
import SyncProtocol

/// Three replicas that write apart and meet.
enum StoryVectors {
    static func vectors() throws -> [Vector] {
        try settling() + reopening() + disputes() + undoing() + lives() + others()
    }

    private enum Step {
        case write(Int, [JSON])
        case take(Int, from: Int)
        case meet

        func json(_ number: Int) -> JSON {
            switch self {
            case .write(let replica, let writes):
                [
                    "at": .number(replica), "time": .string("1764000000\(100 + number).0"),
                    "write": .array(writes),
                ]
            case .take(let replica, let source):
                ["at": .number(replica), "from": .number(source)]
            case .meet: ["meet": true]
            }
        }
    }

    private static func put(_ text: String, basis: JSON? = nil, deleteShown: Bool? = nil) -> JSON {
        .members([
            "do": "put", "column": 1, "value": .string(text), "basis": basis,
            "deleteShown": deleteShown.map { .bool($0) },
        ])
    }

    private static func resolve(_ text: String, basis: JSON? = nil) -> JSON {
        .members(["do": "resolve", "column": 1, "value": .string(text), "basis": basis])
    }

    private static func undo(_ step: Int64) -> JSON {
        ["do": "undo", "column": 1, "dot": ["step": .integer(step)]]
    }

    private static let delete: JSON = ["do": "delete"]
    private static let restore: JSON = ["do": "restore"]
    private static let add: JSON = ["do": "add", "column": 4, "element": "6174"]
    private static let remove: JSON = ["do": "remove", "column": 4, "element": "6174"]

    /// Replicas 0 and 1 disagree, and all know.
    private static let quarrel: [Step] = [.write(0, [put("a")]), .write(1, [put("b")]), .meet]

    /// What the first replica shows in column 1 and how many conflicts it has open are by hand.
    ///
    /// - Parameters:
    ///   - alike: whether all replicas end with one state.
    private static func story(
        _ name: String, _ steps: [Step], shows text: String?, open: Int = 0, hidden: Bool = false,
        alike: Bool = true
    ) throws -> Vector {
        let vector = try Vector(
            "story: \(name)",
            given: [
                "table": 6, "row": .row(Fixed.row),
                "streams": .array([1, 2, 3].map { .stream(Fixed.stream($0)) }),
                "columns": [
                    ["column": 1, "shape": "register", "policy": "latest"],
                    ["column": 2, "shape": "register", "policy": ["earliest": 600_000]],
                    ["column": 4, "shape": "set"], ["column": 5, "shape": "counter"],
                ],
            ],
            when: ["steps": .array(steps.enumerated().map { $1.json($0) })], by: .resolutions)
        let replicas = try vector.expect.items("replicas")
        let shown = try replicas[0].items("shown").first { $0["column"] == 1 }
        guard shown?["value"] == text.map({ .string($0) }),
            try replicas[0].items("open").count == open, replicas[0]["hidden"] == .bool(hidden),
            replicas.allSatisfy({ $0 == replicas[0] }) == alike
        else { throw VectorError("\(name): found \(vector.expect.document)") }
        return vector
    }

    private static func settling() throws -> [Vector] {
        [
            try story("two values apart", quarrel, shows: "b", open: 1),
            try story(
                "two equal values apart", [.write(0, [put("a")]), .write(1, [put("a")]), .meet],
                shows: "a"),
            try story("settled", quarrel + [.write(2, [resolve("c")]), .meet], shows: "c"),
            try story(
                "an edit of the winner keeps the loser", quarrel + [.write(2, [put("c")]), .meet],
                shows: "c", open: 1),
            try story(
                "an edit of a settled cell replaces all",
                quarrel + [.write(2, [resolve("a")]), .meet, .write(0, [put("c")]), .meet],
                shows: "c"),
            try story(
                "settled, then settled otherwise",
                quarrel + [.write(2, [resolve("a")]), .meet, .write(1, [resolve("b")]), .meet],
                shows: "b"),
            try story(
                "before they meet each shows its own",
                [.write(0, [put("a")]), .write(1, [put("b")])], shows: "a", alike: false),
        ]
    }

    private static func reopening() throws -> [Vector] {
        let late: [Step] = [
            .write(0, [put("a")]), .write(1, [put("b")]), .take(0, from: 1),
            .write(2, [put("late")]), .write(0, [resolve("a")]), .take(1, from: 0), .meet,
        ]
        return [
            try story("a late sibling reopens", late, shows: "a", open: 1),
            try story(
                "a late sibling is settled with the rest",
                late + [.write(1, [resolve("late")]), .meet], shows: "late"),
            try story(
                "a late sibling that says what was decided",
                [
                    .write(0, [put("a")]), .write(1, [put("b")]), .take(0, from: 1),
                    .write(2, [put("a")]), .write(0, [resolve("a")]), .meet,
                ], shows: "a"),
            try story(
                "an edit of a reopened cell by who saw the decision keeps the late sibling",
                late + [.write(1, [put("c")]), .meet], shows: "c", open: 1),
        ]
    }

    private static func disputes() throws -> [Vector] {
        let equal = quarrel + [.write(0, [resolve("a")]), .write(1, [resolve("a")]), .meet]
        let different = quarrel + [.write(0, [resolve("a")]), .write(1, [resolve("b")]), .meet]
        return [
            try story("two equal resolutions apart", equal, shows: "a"),
            try story("two different resolutions apart", different, shows: "b", open: 1),
            try story(
                "two different resolutions are settled by a third",
                different + [.write(2, [resolve("a")]), .meet], shows: "a"),
            try story(
                "undoing one of two equal resolutions leaves the other",
                equal + [.write(2, [undo(3)]), .meet], shows: "a"),
            try story(
                "undoing one of two different resolutions settles it",
                different + [.write(2, [undo(4)]), .meet], shows: "a"),
            try story(
                "both of two equal resolutions undone",
                equal + [.write(2, [undo(3)]), .meet, .write(0, [undo(4)]), .meet], shows: "b",
                open: 1),
            try story(
                "two settle a dispute of resolutions differently again",
                different
                    + [
                        .write(0, [resolve("x")]), .write(1, [resolve("y")]), .meet,
                        .write(2, [resolve("x")]), .meet,
                    ], shows: "x"),
        ]
    }

    private static func undoing() throws -> [Vector] {
        let settled = quarrel + [.write(2, [resolve("a")]), .meet]
        let undone = settled + [.write(0, [undo(3)]), .meet]
        let again: JSON = [["step": 0], ["step": 1]]
        return [
            try story("an undo brings the siblings back", undone, shows: "b", open: 1),
            try story(
                "an undo of the undo", undone + [.write(1, [resolve("a", basis: again)]), .meet],
                shows: "a"),
            try story(
                "an undo of the undo, undone",
                undone + [
                    .write(1, [resolve("a", basis: again)]), .meet, .write(2, [undo(7)]), .meet,
                ],
                shows: "b", open: 1),
            try story(
                "two undo the same resolution apart",
                settled + [.write(0, [undo(3)]), .write(1, [undo(3)]), .meet], shows: "b", open: 1),
            try story(
                "an edit of a settled cell while another undoes",
                settled + [.write(0, [put("edited")]), .write(1, [undo(3)]), .meet],
                shows: "edited"),
            try story(
                "a resolution of a resolution while another undoes it",
                settled + [.write(0, [resolve("x")]), .write(1, [undo(3)]), .meet], shows: "x"),
            try story(
                "an undo of what was edited writes nothing",
                settled + [.write(0, [put("edited")]), .meet, .write(1, [undo(3)]), .meet],
                shows: "edited"),
            try story(
                "an undo while a late sibling comes",
                [
                    .write(0, [put("a")]), .write(1, [put("b")]), .take(0, from: 1),
                    .write(2, [put("late")]), .write(0, [resolve("a")]), .write(0, [undo(4)]),
                    .meet,
                ], shows: "late", open: 1),
        ]
    }

    private static func lives() throws -> [Vector] {
        let shared: [Step] = [.write(0, [put("a")]), .meet]
        let met = shared + [.write(1, [delete]), .write(0, [put("edited")]), .meet]
        return [
            try story("a delete", shared + [.write(1, [delete]), .meet], shows: nil, hidden: true),
            try story("a delete beside an edit", met, shows: "edited", open: 1),
            try story(
                "deleted again", met + [.write(2, [delete]), .meet], shows: nil, hidden: true),
            try story("kept", met + [.write(2, [restore]), .meet], shows: "edited"),
            try story(
                "deleted again and kept, apart",
                met + [.write(1, [delete]), .write(2, [restore]), .meet], shows: "edited", open: 1),
            try story(
                "a restore of a delete",
                shared + [.write(1, [delete]), .meet, .write(2, [restore]), .meet], shows: "a"),
            try story(
                "a restore beside a second delete",
                shared
                    + [
                        .write(1, [delete]), .take(0, from: 1), .write(0, [restore]),
                        .write(2, [delete]), .meet,
                    ], shows: "a", open: 1),
            try story(
                "a write to a hidden row brings it back",
                shared + [.write(1, [delete]), .meet, .write(2, [put("b"), add]), .meet],
                shows: "b"),
            try story(
                "a form that was opened before the delete",
                shared
                    + [
                        .write(1, [delete]), .meet,
                        .write(0, [put("saved", basis: [["step": 0]], deleteShown: false)]), .meet,
                    ],
                shows: "saved", open: 1),
            try story(
                "two deletes that each miss an edit hide the row together",
                shared
                    + [
                        .write(0, [add]), .write(1, [put("b")]), .write(0, [delete]),
                        .write(1, [delete]), .meet,
                    ], shows: nil, hidden: true),
            try story(
                "a delete of a settled conflict, and a restore",
                quarrel
                    + [
                        .write(2, [resolve("a")]), .meet, .write(0, [delete]), .meet,
                        .write(1, [restore]), .meet,
                    ], shows: "a"),
            try story(
                "a delete beside a resolution",
                quarrel + [.write(0, [resolve("a")]), .write(1, [delete]), .meet], shows: "a",
                open: 1),
            try story(
                "a delete beside an undo",
                quarrel
                    + [
                        .write(0, [resolve("a")]), .meet, .write(1, [undo(3)]),
                        .write(2, [delete]), .meet,
                    ], shows: "b", open: 2),
        ]
    }

    private static func others() throws -> [Vector] {
        func count(_ by: Int64) -> JSON { ["do": "count", "column": 5, "by": .integer(by)] }
        func arrival(_ minutes: Int64) -> JSON {
            [
                "do": "put", "column": 2, "policy": ["earliest": 600_000],
                "value": .integer(1_764_064_800_000 + minutes * 60_000),
            ]
        }
        return [
            try story(
                "two doors count apart",
                [.write(0, [count(40)]), .write(1, [count(37)]), .write(0, [count(2)]), .meet],
                shows: nil),
            try story(
                "a count beside a delete",
                [
                    .write(0, [count(40)]), .meet, .write(1, [delete]), .write(0, [count(1)]),
                    .meet,
                ], shows: nil, open: 1),
            try story(
                "a count in a hidden row",
                [
                    .write(0, [count(40)]), .write(1, [count(2)]), .meet, .write(2, [delete]),
                    .meet, .write(1, [count(3)]), .meet,
                ], shows: nil),
            try story(
                "arrivals within tolerance",
                [.write(0, [arrival(10)]), .write(1, [arrival(15)]), .meet], shows: nil, open: 1),
            try story(
                "arrivals beyond it",
                [.write(0, [arrival(10)]), .write(1, [arrival(25)]), .meet], shows: nil, open: 1),
            try story(
                "a write goes by its own policy, the latest, whatever the column's is",
                [
                    .write(0, [arrival(10)]), .write(1, [arrival(15)]), .meet,
                    .write(2, [["do": "put", "column": 2, "value": 7]]), .meet,
                ], shows: nil, open: 1),
            try story(
                "one changeset has one op of life",
                [
                    .write(0, [put("a")]), .write(0, [delete]),
                    .write(0, [put("b"), add, restore]), .write(0, [delete, restore]), .meet,
                ], shows: nil, hidden: true),
            try story(
                "a step that writes nothing is not among what was written",
                [.write(0, [put("a")]), .write(0, [restore]), .write(0, [remove]), .meet],
                shows: "a"),
            try story(
                "an edit of the earliest keeps the other",
                [
                    .write(0, [arrival(10)]), .write(1, [arrival(15)]), .meet,
                    .write(2, [arrival(12)]), .meet,
                ], shows: nil, open: 1),
            try story(
                "an element added and removed apart",
                [.write(0, [add]), .meet, .write(0, [remove]), .write(1, [put("x")]), .meet],
                shows: "x"),
            try story(
                "an element removed, and added by who had not seen it",
                [.write(0, [add]), .write(1, [add]), .write(0, [remove]), .meet], shows: nil),
        ]
    }
}
