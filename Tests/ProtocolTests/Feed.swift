import Causality
import Foundation
import RecordSchema
import ReplicaStore
import SyncProtocol

extension Kind {
    static let feed = Kind(
        name: "feed", answer: { try FeedKind.answer($0, $1) },
        vectors: { try FeedVectors.vectors() })
}

/// Places in a hub's feed.
private enum FeedKind {
    static func answer(_ given: JSON, _ when: JSON) throws -> JSON {
        if when == "chain" { return try chain(given) }
        guard let cursor = when["cursor"] else {
            throw VectorError("feed: an unknown kind \(when.document)")
        }
        let feed = try Feed(
            epoch: try given.member("epoch").hex(), namespace: try given.member("namespace").text(),
            held: try given.items("held").map { try RunParts($0).run() })
        return try feed.entries(after: cursor == .null ? nil : try cursor.cursor())
    }

    private static func chain(_ given: JSON) throws -> JSON {
        var cursor = Cursor.start(
            epoch: try given.member("epoch").identifier(),
            scope: try given.member("scope").text())
        var chains = [cursor.chain]
        for entry in try given.items("entries") {
            cursor = cursor.advanced(by: try entry.stub())
            chains.append(cursor.chain)
        }
        return ["chains": .array(chains.map(JSON.hash))]
    }
}

/// The feed of a hub without tables, which keeps whatever it gets.
private final class Feed {
    private let directory: URL
    private let replica: Replica

    init(epoch: [UInt8], namespace: String, held: [SealedRun]) throws {
        directory = FileManager.default.temporaryDirectory
            .appending(path: "karvan-vectors-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
        var environment = Environment.system(command: "vectors")
        environment.wallMilliseconds = { 1_764_000_000_000 }
        environment.randomBytes = { count in (0..<count).map { epoch[$0 % epoch.count] } }
        replica = try Replica.create(
            at: directory.appending(path: "hub.sqlite").path, name: "vectors",
            schema: Schema(name: namespace, version: 1, tables: []), environment: environment,
            key: Fixed.key(9), keepsFeed: true)
        for result in try replica.ingest(held) {
            guard case .applied = result else {
                throw VectorError("a run that is held was not taken: \(result)")
            }
        }
    }

    deinit { try? FileManager.default.removeItem(at: directory) }

    func entries(after cursor: Cursor?) throws -> JSON {
        do {
            let found = try replica.feedEntries(after: cursor, ahead: [])
            return [
                "behind": .array(found.entries.map { .stub($0.stub) }),
                "cursor": .cursor(found.cursor),
            ]
        } catch let refusal as Refusal where refusal.code == .epoch {
            return ["refused": "EPOCH"]
        }
    }
}

private enum FeedVectors {
    private static let epoch = Identifier([UInt8](repeating: 0x0e, count: 16))!

    static func vectors() throws -> [Vector] { try chains() + cursors() }

    private static func chains() throws -> [Vector] {
        let stubs = (1...3).map { number in
            RunStub(
                stream: Fixed.stream(UInt64(number)), lastSeq: [1, 24, 1 << 63 - 1][number - 1],
                hash: Digest(sha256: [UInt8(number)]))
        }
        let cases: [(String, Identifier, String, [RunStub])] = [
            ("the start of the base scope's", epoch, "forum", []),
            ("the start of another scope's", epoch, "delegation/KZ", []),
            ("the start of that of a scope without a name", epoch, "", []),
            ("the start of that of a scope beyond ASCII", epoch, "\u{259}", []),
            ("the start of another epoch", Identifier(high: 0, low: 1), "forum", []),
            ("three entries", epoch, "forum", stubs),
            ("the same in another order", epoch, "forum", stubs.reversed()),
            ("the same of another scope", epoch, "delegation/KZ", stubs),
            ("an entry twice", epoch, "forum", [stubs[0], stubs[1], stubs[0]]),
        ]
        return try cases.map { name, epoch, scope, entries in
            try Vector(
                "a chain: \(name)",
                given: [
                    "epoch": .hex(epoch.bytes), "scope": .text(scope),
                    "entries": .array(entries.map(JSON.stub)),
                ], when: "chain", by: .feed)
        }
    }

    private static func cursors() throws -> [Vector] {
        let held = [RunVectors.first, RunVectors.other, RunVectors.second]
        let stubs = held.map {
            RunStub(stream: $0.stream, lastSeq: $0.lastSeq, hash: $0.hash)
        }
        var places = [Cursor.start(epoch: epoch, scope: "forum")]
        for stub in stubs { places.append(places[places.count - 1].advanced(by: stub)) }
        func changed(_ offset: Int, _ change: (inout Cursor) -> Void) -> Cursor {
            var cursor = places[offset]
            change(&cursor)
            return cursor
        }
        let beyond = places[3].advanced(by: stubs[0])
        let otherWay = places[0].advanced(by: stubs[1]).advanced(by: stubs[0])
        let elsewhere = Cursor.start(epoch: Identifier(high: 0, low: 1), scope: "forum")
        let cases: [(String, Cursor?, Int?)] = [
            ("none", nil, 0), ("the start", places[0], 0), ("behind the first", places[1], 1),
            ("behind the second", places[2], 2), ("the end", places[3], 3),
            ("beyond the end", beyond, nil), ("another order", otherWay, nil),
            ("another epoch", changed(2) { $0.epoch = Identifier(high: 0, low: 1) }, nil),
            ("the start of another epoch", elsewhere, nil),
            ("the start of another scope", .start(epoch: epoch, scope: "delegation/KZ"), nil),
            ("the chain of another offset", changed(1) { $0.offset = 2 }, nil),
            ("the start's chain at another offset", changed(0) { $0.offset = 1 }, nil),
            ("another chain at the start", changed(1) { $0.offset = 0 }, nil),
            ("the greatest offset", changed(3) { $0.offset = 1 << 62 - 1 }, nil),
        ]
        return try cases.map { name, cursor, offset in
            try vector(
                "a cursor: \(name)", cursor, to: held,
                offset.map { offset in
                    [
                        "behind": .array(stubs[offset...].map(JSON.stub)),
                        "cursor": .cursor(places[3]),
                    ]
                } ?? ["refused": "EPOCH"])
        } + [
            vector(
                "a cursor: the start of a feed without runs", places[0], to: [],
                ["behind": [], "cursor": .cursor(places[0])]),
            vector(
                "a cursor: none in a feed without runs", nil, to: [],
                ["behind": [], "cursor": .cursor(places[0])]),
        ]
    }

    private static func vector(
        _ name: String, _ cursor: Cursor?, to held: [RunDraft], _ expect: JSON
    ) throws -> Vector {
        try Vector(
            name,
            given: [
                "epoch": .hex(epoch.bytes), "namespace": "forum",
                "held": .array(held.map(\.parts.json)),
            ], when: ["cursor": cursor.map(JSON.cursor) ?? .null], expect: expect, by: .feed)
    }
}
