import Foundation
import Testing

/// A hub that moves to another address is the same hub.
@Suite(.timeLimit(.minutes(20))) struct StoriesOfAddresses {
    @Test func `laptops go on with a hub that has another address`() throws {
        let forum = try Forum(prepared: ["L1"])
        try forum.connect("L1")
        let old = forum.url
        try forum.must("L1", "visit", "V12", "KZ", "--arrived", "11:20")
        forum.stopHub()
        try forum.startHub(port: 0)
        try #require(forum.url != old)
        let lost = try forum.karvan("L1", "sync")
        #expect(lost.status == 69 && lost.errors.contains("1 change"))

        // Whoever answers there with another key learns nothing, and changes nothing.
        let stranger = try Forum()
        try stranger.startHub()
        let refused = try forum.karvan("L1", "sync", "--hub", stranger.url)
        #expect(refused.status == 76, "\(refused)")
        #expect(try forum.karvan("L1", "sync", "--hub", "http://hub").status == 65)
        #expect(try forum.must("L1", "status").contains(old))

        let moved = try forum.karvan("L1", "sync", "--hub", forum.url + "/")
        #expect(moved.status == 0, "\(moved)")
        #expect(moved.errors.contains("the hub's address is \(forum.url) from now on"))
        #expect(moved.output.contains("1 change sent"))
        let next = try forum.karvan("L1", "sync")
        #expect(next.status == 0 && next.errors.isEmpty, "\(next)")
    }
}

/// An operator shows a code, and a laptop is let in by what a scanner reads in it.
@Suite(.timeLimit(.minutes(20))) struct StoriesOfTokens {
    private func hub(_ forum: Forum, _ arguments: String...) throws -> Finished {
        try Programs.run(
            "karvan-hub", ["token", "create", "--store", "hub.sqlite"] + arguments,
            in: forum.directory)
    }

    private func scan(_ file: String, _ forum: Forum) throws -> String {
        try Programs.run(
            "/usr/bin/env",
            ["zbarimg", "--quiet", "--raw", "-Sdisable", "-Sqrcode.enable", "--oneshot", file],
            in: forum.directory
        ).output.trimmingCharacters(in: .newlines)
    }

    @Test func `what a scanner reads is the command that enrols`() throws {
        let forum = try Forum(prepared: ["L1"])
        try forum.startHub()
        let finished = try hub(
            forum, "--role", "recorder", "--url", forum.url + "/", "--png", "token.png")
        #expect(finished.status == 0, "\(finished)")
        let command = finished.output.trimmingCharacters(in: .newlines)
        #expect(try scan("token.png", forum) == command)
        let mode = try FileManager.default.attributesOfItem(
            atPath: forum.path("token.png").path)[.posixPermissions]
        #expect(mode as? Int == 0o600, "whoever reads it can use it")

        let words = command.split(separator: " ").map(String.init)
        #expect(words.first == "karvan" && words.count == 4)
        let said = try forum.must("L1", words[1], words[2], words[3])
        #expect(said.contains("Enrolled with \(forum.url) as recorder"))
        try forum.must("L1", "sync")
    }

    @Test func `a code for the eye lies under the token`() throws {
        let forum = try Forum(prepared: [])
        let finished = try hub(forum, "--qr")
        let lines = finished.output.split(separator: "\n", omittingEmptySubsequences: false)
        #expect(lines[0].hasPrefix("karvan1-") && lines[1].isEmpty)
        let code = lines[2...].dropLast()
        #expect(code.count > 20 && code.allSatisfy { $0.count == code[2].count })
        // No terminal: no colours.
        #expect(!finished.output.contains("\u{1B}"))
    }

    @Test func `what can't be shown makes no token`() throws {
        let forum = try Forum()
        try Data("mine".utf8).write(to: forum.path("mine.png"))
        for (arguments, status, words) in [
            (["--png", "mine.png"], Int32(65), "is there already"),
            (["--png", "missing/token.png"], 74, "missing/token.png"),
            (["--url", "http://hub", "--png", "token.png"], 65, "https://hub.example.org"),
            (["--url", "https://hub/$(reboot)", "--png", "token.png"], 65, "as it stands"),
            (["--role", "king", "--png", "token.png"], 65, "king"),
            (["--qr", "--json"], 64, "--png"),
        ] {
            let finished = try Programs.run(
                "karvan-hub", ["token", "create", "--store", "hub.sqlite"] + arguments,
                in: forum.directory)
            #expect(finished.status == status, "\(arguments): \(finished)")
            #expect((finished.output + finished.errors).contains(words), "\(finished)")
        }
        #expect(try Data(contentsOf: forum.path("mine.png")) == Data("mine".utf8))
        #expect(!FileManager.default.fileExists(atPath: forum.path("token.png").path))
        _ = try hub(forum)
        let count = try Programs.run(
            "/usr/bin/env", ["sqlite3", "hub.sqlite", "SELECT count(*) FROM sy_hub_token"],
            in: forum.directory)
        #expect(count.output == "1\n")
    }
}
