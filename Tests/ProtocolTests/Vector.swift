import Foundation

/// One line of a file of vectors.
struct Vector: Equatable, Sendable {
    var name: String
    var given: JSON
    var when: JSON
    var expect: JSON

    /// - Parameter expect: `nil` for what the code answers: where a hash or a list of all live ops
    ///   can't be said by hand.
    init(_ name: String, given: JSON, when: JSON, expect: JSON? = nil, by kind: Kind) throws {
        self.name = name
        self.given = given
        self.when = when
        self.expect = try expect ?? kind.answer(given, when)
    }

    init(line: some StringProtocol) throws {
        let json = try JSON(document: line)
        guard case .object(let members) = json,
            members.map(\.name) == ["name", "given", "when", "expect"],
            case .string(let name) = members[0].value
        else { throw VectorError("the line is not {name, given, when, expect}") }
        self.name = name
        given = members[1].value
        when = members[2].value
        expect = members[3].value
    }

    var line: String {
        let json: JSON = [
            "name": .string(name), "given": given, "when": when, "expect": expect,
        ]
        return json.document
    }
}

/// A vector that can't be read, or says what can't be.
struct VectorError: Error, CustomStringConvertible {
    var description: String

    init(_ description: String) { self.description = description }
}

/// What a file of vectors is about: how the code answers, and which vectors there are.
struct Kind: Sendable {
    /// Of the file, without its ending.
    var name: String
    /// The code's answer, in the form of `expect`.
    var answer: @Sendable (_ given: JSON, _ when: JSON) throws -> JSON
    /// The vectors, the same each time.
    var vectors: @Sendable () throws -> [Vector]

    static let all: [Kind] = [
        .cbor, .bodies, .ids, .runs, .clock, .merge, .folds, .resolutions, .certificates, .cuts,
        .personal, .erasures, .messages, .feed, .bundles, .meetings, .blobs,
    ]

    static func named(_ name: String) throws -> Kind {
        guard let kind = all.first(where: { $0.name == name }) else {
            throw VectorError("\(name).jsonl holds vectors of an unknown kind")
        }
        return kind
    }

    /// The text of the file.
    func text() throws -> String {
        try vectors().map { $0.line + "\n" }.joined()
    }
}

/// The folder of the vectors.
enum VectorFolder {
    static let url = URL(filePath: #filePath)
        .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
        .appending(path: "Protocol/vectors")

    static func kinds() throws -> [String] {
        try FileManager.default.contentsOfDirectory(atPath: url.path)
            .filter { $0.hasSuffix(".jsonl") }.map { String($0.dropLast(6)) }.sorted()
    }

    static func text(of kind: String) throws -> String {
        try String(contentsOf: url.appending(path: kind + ".jsonl"), encoding: .utf8)
    }

    /// - Throws: ``VectorError`` for a text without vectors, or in which two have one name.
    static func vectors(in text: String) throws -> [Vector] {
        guard text.hasSuffix("\n") else { throw VectorError("there is no vector") }
        let vectors = try text.dropLast().split(separator: "\n", omittingEmptySubsequences: false)
            .map { try Vector(line: $0) }
        guard Set(vectors.map(\.name)).count == vectors.count else {
            throw VectorError("two vectors have one name")
        }
        return vectors
    }
}
