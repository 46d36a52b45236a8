import Crypto
import Foundation
import Testing

/// The vectors of a format that is kept: what was true of it once stays true, whatever is added.
@Suite struct KeptVectors {
    private static let folder = URL(filePath: #filePath)
        .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
        .appending(path: "Protocol")
    private static let list = folder.appending(path: "prior/format-1/vectors.txt")

    /// `FILE DIGEST` for each vector that there is, ascending: 8 bytes of SHA-256 over its line.
    private func lines() throws -> [String] {
        let vectors = Self.folder.appending(path: "vectors")
        let names = try FileManager.default.contentsOfDirectory(atPath: vectors.path)
        return try names.flatMap { name in
            try String(contentsOf: vectors.appending(path: name), encoding: .utf8)
                .split(separator: "\n").map { line in
                    let digest = SHA256.hash(data: Data(line.utf8)).prefix(8)
                    return "\(name) " + digest.map { String(format: "%02x", $0) }.joined()
                }
        }.sorted()
    }

    @Test func `every vector of format 1 is there as it was`() throws {
        let kept = try String(contentsOf: Self.list, encoding: .utf8).split(separator: "\n")
        let missing = Set(kept.map(String.init)).subtracting(try lines())
        #expect(kept.count > 1_800)
        #expect(
            missing.isEmpty,
            """
            \(missing.count) vectors of Protocol/vectors are gone or changed, and other programs go by \
            them: \(missing.sorted().prefix(5))
            """)
    }

    /// `KARVAN_WRITE_PRIOR=DIR`, as for the files.
    @Test(.enabled(if: ProcessInfo.processInfo.environment["KARVAN_WRITE_PRIOR"] != nil))
    func `a list for those who come later`() throws {
        let target = URL(
            filePath: ProcessInfo.processInfo.environment["KARVAN_WRITE_PRIOR"] ?? "")
        try Data((try lines().joined(separator: "\n") + "\n").utf8)
            .write(to: target.appending(path: "vectors.txt"))
    }
}
