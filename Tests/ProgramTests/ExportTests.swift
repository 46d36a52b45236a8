import Foundation
import Testing

/// `karvan verify --export`, and the oracle's word on it.
@Suite struct ExportTests {
    private func oracle(_ files: String..., in forum: Forum) throws -> Finished {
        let script = Programs.checkout.appending(path: "Protocol/oracle.py").path
        return try Programs.run(
            "/usr/bin/env", ["python3", "-B", script] + files, in: forum.directory)
    }

    @Test func `laptops that disagree export what the oracle finds`() throws {
        let forum = try Forum(prepared: ["L1", "L2"])
        try forum.connect("L1", "L2")
        try forum.must("L1", "visit", "V12", "KZ", "--arrived", "11:20", "--note", "Əli, \"bus\"")
        try forum.must("L2", "visit", "V12", "KZ", "--arrived", "12:05", "--note", "on foot")
        try forum.must("L2", "delete", "person", "AZ-180")
        try forum.must("L1", "tally", "P07", "door A", "+3")
        for laptop in ["L1", "L2", "L1"] { try forum.must(laptop, "sync") }
        for laptop in ["L1", "L2"] {
            let report = try forum.must(laptop, "verify", "--export", "\(laptop).jsonl")
            #expect(report.contains("is whole"))
        }
        let file = forum.path("L1.jsonl")
        let mode = try FileManager.default.attributesOfItem(atPath: file.path)[.posixPermissions]
        #expect(mode as? Int == 0o600, "an export holds what the replica holds")
        let finished = try oracle("L1.jsonl", "L2.jsonl", in: forum)
        #expect(finished.status == 0, "\(finished.output)\(finished.errors)")
        #expect(finished.output.hasPrefix("2 exports, "))
        #expect(!finished.output.contains(" 0 open"), "nobody disagreed")

        // Long texts stand as their bytes (01-encoding §6).
        try forum.must("L1", "visit", "V12", "KZ", "--note", String(repeating: "a", count: 1_001))
        let long = try forum.must("L1", "verify", "--export", "-")
        let digits = String(repeating: "61", count: 1_001)
        #expect(long.contains("{\"text\":\"\(digits)\"}") && !long.contains("aaaaaaaa"))

        let printed = try forum.must("L2", "verify", "--export", "-")
        #expect(try printed == String(contentsOf: forum.path("L2.jsonl"), encoding: .utf8))
        let hash = try forum.must("L2", "verify", "--state-hash")
        #expect(printed.contains(hash.trimmingCharacters(in: .newlines)))
    }

    @Test func `an export that can't be written leaves nothing behind`() throws {
        let forum = try Forum(prepared: ["L1"])
        let finished = try forum.karvan("L1", "verify", "--export", "missing/out.jsonl")
        #expect(finished.status == 74)
        #expect(finished.errors.contains("missing/out.jsonl"))
    }
}
