import Foundation
import Testing

/// Delegations see what is theirs, and what everybody sees; the office and the hub see all.
@Suite struct StoriesOfScopes {
    private func hub(_ forum: Forum, _ arguments: String...) throws -> String {
        let finished = try Programs.run(
            "karvan-hub", arguments + ["--store", "hub.sqlite"], in: forum.directory)
        guard finished.status == 0 else { throw ProgramError(description: finished.errors) }
        return finished.output
    }

    private func run(_ forum: Forum, _ laptop: String, _ arguments: String...) throws -> Finished {
        try Programs.run(
            "karvan", arguments, in: forum.directory,
            environment: ["KARVAN_REPLICA": "\(laptop).sqlite"])
    }

    /// HQ, and a recorder for each of two delegations.
    private func forum() throws -> Forum {
        let forum = try Forum()
        try forum.startHub()
        try forum.enrol("HQ")
        try forum.importSample(on: "HQ")
        try forum.must("HQ", "sync")
        for code in ["KZ", "UZ"] {
            try forum.must(code, "init", "--name", code)
            let token = try forum.token(
                "--role", "recorder", "--scope", "delegation/\(code)")
            let words = try forum.must(code, "enrol", forum.url, token)
            #expect(words.contains("as recorder, for forum, delegation/\(code)."), "\(words)")
            try forum.must(code, "sync")
        }
        return forum
    }

    /// Every file of a store, whatever lies in it.
    private func finds(_ text: String, in store: String, _ forum: Forum) throws -> [String] {
        try FileManager.default.contentsOfDirectory(atPath: forum.directory.path)
            .filter { $0.hasPrefix("\(store).") }
            .filter { name in
                FileManager.default.contents(atPath: forum.path(name).path)?
                    .range(of: Data(text.utf8)) != nil
            }
    }

    @Test func `a delegation's laptops see what is theirs alone`() throws {
        let forum = try forum()
        for code in ["KZ", "UZ"] {
            try forum.must(
                code, "visit", "V12", code, "--arrived", "11:20", "--outcome",
                "canary of \(code)", "--note", "told to \(code)")
            try forum.must(code, "attend", "P07", "\(code)-001")
            try forum.must(code, "tally", "V01", "door \(code)", "+3")
        }
        for laptop in ["KZ", "UZ", "HQ", "KZ", "UZ"] { try forum.must(laptop, "sync") }
        #expect(try forum.stateHash("HQ") == forum.stateHash("hub"))
        for (code, other) in [("KZ", "UZ"), ("UZ", "KZ")] {
            #expect(try forum.rows(code, "SELECT outcome FROM visit") == ["canary of \(code)"])
            #expect(try forum.rows(code, "SELECT text FROM note") == ["told to \(code)"])
            let seen = try forum.must(code, "list", "observation")
            #expect(seen.contains("\(code)-001") && !seen.contains("\(other)-001"), "\(seen)")
            // What everybody reads, all have.
            #expect(try forum.rows(code, "SELECT count(*) FROM tally") == ["2"])
            #expect(try forum.rows(code, "SELECT count(*) FROM person") != ["0"])
            for canary in ["canary of \(other)", "told to \(other)"] {
                #expect(try finds(canary, in: code, forum) == [])
            }
            let status = try forum.must(code, "status")
            #expect(status.contains("reads          forum, delegation/\(code)\n"), "\(status)")
            #expect(try forum.must(code, "verify").contains("is whole"))
        }
        #expect(try forum.must("HQ", "list", "visit").contains("canary of KZ"))
        #expect(try forum.must("HQ", "status").contains("reads          all\n"))
        #expect(try forum.must("HQ", "verify").contains("is whole"))

        // And writes there alone: nothing is written, and it says what to do.
        let before = try forum.stateHash("KZ")
        for arguments in [
            ["visit", "V12", "UZ", "--arrived", "10:00"], ["attend", "P07", "UZ-001"],
        ] {
            let finished = try Programs.run(
                "karvan", arguments, in: forum.directory,
                environment: ["KARVAN_REPLICA": "KZ.sqlite"])
            #expect(finished.status == 77, "\(finished)")
            #expect(
                finished.errors.contains("of delegation/UZ: it is enrolled as recorder"),
                "\(finished)")
        }
        #expect(try forum.stateHash("KZ") == before)
    }

    /// A word of each delegation's own, looked for wherever it must not be.
    @Test func `nothing of a delegation is in another's files, output and errors, or in a log`()
        throws
    {
        let forum = try forum()
        let codes = try forum.rows("HQ", "SELECT code FROM delegation ORDER BY code")
        #expect(codes.count == 8)
        for code in codes where !["KZ", "UZ"].contains(code) {
            try forum.must(code, "init", "--name", code)
            let token = try forum.token("--role", "lead", "--scope", "delegation/\(code)")
            try forum.must(code, "enrol", forum.url, token)
            try forum.must(code, "sync")
        }
        func canary(_ code: String) -> String { "kanarya-\(code)-7f3a" }
        for code in codes {
            try forum.must(
                code, "visit", "V12", code, "--arrived", "11:20", "--outcome", canary(code))
            try forum.must(code, "visit", "V12", code, "--note", canary(code))
        }
        // The office disagrees with each, so that there are conflicts to tell of.
        for code in codes {
            try forum.must("HQ", "visit", "V12", code, "--outcome", "office: \(canary(code))")
        }
        for laptop in codes + ["HQ"] + codes { try forum.must(laptop, "sync") }
        #expect(try forum.stateHash("HQ") == forum.stateHash("hub"))
        for code in codes {
            var words = ""
            func ask(_ arguments: String...) throws {
                let finished = try Programs.run(
                    "karvan", arguments, in: forum.directory,
                    environment: ["KARVAN_REPLICA": "\(code).sqlite"])
                words += finished.output + finished.errors
            }
            for other in codes where other != code {
                try ask("show", "visit", "V12/\(other)")
                try ask("history", "visit", "V12/\(other)")
                try ask("visit", "V12", other, "--outcome", "x")
            }
            try ask("list", "visit")
            try ask("list", "note", "--json")
            try ask("conflicts", "list")
            try ask("status", "--mine")
            try ask("verify", "--export", "-")
            try ask("sync", "--json")
            #expect(words.contains(canary(code)))
            for other in codes where other != code {
                #expect(!words.contains(canary(other)), "\(code) is told of \(other)")
                #expect(try finds(canary(other), in: code, forum) == [])
            }
        }
        // Operators see who and how much, and nothing of what.
        var words = try hub(forum, "device", "list") + hub(forum, "quarantine", "list")
        let log = FileManager.default.contents(atPath: forum.path("hub.log").path) ?? Data()
        words += String(decoding: log, as: UTF8.self)
        #expect(log.count > 1_000)
        for code in codes { #expect(!words.contains(canary(code)), "\(code)") }
    }

    @Test func `what a laptop may read no more it hands over, and then it is gone from its disk`()
        throws
    {
        let forum = try forum()
        try forum.must("HQ", "visit", "V12", "KZ", "--outcome", "canary one")
        for laptop in ["HQ", "KZ"] { try forum.must(laptop, "sync") }
        #expect(try forum.must("KZ", "list", "visit").contains("canary one"))
        try forum.must("KZ", "visit", "V03", "KZ", "--outcome", "canary two")
        let words = try hub(forum, "device", "grant", "KZ", "--scope", "delegation/UZ")
        #expect(
            words.contains("is recorder, and reads forum, delegation/UZ. It is told"), "\(words)")
        let list = try hub(forum, "device", "list")
        #expect(list.contains("forum, delegation/UZ") && list.contains("forum, all"), "\(list)")
        let synced = try forum.must("KZ", "sync")
        #expect(synced.contains("may no longer read delegation/KZ: the hub has all"), "\(synced)")
        for canary in ["canary one", "canary two"] {
            #expect(try finds(canary, in: "KZ", forum) == [])
        }
        #expect(try forum.rows("KZ", "SELECT count(*) FROM visit") == ["0"])
        #expect(try forum.must("KZ", "status").contains("reads          forum, delegation/UZ\n"))
        #expect(try forum.must("KZ", "verify").contains("is whole"))
        try forum.must("HQ", "sync")
        #expect(try forum.must("HQ", "list", "visit").contains("canary two"))
        // It is no other laptop for that.
        try forum.must("KZ", "attend", "P07", "UZ-001")
        try forum.must("KZ", "sync")
        try forum.must("HQ", "sync")
        #expect(try forum.must("HQ", "list", "observation").contains("UZ-001"))
        #expect(try forum.stateHash("HQ") == forum.stateHash("hub"))
    }

    @Test func `a scope that is none is refused, and says which there are`() throws {
        let forum = try Forum()
        try forum.startHub()
        for scope in ["delegation", "delegation/", "person/AZ-014", "delegation/kz", ""] {
            let finished = try Programs.run(
                "karvan-hub",
                ["token", "create", "--scope", scope, "--store", "hub.sqlite"],
                in: forum.directory)
            #expect(finished.status == 65, "\(scope): \(finished)")
            #expect(finished.errors.contains("delegation/CODE, and all"), "\(finished.errors)")
        }
    }

    @Test func `nothing new in nine scopes from 30 laptops is one small round trip`() throws {
        let forum = try forum()
        let first = try devices(of: forum)
        for number in first..<30 {
            let laptop = "D\(number)"
            try forum.enrol(laptop)
            try forum.must(laptop, "sync")
            try forum.must(laptop, "tally", "V01", "door \(number)", "+1")
            try forum.must(laptop, "sync")
        }
        #expect(try devices(of: forum) == 30)
        try forum.must("HQ", "sync")
        let facts = try forum.json("HQ", "sync")
        let scopes = try #require(try forum.json("HQ", "status")["scopes"] as? [String])
        #expect(scopes == ["*"])
        #expect(facts["round_trips"] as? Int == 1)
        let bytes = (facts["bytes_out"] as? Int ?? .max, facts["bytes_in"] as? Int ?? .max)
        #expect(bytes.0 <= 1_000 && bytes.1 <= 1_000, "\(bytes)")
        print("nothing new, 9 scopes, 30 laptops: \(bytes.0) bytes out, \(bytes.1) bytes in")
    }

    private func devices(of forum: Forum) throws -> Int {
        let finished = try Programs.run(
            "karvan-hub", ["device", "list", "--json", "--store", "hub.sqlite"],
            in: forum.directory)
        return try #require(finished.json["devices"] as? [Any]).count
    }
}
