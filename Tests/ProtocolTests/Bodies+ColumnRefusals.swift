import Causality
import Merge
import SyncProtocol

/// The pieces of a body by columns, each as bytes: one changeset that puts "a" into a row.
struct ColumnsDraft {
    var sources: [UInt8] = [0x00]
    var count: [UInt8] = [0x01]
    var milliseconds: [UInt8] = [0x19, 0x27, 0x10]
    var distances: [UInt8] = []
    var counters: [UInt8] = [0x00]
    /// Form, numbers, lengths, texts.
    var authors: [UInt8] = [0x02, 0x00, 0x01, 0x01, 0x61]
    var claims: [UInt8] = [0x00]
    var actionNumbers: [UInt8] = [0x00]
    var actions: [UInt8] = [0x00]
    var origins: [UInt8] = [0x02, 0x00, 0x00]
    var rowCounts: [UInt8] = [0x01, 0x01]
    var shapes: [UInt8] = [0x01, 0x83, 0x01, 0x01, 0x10]
    var shapeNumbers: [UInt8] = [0x00]
    /// Numbers, form, ids.
    var names: [UInt8] = [0x00, 0x01] + Fixed.row.identifier.bytes
    /// Form, numbers, lengths, texts.
    var columns: [UInt8] = [0x02, 0x00, 0x01, 0x01, 0x61]
    /// Counts, streams, seqs.
    var dots: [UInt8] = []
    var covers: [UInt8] = []

    var bytes: [UInt8] {
        let head = sources + count + milliseconds + distances + counters
        let changesets = authors + claims + actionNumbers + actions + origins + rowCounts
        return head + changesets + shapes + shapeNumbers + names + columns + dots + covers
    }
}

/// Bodies by columns that break one rule each.
extension ColumnVectors {
    static func refused() throws -> [Vector] {
        try wrongPieces() + wrongRows() + wrongValues() + wrongDotsOfColumns() + tooMuch()
            + wrongSealed()
    }

    static func refusal(
        _ name: String, _ reason: String, firstSeq: UInt64 = 1,
        _ change: (inout ColumnsDraft) -> Void
    ) throws -> Vector {
        var draft = ColumnsDraft()
        change(&draft)
        let part = Part(firstSeq: firstSeq, previous: nil, body: draft.bytes)
        return try vector("refused: \(name)", part, reason)
    }

    private static func wrongPieces() throws -> [Vector] {
        [
            try vector(
                "a body by hand", Part(firstSeq: 1, previous: nil, body: ColumnsDraft().bytes)),
            try vector(
                "refused: nothing at all", Part(firstSeq: 1, previous: nil, body: []), "truncated"),
            try refusal("a source of the first run", "outOfRange") {
                $0.sources = [0x01, 0x01, 0x01]
            },
            try refusal("a source at no distance", "outOfRange", firstSeq: 9) {
                $0.sources = [0x01, 0x00]
            },
            try refusal("a source that is not held", "invalid", firstSeq: 9) {
                $0.sources = [0x01, 0x01, 0x01]
            },
            try refusal("17 sources", "outOfRange", firstSeq: 99) {
                $0.sources = [0x11, 0x11, 0x01]
            },
            try refusal("no changesets", "outOfRange") { $0.count = [0x00] },
            try refusal("1025 changesets", "outOfRange") { $0.count = [0x19, 0x04, 0x01] },
            try refusal("a time of 0", "invalid") { $0.milliseconds = [0x00] },
            try refusal("a time of 2^48", "outOfRange") {
                $0.milliseconds = [0x1b, 0, 1, 0, 0, 0, 0, 0, 0]
            },
            try refusal("a counter of 65536", "outOfRange") { $0.counters = [0x03, 0, 0, 1] },
            try refusal("an unknown form of numbers", "invalid") { $0.counters = [0x09] },
            try refusal("equal numbers of no bytes", "invalid") { $0.counters = [0x10] },
            try refusal("numbers of 64 bits each", "invalid") { $0.counters = [0x80] },
            try refusal("bits behind the last number", "invalid") { $0.counters = [0x41, 0x02] },
            try refusal("numbers that end", "truncated") {
                $0 = ColumnsDraft()
                $0.counters = [0x08, 0, 0]
                ($0.authors, $0.claims, $0.actionNumbers, $0.actions) = ([], [], [], [])
                ($0.origins, $0.rowCounts, $0.shapes, $0.shapeNumbers) = ([], [], [], [])
                ($0.names, $0.columns) = ([], [])
            },
            try refusal("an author that is an integer", "invalid") {
                $0.authors = [0x06, 0x01, 0x02]
            },
            try refusal("an author of 201 bytes", "invalid") {
                $0.authors = [0x02, 0x00, 0x01, 201] + [UInt8](repeating: 0x61, count: 201)
            },
            try refusal("an author by a number of none", "outOfRange") {
                $0.authors = [0x02, 0x01, 0x01]
            },
            try refusal("an action that is not there", "outOfRange") {
                $0.actionNumbers = [0x01, 0x01]
            },
            try refusal("more actions than changesets", "outOfRange") {
                $0.actions = [0x02] + [UInt8](repeating: 1, count: 32)
            },
            try refusal("a byte too many", "trailing") { $0.covers = [0x00] },
        ]
    }

    private static func wrongRows() throws -> [Vector] {
        [
            try refusal("more shapes than rows", "outOfRange") { $0.shapes[0] = 0x02 },
            try refusal("a shape that is not there", "outOfRange") {
                $0.shapeNumbers = [0x01, 0x01]
            },
            try refusal("a shape of no ops", "invalid") { $0.shapes = [0x01, 0x82, 0x01, 0x01] },
            try refusal("a shape that is named by 2", "outOfRange") { $0.shapes[3] = 0x02 },
            try refusal("a shape with an op of shape 8", "invalid") {
                $0.shapes[4] = 0x18; $0.shapes.insert(0x18, at: 4)
            },
            try refusal("a put into column 0", "invalid") { $0.shapes[4] = 0x00 },
            try refusal("a shape that names a cell twice", "invalid") {
                $0.shapes = [0x01, 0x84, 0x01, 0x01, 0x10, 0x10]
            },
            try refusal("a row by a number of none", "outOfRange") {
                $0.names = [0x01, 0x01, 0x01]
            },
            try refusal("a row before all", "outOfRange") { $0.names = [0x01, 0x02, 0x01] },
            try refusal("a row by the farthest number", "outOfRange") {
                $0.names = [0x08] + [UInt8](repeating: 0xff, count: 8) + [0x01]
            },
            try refusal("names that are texts", "invalid") { $0.names[1] = 0x02 },
            try refusal("an id that ends", "truncated") {
                $0.names.removeLast(4)
                ($0.columns, $0.covers) = ([], [])
            },
            try refusal("a name that is a text", "unexpectedType") {
                $0.names = [0x00, 0x00, 0x61, 0x61]
            },
            try refusal("a name of 15 bytes", "invalid") {
                $0.names = [0x00, 0x00, 0x4f] + [UInt8](repeating: 1, count: 15)
            },
            try refusal("a row twice, with one cell", "invalid") {
                $0.rowCounts = [0x01, 0x02]
                $0.names = [0x41, 0x02, 0x01] + Fixed.row.identifier.bytes
                $0.columns = [0x02, 0x00, 0x11, 0x01, 0x61, 0x62]
            },
        ]
    }

    private static func wrongValues() throws -> [Vector] {
        [
            try refusal("an unknown form", "outOfRange") { $0.columns[0] = 0x09 },
            try refusal("a value by a number of none", "outOfRange") {
                $0.columns = [0x02, 0x01, 0x01]
            },
            try refusal("a value that comes later", "outOfRange") {
                $0.rowCounts = [0x01, 0x02]
                $0.names =
                    [0x00, 0x01] + Fixed.row.identifier.bytes
                    + Fixed.otherRow.identifier.bytes
                $0.columns = [0x02, 0x41, 0x01, 0x01, 0x01, 0x61]
            },
            try refusal("a text that ends", "truncated") { $0.columns[3] = 0x02 },
            try refusal("a text of 65537 bytes", "tooLong") {
                $0.columns = [0x02, 0x00, 0x03, 1, 0, 1]
            },
            try refusal("a text that is cut in a letter", "invalidUTF8") { $0.columns[4] = 0xc3 },
            try refusal("an item that is a map", "unexpectedType") {
                $0.columns = [0x00, 0x00, 0xa0]
            },
            try refusal("an item that is a tag", "unsupported") { $0.columns = [0x03, 0xc0] },
            try refusal("an item of no form", "invalid") { $0.columns = [0x00, 0x00, 0x80] },
            try refusal("a row's number for a value", "invalid") {
                $0.columns = [0x00, 0x00, 0x82, 0x02, 0x00]
            },
            try refusal("a time's distance for a value", "invalid") {
                $0.columns = [0x03, 0x82, 0x03, 0x00]
            },
            try refusal("a reference without a table", "invalid") {
                $0.columns = [0x03, 0x81, 0x01]
            },
        ]
    }

    private static func wrongDotsOfColumns() throws -> [Vector] {
        func over(_ dots: [UInt8]) -> (inout ColumnsDraft) -> Void {
            {
                $0.shapes = [0x01, 0x83, 0x01, 0x01, 0x11]
                $0.dots = dots
            }
        }
        return [
            try refusal(
                "a dot of its own changeset", "outOfRange", firstSeq: 9,
                over([0x01, 0x01, 0x00, 0x00])),
            try refusal(
                "a dot before the first", "outOfRange", firstSeq: 9,
                over([0x01, 0x01, 0x00, 0x01, 0x09])),
            try refusal(
                "a dot of no dep", "outOfRange", firstSeq: 9,
                over([0x01, 0x01, 0x01, 0x03, 0x01, 0x01])),
            try refusal(
                "a dot of seq 0", "outOfRange", firstSeq: 9, over([0x01, 0x01, 0x01, 0x01, 0x00])),
            try refusal(
                "a dot of seq 2^63", "outOfRange", firstSeq: 9,
                over([0x01, 0x01, 0x01, 0x01, 0x08, 0, 0, 0, 0, 0, 0, 0, 0x80])),
            try refusal("8193 dots", "tooLong", firstSeq: 9, over([0x02, 0x01, 0x20])),
            try refusal("covers that end", "truncated", firstSeq: 9) {
                $0.shapes = [0x01, 0x83, 0x01, 0x01, 0x04]
                ($0.columns, $0.dots, $0.covers) = ([], [0x00], [0x81])
            },
            try refusal("a group of covers without a dot", "invalid", firstSeq: 9) {
                $0.shapes = [0x01, 0x83, 0x01, 0x01, 0x04]
                ($0.columns, $0.dots, $0.covers) = ([], [0x00], [0x81, 0x80])
            },
        ]
    }

    /// What takes few bytes and would make much.
    private static func tooMuch() throws -> [Vector] {
        let text = [UInt8](repeating: 0x61, count: 65_536)
        return [
            try refusal("131073 rows", "tooLong") { $0.rowCounts = [0x03, 0x01, 0x00, 0x02] },
            try refusal("2^64 - 1 rows", "tooLong") {
                $0.rowCounts = [0x08] + [UInt8](repeating: 0xff, count: 8)
            },
            try refusal("262145 ops", "tooLong") {
                // Three ops in each of 131,072 rows.
                $0.rowCounts = [0x03, 0x00, 0x00, 0x02]
                $0.shapes = [0x01, 0x85, 0x01, 0x00, 0x10, 0x18, 0x20, 0x18, 0x30]
                $0.names = []
            },
            try refusal("a text of 64 KiB that comes 65 times", "tooLong") {
                $0.rowCounts = [0x01, 65]
                $0.shapes = [0x01, 0x83, 0x01, 0x00, 0x10]
                $0.names = []
                $0.columns =
                    [0x02, 0x41, 0xfe] + [UInt8](repeating: 0xff, count: 7) + [0x01]
                    + [0x03, 0x00, 0x00, 0x01] + text
            },
        ]
    }
}
