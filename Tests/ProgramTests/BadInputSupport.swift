import Foundation
import Testing

/// A command that can't do what it is asked.
struct Mistake: Sendable, CustomTestStringConvertible {
    var name: String
    var arguments: [String]
    var status: Int32
    /// What the message holds: what is wrong, and what to do.
    var says: [String]

    init(_ name: String, _ arguments: [String], ends status: Int32, says: String...) {
        self.name = name
        self.arguments = arguments
        self.status = status
        self.says = says
    }

    var testDescription: String { name }
}

extension Forum {
    /// Runs it twice, for people and for programs: its exit code, one sentence or one object on
    /// standard error, and nothing on standard output.
    ///
    /// - Returns: the object.
    @discardableResult
    func expect(
        _ mistake: Mistake, on laptop: String, sourceLocation: SourceLocation = #_sourceLocation
    ) throws -> [String: Any] {
        let environment = ["KARVAN_REPLICA": "\(laptop).sqlite"]
        let text = try Programs.run(
            "karvan", mistake.arguments, in: directory, environment: environment)
        let object = try Programs.run(
            "karvan", ["--json"] + mistake.arguments, in: directory, environment: environment)
        let said = text.errors
        #expect(text.status == mistake.status, "\(said)", sourceLocation: sourceLocation)
        #expect(
            text.output.isEmpty && object.output.isEmpty, "\(mistake)",
            sourceLocation: sourceLocation)
        for part in mistake.says {
            #expect(said.contains(part), "\(said)", sourceLocation: sourceLocation)
        }
        if mistake.status == 64 {
            #expect(said.hasPrefix("Error: "), "\(said)", sourceLocation: sourceLocation)
        } else {
            let isSentence = said.hasPrefix("karvan: ") && said.hasSuffix(".\n")
            #expect(
                isSentence && !said.contains(".."), "\(said)", sourceLocation: sourceLocation)
        }
        #expect(object.status == mistake.status, "\(object)", sourceLocation: sourceLocation)
        let facts = object.json
        #expect(
            facts["exit"] as? Int == Int(mistake.status) && facts["status"] is String,
            "\(object.errors)", sourceLocation: sourceLocation)
        let error = facts["error"] as? String ?? ""
        for part in mistake.says {
            #expect(error.contains(part), "\(object.errors)", sourceLocation: sourceLocation)
        }
        return facts
    }

    /// As above, and the replica holds what it held before.
    @discardableResult
    func expectNothingWritten(
        _ mistake: Mistake, on laptop: String, sourceLocation: SourceLocation = #_sourceLocation
    ) throws -> [String: Any] {
        let before = try verified(laptop)
        let facts = try expect(mistake, on: laptop, sourceLocation: sourceLocation)
        #expect(try verified(laptop) == before, "\(mistake)", sourceLocation: sourceLocation)
        return facts
    }
}
