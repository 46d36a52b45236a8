import Foundation
import Simulation
import Testing

/// What was found once, made as small as it could be: each file is named by what went wrong.
@Suite struct Corpus {
    private static let folder = URL(filePath: #filePath).deletingLastPathComponent()
        .appending(path: "Corpus")

    static let names: [String] = {
        let names = try? FileManager.default.contentsOfDirectory(atPath: folder.path)
        return (names ?? []).filter { $0.hasSuffix(".forum") }.sorted()
    }()

    @Test(arguments: names)
    func `what went wrong once does not again`(_ name: String) throws {
        let text = try String(
            contentsOf: Self.folder.appending(path: name), encoding: .utf8)
        let report = World.play(try Scenario(text: text), in: memory)
        #expect(report.violation == nil)
    }

    @Test func `there are such files`() {
        #expect(!Self.names.isEmpty)
    }
}
