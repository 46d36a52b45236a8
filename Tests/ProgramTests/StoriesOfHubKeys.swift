import Foundation
import Testing

/// The hub's TLS key is changed, as an operator does before it gets old, or when somebody may have it.
@Suite(.serialized, .timeLimit(.minutes(20))) struct StoriesOfHubKeys {
    private func hub(_ forum: Forum, _ arguments: String...) throws -> Finished {
        try Programs.run(
            "karvan-hub", arguments + ["--store", "hub.sqlite"], in: forum.directory)
    }

    private func renew(_ forum: Forum) throws {
        forum.stopHub(signal: SIGTERM)
        let renewed = try hub(forum, "certificate", "renew")
        #expect(renewed.status == 0 && renewed.output.contains("start the hub again"), "\(renewed)")
        let shown = try hub(forum, "certificate", "show")
        #expect(shown.output.contains("not yet"), "\(shown)")
        // Nobody was told of the next one.
        let again = try hub(forum, "certificate", "renew")
        #expect(again.status == 65 && again.errors.contains("once a laptop has synced"), "\(again)")
        let badName = try hub(forum, "certificate", "renew", "--host-name", "f\u{fc}ssen.example")
        #expect(badName.status != 0, "\(badName)")
        try forum.startHub()
    }

    @Test func `laptops go on without noticing, and one that was away too long says why not`()
        throws
    {
        let forum = try Forum()
        for command in ["show", "renew"] {
            let early = try hub(forum, "certificate", command)
            #expect(early.status == 65 && early.errors.contains("no hub yet"), "\(early)")
        }
        #expect(!forum.exists("hub.sqlite.tls-key.pem"))
        try forum.startHub()
        try forum.enrol("L1", "L2", "L3")
        for laptop in ["L1", "L3"] { try forum.importSample(on: laptop) }
        for laptop in ["L1", "L2"] { try forum.must(laptop, "sync") }
        let shown = try hub(forum, "certificate", "show", "--json").json
        #expect(shown["told"] as? Bool == true)
        let next = try #require(shown["next_pin"] as? String)
        #expect((shown["names"] as? [String])?.contains("localhost") == true)

        try renew(forum)
        let after = try hub(forum, "certificate", "show", "--json").json
        #expect(after["pin"] as? String == next)
        #expect(after["names"] as? [String] == shown["names"] as? [String])
        try forum.must("L1", "visit", "V12", "KZ", "--arrived", "11:20")
        try forum.must("L1", "sync")
        // It has never synced, so it knows the key of its token and no other.
        try forum.must("L3", "visit", "V12", "UZ", "--arrived", "11:40")
        let stranger = try forum.karvan("L3", "sync")
        #expect(stranger.status == 76, "\(stranger)")
        for words in ["doesn't hold the hub's key", "`karvan enrol URL TOKEN`"] {
            #expect(stranger.errors.contains(words), "\(stranger)")
        }

        try renew(forum)
        try forum.must("L1", "sync")
        // It has missed two.
        let away = try forum.karvan("L2", "sync")
        #expect(away.status == 76, "\(away)")
        for laptop in ["L2", "L3"] {
            try forum.must(laptop, "enrol", forum.url, try forum.token())
            try forum.must(laptop, "sync")
        }
        try renew(forum)
        for laptop in ["L1", "L2", "L3"] { try forum.must(laptop, "sync") }
        for laptop in ["L1", "L2"] { try forum.must(laptop, "sync") }
        #expect(try forum.must("L2", "show", "visit", "V12/UZ").contains("11:40"))
        #expect(
            Set(try ["L1", "L2", "L3", "hub"].map { try forum.stateHash($0) }).count == 1)
        #expect(try forum.must("L1", "status").contains("to send        nothing"))
    }

    @Test func `a watch goes on across a change`() throws {
        let forum = try Forum()
        try forum.startHub()
        try forum.enrol("L1")
        try forum.importSample(on: "L1")
        let watch = try Laptop("L1", forum).start(["sync", "--watch", "--every", "1"])
        try forum.must("L1", "visit", "V12", "KZ", "--arrived", "11:20")
        let isThere = try becomesTrue(withinSeconds: 20) {
            try forum.must("L1", "status").contains("to send        nothing")
        }
        #expect(isThere)
        for hour in 12...13 {
            try renew(forum)
            try forum.must("L1", "visit", "V12", "KZ", "--note", "at \(hour)")
            let isThere = try becomesTrue(withinSeconds: 30) {
                try forum.must("L1", "status").contains("to send        nothing")
            }
            #expect(isThere, "at \(hour)")
        }
        watch.signal(SIGTERM)
        let ended = try watch.finish(limitSeconds: 10)
        #expect(ended.status == 0 && !ended.errors.contains("hub's key"), "\(ended.errors)")
    }

    @Test func `a backup from before a change is one renewal away`() throws {
        let forum = try Forum()
        try forum.startHub()
        try forum.enrol("L1")
        try forum.importSample(on: "L1")
        try forum.must("L1", "sync")
        // Between a change and the first sync after it: the hub has told nobody of what lies beside it.
        try renew(forum)
        let saved = try hub(forum, "backup", "monday.karvan")
        #expect(saved.status == 0, "\(saved)")
        try forum.must("L1", "sync")
        try renew(forum)
        try forum.must("L1", "visit", "V12", "KZ", "--arrived", "11:20")
        try forum.must("L1", "sync")
        forum.stopHub(signal: SIGTERM)
        let restored = try hub(forum, "restore", "monday.karvan", "--replace")
        #expect(restored.status == 0, "\(restored)")
        try forum.startHub()
        let refused = try forum.karvan("L1", "sync")
        #expect(refused.status == 76 && refused.errors.contains("hub's key"), "\(refused)")
        let unsure = try hub(forum, "certificate", "renew")
        #expect(unsure.status == 65 && unsure.errors.contains("--anyway"), "\(unsure)")
        forum.stopHub(signal: SIGTERM)
        let forced = try hub(forum, "certificate", "renew", "--anyway")
        #expect(forced.status == 0, "\(forced)")
        try forum.startHub()
        #expect(try forum.must("L1", "sync").contains("feed has begun anew"))
        try forum.must("L1", "sync")
        #expect(try forum.stateHash("L1") == forum.stateHash("hub"))
        try renew(forum)
        try forum.must("L1", "sync")
    }

    @Test func `a certificate of one's own has its next key beside it`() throws {
        let forum = try Forum()
        func pair(_ name: String) throws {
            let script = """
                openssl ecparam -name prime256v1 -genkey -noout -out \(name).key && \
                openssl req -new -x509 -key \(name).key -out \(name).pem -days 30 -subj /CN=localhost \
                -addext subjectAltName=DNS:localhost,IP:127.0.0.1 && chmod 600 \(name).key
                """
            let made = try Programs.run("/bin/sh", ["-c", script], in: forum.directory)
            guard made.status == 0 else { throw ProgramError(description: made.errors) }
        }
        for name in ["one", "two"] { try pair(name) }
        let own = ["--tls-cert", "one.pem", "--tls-key", "one.key"]
        let renew = try Programs.run(
            "karvan-hub", ["certificate", "renew", "--store", "hub.sqlite"] + own,
            in: forum.directory)
        #expect(renew.status == 64 && renew.errors.contains("of your own"), "\(renew)")
        let lone = try hub(forum, "certificate", "show", "--tls-next-key", "two.key")
        #expect(lone.status == 64, "\(lone)")

        try forum.startHub(options: own + ["--tls-next-key", "two.key"])
        try forum.must("L1", "init", "--name", "L1")
        let alone = try Programs.run(
            "karvan-hub", ["certificate", "show", "--store", "hub.sqlite"] + own,
            in: forum.directory)
        #expect(alone.output.contains("next key     none"), "\(alone)")
        let token = try forum.token("--tls-cert", "one.pem", "--tls-key", "one.key")
        try forum.must("L1", "enrol", forum.url, token)
        try forum.must("L1", "sync")
        forum.stopHub(signal: SIGTERM)
        try forum.startHub(options: ["--tls-cert", "two.pem", "--tls-key", "two.key"])
        try forum.must("L1", "sync")
    }
}
