import Foundation
import Testing

/// `Protocol/vectors` against the code, line by line.
///
/// With `KARVAN_WRITE_VECTORS=DIR` in the environment the files are written to DIR.
@Suite struct Vectors {
    @Test(arguments: Kind.all.map(\.name))
    func `every vector is answered by the code as it says`(name: String) throws {
        let kind = try Kind.named(name)
        let vectors = try VectorFolder.vectors(in: try VectorFolder.text(of: name))
        for vector in vectors {
            let answer = try kind.answer(vector.given, vector.when)
            #expect(
                answer == vector.expect,
                "\(name): \(vector.name): \(answer.document) instead of \(vector.expect.document)")
        }
        print("\(name).jsonl: \(vectors.count) vectors")
    }

    @Test(arguments: Kind.all.map(\.name))
    func `the files are what the generator writes, byte for byte`(name: String) throws {
        let text = try Kind.named(name).text()
        if let path = ProcessInfo.processInfo.environment["KARVAN_WRITE_VECTORS"] {
            let file = URL(filePath: path).appending(path: name + ".jsonl")
            try Data(text.utf8).write(to: file)
        }
        #expect(try VectorFolder.text(of: name).utf8.elementsEqual(text.utf8))
        for vector in try VectorFolder.vectors(in: text) {
            #expect(try Vector(line: vector.line) == vector)
        }
    }

    @Test func `there is a file for each kind, and no other`() throws {
        #expect(try VectorFolder.kinds() == Kind.all.map(\.name).sorted())
    }

    @Test func `what nobody can check is an error`() throws {
        #expect(throws: VectorError.self) { try Kind.named("poems") }
        #expect(throws: VectorError.self) { try VectorFolder.vectors(in: "") }
        #expect(throws: JSONError.self) { try VectorFolder.vectors(in: "\n") }
        let line = #"{"name":"a","given":{},"when":"sing","expect":{}}"# + "\n"
        #expect(try VectorFolder.vectors(in: line).count == 1)
        #expect(throws: VectorError.self) { try VectorFolder.vectors(in: line + line) }
        #expect(throws: VectorError.self) {
            try VectorFolder.vectors(in: line.replacingOccurrences(of: "when", with: "then"))
        }
        for kind in Kind.all {
            #expect(throws: VectorError.self, "\(kind.name)") { try kind.answer([:], "sing") }
        }
    }

    @Test func `a story names no step that wrote nothing, and deliveries have no holes`() throws {
        let stories = try VectorFolder.vectors(in: try VectorFolder.text(of: "resolutions"))
        let story = try #require(stories.first { $0.when["steps"] != nil })
        let undo: JSON = ["do": "undo", "column": 1, "dot": ["step": 0]]
        let restore: JSON = [
            "at": 0, "time": "1.0", "write": [["do": "restore"]],
        ]
        let steps: JSON = [restore, ["at": 0, "time": "2.0", "write": [undo]]]
        let kind = try Kind.named("resolutions")
        #expect(throws: VectorError.self) { try kind.answer(story.given, ["steps": steps]) }
        #expect(throws: Never.self) { try kind.answer(story.given, ["steps": [restore]]) }
        let changeset: JSON = ["dot": .dot(a(2)), "time": "1.0", "after": [], "rows": []]
        #expect(throws: VectorError.self) {
            try Kind.named("merge").answer(["changesets": [changeset]], "deliver")
        }
    }

    @Test(arguments: [
        "", "[1,]", "{\"a\":1,\"a\":2}", "1.5", "1e3", "01", "-0", "9007199254740992",
        "\"\u{e9}\"", "\"\\n\"", "[1] 2", "{\"a\"}", "\"a",
    ])
    func `JSON that could be read in two ways is refused`(text: String) {
        #expect(throws: JSONError.self) { try JSON(document: text) }
    }
}
