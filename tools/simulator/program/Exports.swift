import Foundation
import Simulation

/// What the replicas of a forum export, and what the oracle says of it: a process of its own, in
/// another language, that shares nothing with the engine.
final class Exports {
    let folder: URL
    private let script: String

    init(judgedBy script: String) throws {
        self.script = script
        folder = FileManager.default.temporaryDirectory
            .appending(path: "karvan-exports-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    }

    deinit { try? FileManager.default.removeItem(at: folder) }

    func judge() throws -> Violation? {
        let files = try FileManager.default.contentsOfDirectory(atPath: folder.path).sorted()
        let process = Process()
        process.executableURL = URL(filePath: "/usr/bin/env")
        process.arguments =
            ["timeout", "120", "python3", "-B", script]
            + files.map { folder.appending(path: $0).path }
        let output = Pipe()
        process.standardOutput = output
        process.standardError = output
        try process.run()
        let text = String(
            decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
        process.waitUntilExit()
        guard process.terminationStatus == 0, text.hasSuffix("\n0 differences\n") else {
            return Violation("I6", "the oracle: \(text.suffix(2_000))")
        }
        return nil
    }
}
