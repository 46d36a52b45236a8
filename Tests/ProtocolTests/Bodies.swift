import Causality
import Merge
import SyncProtocol

extension Kind {
    static let bodies = Kind(
        name: "bodies", answer: { try BodyKind.answer($0, $1) },
        vectors: {
            try BodyVectors.accepted() + BodyVectors.refused() + ColumnVectors.accepted()
                + ColumnVectors.refused()
        })
}

enum BodyKind {
    static func answer(_ given: JSON, _ when: JSON) throws -> JSON {
        if when == "columns" { return try columns(given) }
        guard when == "read" else { throw VectorError("bodies: an unknown kind \(when.document)") }
        var reader = BodyReader(
            body: try given.member("body").bytes(), stream: try given.member("stream").stream(),
            firstSeq: try given.number("firstSeq"),
            previousRun: try given.optional("previousRun") { try $0.hash() },
            streams: try given.items("streams").map { try $0.stream() },
            namespace: Array(try given.member("namespace").text().utf8))
        var changesets: [JSON] = []
        do throws(CBORError) {
            while let changeset = try reader.next() { changesets.append(.changeset(changeset)) }
        } catch {
            return ItemKind.reject(error)
        }
        return ["changesets": .array(changesets)]
    }
}

extension BodyKind {
    private static func columns(_ given: JSON) throws -> JSON {
        func reader(_ part: JSON) throws -> ColumnsReader {
            let place = ColumnsReader.Place(
                stream: try given.member("stream").stream(),
                firstSeq: try part.number("firstSeq"),
                previousRun: try part.optional("previousRun") { try $0.hash() },
                streams: try given.items("streams").map { try $0.stream() },
                namespace: Array(try given.member("namespace").text().utf8))
            let bytes = try part.member("body").bytes()
            do throws(CBORError) {
                return try ColumnsReader(bytes, at: place)
            } catch {
                throw RunError.body(error)
            }
        }
        do {
            let earlier = try given.items("earlier").map { part in
                let body = try reader(part)
                return RunVocabulary(
                    body, lastSeq: body.lastSeq, byteCount: try part.member("body").bytes().count)
            }
            let body = try reader(given)
            let changesets = try body.contents(
                lastSeq: body.lastSeq, byteCount: 0,
                earlier: { seq throws(RunError) in earlier.first { $0.lastSeq == seq } }
            ).changesets
            return ["changesets": .array(changesets.map(JSON.changeset))]
        } catch RunError.body(let error) {
            return ItemKind.reject(error)
        } catch RunError.source {
            return ["reject": "invalid"]
        }
    }
}

/// Writes the items of a body one by one, right or wrong.
struct BodyDraft {
    private(set) var encoder = CBOREncoder()

    var bytes: [UInt8] { encoder.bytes }

    static func + (draft: BodyDraft, item: UInt64) -> BodyDraft {
        draft.adding { $0.unsigned(item) }
    }

    func adding(_ write: (inout CBOREncoder) -> Void) -> BodyDraft {
        var draft = self
        write(&draft.encoder)
        return draft
    }

    func array(_ count: Int) -> BodyDraft { adding { $0.array(count) } }
    func map(_ count: Int) -> BodyDraft { adding { $0.map(count) } }
    func number(_ number: UInt64) -> BodyDraft { adding { $0.unsigned(number) } }
    func integer(_ number: Int64) -> BodyDraft { adding { $0.integer(number) } }
    func numbers(_ numbers: UInt64...) -> BodyDraft {
        numbers.reduce(array(numbers.count)) { $0.number($1) }
    }
    func blob(_ bytes: [UInt8]) -> BodyDraft { adding { $0.blob(bytes) } }
    func text(_ text: String) -> BodyDraft { adding { $0.text(text) } }
    func value(_ value: Value) -> BodyDraft { adding { $0.value(value) } }
    var null: BodyDraft { adding { $0.null() } }

    /// The head of a changeset that has no meta.
    ///
    /// - Parameter distance: milliseconds since the changeset before.
    func changeset(_ distance: UInt64, counter: UInt64 = 0, rows: Int) -> BodyDraft {
        let draft = array((counter == 0 ? 2 : 3) + rows)
            .number(distance << 1 | (counter == 0 ? 0 : 1))
        return (counter == 0 ? draft : draft.number(counter)).null
    }

    /// The head of a row with a whole id.
    func row(_ table: UInt64 = 1, _ id: RowID = Fixed.row, items: Int) -> BodyDraft {
        array(2 + items).number(table).blob(id.identifier.bytes)
    }

    /// The head of a new row.
    func newRow(_ table: UInt64 = 1, items: Int) -> BodyDraft {
        array(2 + items).number(table).null
    }

    func code(_ column: UInt64, _ shape: UInt64) -> BodyDraft { number(column << 4 | shape) }

    /// A put of 1 into column 1.
    var put: BodyDraft { code(1, 0).number(1) }
}
