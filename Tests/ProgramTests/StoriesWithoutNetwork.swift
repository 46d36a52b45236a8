import Foundation
import Testing

/// Recording is local: no command but `enrol` and `sync` asks anything of the network.
@Suite struct StoriesWithoutNetwork {
    /// The network calls that a command makes, one on a line.
    private func networkCalls(
        of arguments: [String], on laptop: String, in forum: Forum
    ) throws -> String {
        let finished = try Programs.run(
            "/usr/bin/strace",
            ["-f", "-qq", "-e", "trace=network", "-o", "trace", Programs.path("karvan")]
                + arguments,
            in: forum.directory, environment: ["KARVAN_REPLICA": "\(laptop).sqlite"])
        #expect(finished.status == 0, "\(arguments): \(finished.errors)")
        return try String(contentsOf: forum.path("trace"), encoding: .utf8)
    }

    @Test(arguments: [
        ["init", "--name", "new", "--replica", "new.sqlite"],
        ["attend", "P07", "AZ-014", "AZ-015", "--door", "B"],
        ["attend", "P07", "AZ-016", "--undo"],
        ["visit", "V12", "KZ", "--arrived", "11:20", "--note", "by bus"],
        ["set", "person", "AZ-014", "role=speaker"],
        ["delete", "person", "AZ-180"],
        ["import", "people", Programs.sample("people.csv")],
        ["list", "attendance"], ["list", "person"], ["show", "person", "AZ-014"],
        ["show", "person", "AZ-014", "--blame", "--at", "2099-01-01T00:00Z"],
        ["history", "person", "AZ-014"],
        ["conflicts", "list"], ["conflicts", "log"], ["status"], ["verify"],
        ["sql", "SELECT count(*) FROM person"],
    ])
    func `no network call is made by`(_ arguments: [String]) throws {
        let forum = try Forum(prepared: ["L1"])
        if arguments.contains("--undo") { try forum.must("L1", "attend", "P07", "AZ-016") }
        let calls = try networkCalls(of: arguments, on: "L1", in: forum)
        #expect(calls.isEmpty, "\(calls)")
    }

    /// Otherwise the test above could not fail.
    @Test func `the network calls of a sync are seen`() throws {
        let forum = try Forum(prepared: ["L1"])
        try forum.connect("L1")
        let port = try #require(forum.url.split(separator: ":").last)
        let calls = try networkCalls(of: ["sync"], on: "L1", in: forum)
        #expect(calls.contains("htons(\(port))"), "\(calls)")
    }
}
