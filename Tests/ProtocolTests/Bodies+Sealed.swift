import Causality
import Merge
import SyncProtocol

/// What is encrypted, as a body has it: no key is needed to read that far.
extension BodyVectors {
    /// The ciphertext of one byte, and its tag; whether any key opens it, a body doesn't say.
    static let box = [UInt8](0..<17)

    private static func value(_ box: [UInt8] = box, about subject: RowID? = nil) -> Value {
        .sealed(SealedValue(about: subject, box: box))
    }

    static func sealedValues() throws -> [Vector] {
        let put = head.row(items: 2).code(5, 0)
        return [
            try vector("a sealed value", put.value(value())),
            try vector("a sealed value about another row", put.value(value(about: Fixed.otherRow))),
            try vector(
                "a sealed value about its own row by name", put.value(value(about: Fixed.row))),
            try vector(
                "a sealed value over others", firstSeq: 9,
                head.row(items: 3).code(5, 1).value(value()).numbers(2)),
            try vector(
                "a resolution shows a sealed value", firstSeq: 9,
                head.row(items: 4).code(5, 2).value(value(about: Fixed.otherRow)).array(0)
                    .numbers(2)),
            try vector(
                "the subject of a sealed value is not entered",
                BodyDraft().changeset(now, rows: 2).row(items: 4).code(5, 0)
                    .value(value(about: Fixed.otherRow)).code(6, 0).array(2).number(2)
                    .blob([UInt8](repeating: 7, count: 16)).array(4).number(3).number(1).put),
            try vector(
                "a box of 65632 bytes", put.value(value([UInt8](repeating: 0x5a, count: 65_632)))),
        ]
    }

    static func wrongSealed() throws -> [Vector] {
        let put = ops(2).code(5, 0)
        let subject = Fixed.otherRow.identifier.bytes
        let sealed = { (count: Int) in put.array(count).number(4) }
        return [
            try refusal("a sealed value without a box", "invalid", sealed(1)),
            try refusal(
                "a sealed value of four items", "invalid", sealed(4).blob(box).blob(subject).null),
            try refusal("a box that is a text", "unexpectedType", sealed(2).text("a")),
            try refusal("a box that is null", "unexpectedType", sealed(2).null),
            try refusal("a box of nothing", "invalid", sealed(2).blob([])),
            try refusal("a box of a tag alone", "invalid", sealed(2).blob(box.dropLast())),
            try refusal(
                "a box of 65633 bytes", "tooLong",
                sealed(2).blob([UInt8](repeating: 0x5a, count: 65_633))),
            try refusal(
                "a subject of 15 bytes", "invalid", sealed(3).blob(box).blob(subject.dropLast())),
            try refusal(
                "a subject of 17 bytes", "tooLong", sealed(3).blob(box).blob(subject + [0])),
            try refusal("a subject that is null", "unexpectedType", sealed(3).blob(box).null),
            try refusal("a subject by number", "unexpectedType", sealed(3).blob(box).number(0)),
            try refusal("an erased value", "invalid", put.array(1).number(5)),
            try refusal("an erased value of two items", "invalid", put.array(2).number(5).null),
            try refusal(
                "an erased value in a resolution", "invalid",
                ops(4).code(5, 2).array(1).number(5).array(0).array(0)),
            try refusal("an element that is sealed", "invalid", ops(2).code(4, 5).value(value())),
            try refusal(
                "an element that is sealed, over others", "invalid", firstSeq: 9,
                ops(3).code(4, 6).value(value(about: Fixed.row)).numbers(2)),
            try refusal(
                "a sealed element goes", "invalid", firstSeq: 9,
                ops(3).code(4, 7).value(value()).numbers(2)),
            try refusal("an element that is erased", "invalid", ops(2).code(4, 5).value(.erased)),
            try refusal(
                "a sealed value in a composite", "unexpectedType",
                put.array(2).number(0).value(value())),
            try refusal(
                "a sealed value in a key", "unexpectedType",
                head.array(4).number(1).array(1).value(value()).put),
        ]
    }
}

/// The same by columns.
extension ColumnVectors {
    static func sealedValues() throws -> Vector {
        let (one, two) = (BodyVectors.box, BodyVectors.box.reversed() as [UInt8])
        func value(_ box: [UInt8], _ subject: RowID? = nil) -> Value {
            .sealed(SealedValue(about: subject, box: box))
        }
        // The same box again: by number.
        let values = [
            value(one), value(two, Fixed.row), .text("plain"), .null, value(one),
            value(one, Fixed.otherRow),
        ]
        let draft = values.reduce(BodyDraft().changeset(BodyVectors.now, rows: values.count)) {
            $0.newRow(items: 2).code(3, 0).value($1)
        }
        return try vector("sealed values", try seal([(draft, 1)])[0])
    }

    static func wrongSealed() throws -> [Vector] {
        let large = [UInt8](repeating: 0x5a, count: 65_632)
        return [
            try refusal("a sealed value without a box", "invalid") {
                $0.columns = [0x03, 0x81, 0x04]
            },
            try refusal("a box of a tag alone", "invalid") {
                $0.columns = [0x03, 0x82, 0x04, 0x50] + BodyVectors.box.dropLast()
            },
            try refusal("a box of 65633 bytes", "tooLong") {
                $0.columns = [0x03, 0x82, 0x04, 0x5a, 0x00, 0x01, 0x00, 0x61]
            },
            try refusal("a sealed value of four items", "invalid") {
                $0.columns = [0x03, 0x84, 0x04, 0x51] + BodyVectors.box
            },
            try refusal("a subject that is null", "unexpectedType") {
                $0.columns = [0x03, 0x83, 0x04, 0x51] + BodyVectors.box + [0xf6]
            },
            try refusal("an erased value", "invalid") { $0.columns = [0x03, 0x81, 0x05] },
            try refusal("a value of an unknown form", "invalid") {
                $0.columns = [0x03, 0x81, 0x06]
            },
            try refusal("an element that is sealed", "invalid") {
                $0.shapes[4] = 0x15
                $0.columns = [0x03, 0x82, 0x04, 0x51] + BodyVectors.box
            },
            try refusal("an author that is sealed", "invalid") {
                $0.authors = [0x03, 0x82, 0x04, 0x51] + BodyVectors.box
            },
            try refusal("a box of 65632 bytes that comes 65 times", "tooLong") {
                $0.rowCounts = [0x01, 65]
                $0.shapes = [0x01, 0x83, 0x01, 0x00, 0x10]
                $0.names = []
                $0.columns =
                    [0x00, 0x41, 0xfe] + [UInt8](repeating: 0xff, count: 7) + [0x01]
                    + [0x82, 0x04, 0x5a, 0x00, 0x01, 0x00, 0x60] + large
            },
        ]
    }
}
