import Foundation
import Testing

/// The tenth story, up to the erasure: a laptop is lost with unsent changes, revoked, and found again.
@Suite struct StoriesOfLostLaptops {
    private func hub(_ forum: Forum, _ arguments: String...) throws -> Finished {
        try Programs.run(
            "karvan-hub", arguments + ["--store", "hub.sqlite"], in: forum.directory)
    }

    private func sync(_ forum: Forum, _ laptop: String) throws -> Finished {
        try Programs.run(
            "karvan", ["sync"], in: forum.directory,
            environment: ["KARVAN_REPLICA": "\(laptop).sqlite"])
    }

    @Test func `a lost laptop's unsent changes wait at the hub, and nothing applies by itself`()
        throws
    {
        let forum = try Forum()
        try forum.startHub()
        try forum.enrol("HQ", "L5")
        try forum.importSample(on: "HQ")
        for laptop in ["HQ", "L5"] { try forum.must(laptop, "sync") }
        try forum.must("L5", "attend", "P07", "AZ-014")
        try forum.must("L5", "sync")
        for number in 1...63 { try forum.must("L5", "tally", "V01", "door \(number)", "+1") }

        let revoked = try hub(
            forum, "device", "revoke", "L5", "--reason", "lost on the bus to Ordubad")
        #expect(revoked.status == 0 && revoked.output.contains("is revoked"), "\(revoked)")
        let list = try hub(forum, "device", "list").output
        #expect(list.contains("revoked"))

        // It comes back, and hands over what it has.
        let first = try sync(forum, "L5")
        #expect(first.status == 77, "\(first)")
        #expect(
            first.errors.contains("the hub's operator revoked this laptop at"), "\(first.errors)")
        #expect(first.errors.contains("lost on the bus to Ordubad"), "\(first.errors)")
        #expect(first.errors.contains("Nothing waits to be sent"), "\(first.errors)")
        #expect(try sync(forum, "L5").status == 77)
        let status = try forum.must("L5", "status")
        #expect(status.contains("refused        the hub's operator revoked"), "\(status)")
        #expect(try forum.must("L5", "list", "tally").contains("63"))
        try forum.must("L5", "attend", "P07", "TR-031")

        let kept = try hub(forum, "quarantine", "list")
        #expect(kept.output.contains("L5"), "\(kept)")
        #expect(kept.output.contains("REVOKED"), "\(kept)")
        let words = try hub(forum, "quarantine", "show", "1")
        #expect(words.output.contains("tally V01/door 1/"), "\(words)")
        #expect(words.output.split(separator: "\n").count >= 126, "\(words)")
        #expect(try hub(forum, "quarantine", "show", "2").status == 65)

        try forum.must("HQ", "sync")
        #expect(try forum.must("HQ", "list", "observation").contains("AZ-014"))
        #expect(try !forum.must("HQ", "list", "tally").contains("63"))
        try forum.must("HQ", "set", "item", "V09", "status=done")
        try forum.must("HQ", "sync")
        #expect(try forum.stateHash("HQ") == forum.stateHash("hub"))
        // Nobody gets it in again, and a new replica is a new laptop.
        let again = try Programs.run(
            "karvan", ["enrol", forum.url, try forum.token()], in: forum.directory,
            environment: ["KARVAN_REPLICA": "L5.sqlite"])
        #expect(again.status == 77 && again.errors.contains("karvan init"), "\(again)")
        try forum.enrol("found")
        try forum.must("found", "sync")
        #expect(try forum.stateHash("found") == forum.stateHash("hub"))

        // The operator looks at them, and lets them count.
        let unknown = try hub(forum, "quarantine", "admit", "99")
        #expect(unknown.status == 65 && unknown.errors.contains("quarantine list"), "\(unknown)")
        #expect(try hub(forum, "quarantine", "admit").status != 0)
        let skipped = try hub(forum, "quarantine", "skip", "1")
        #expect(skipped.output.contains("63 changes stay aside"), "\(skipped)")
        let short = try hub(forum, "quarantine", "list").output
        #expect(short.contains("1 left aside for good"), "\(short)")
        let all = try hub(forum, "quarantine", "list", "--all").output
        #expect(all.contains("left aside; REVOKED"), "\(all)")
        let admitted = try hub(forum, "quarantine", "admit", "--laptop", "L5")
        #expect(admitted.status == 0, "\(admitted)")
        #expect(admitted.output.contains("63 changes of L5"), "\(admitted)")
        #expect(try hub(forum, "quarantine", "list").output == "Nothing is kept aside.\n")
        for laptop in ["HQ", "found"] {
            // What it puts aside and takes back is received, not kept aside.
            let synced = try forum.must(laptop, "sync")
            let words = synced.split(whereSeparator: \.isWhitespace)
            let received = words.firstIndex(of: "received.").flatMap { Int(words[$0 - 2]) } ?? 0
            #expect(received >= 64 && !synced.contains("aside"), "\(synced)")
            #expect(try forum.must(laptop, "list", "tally").contains("63"))
            #expect(try forum.must(laptop, "verify").contains("is whole"))
            #expect(try forum.stateHash(laptop) == forum.stateHash("hub"))
        }
        // What it recorded after that waits again.
        #expect(try sync(forum, "L5").status == 77)
        #expect(try hub(forum, "quarantine", "list").output.contains("L5"))
    }

    @Test func `what a thief recorded is taken out everywhere`() throws {
        let forum = try Forum()
        try forum.startHub()
        try forum.enrol("HQ", "L5")
        try forum.importSample(on: "HQ")
        for laptop in ["HQ", "L5"] { try forum.must(laptop, "sync") }
        let before = try forum.must("HQ", "show", "item", "V09")
        try forum.must("L5", "tally", "V01", "door A", "+3")
        try forum.must("L5", "sync")
        Thread.sleep(forTimeInterval: 1.1)
        let time = ISO8601DateFormatter().string(from: Date())
        Thread.sleep(forTimeInterval: 1.1)
        try forum.must("L5", "set", "item", "V09", "status=cancelled")
        try forum.must("L5", "sync")
        try forum.must("HQ", "sync")
        #expect(try forum.must("HQ", "show", "item", "V09") != before)

        let wrong = try hub(forum, "device", "revoke", "L5", "--since", "yesterday")
        #expect(wrong.status == 65 && wrong.errors.contains("--since takes"), "\(wrong)")
        #expect(try hub(forum, "device", "revoke", "L9").status == 65)
        let revoked = try hub(forum, "device", "revoke", "L5", "--since", time, "--json")
        #expect(revoked.output.contains("\"taken_out\": 1"), "\(revoked)")
        try forum.must("HQ", "sync")
        #expect(try forum.must("HQ", "show", "item", "V09") == before)
        #expect(try forum.must("HQ", "list", "tally").contains("3"))
        #expect(try forum.must("HQ", "status").contains("kept aside"))
        #expect(try forum.must("HQ", "verify").contains("is whole"))
        #expect(try forum.stateHash("HQ") == forum.stateHash("hub"))
        try forum.enrol("late")
        try forum.must("late", "sync")
        #expect(try forum.stateHash("late") == forum.stateHash("hub"))
    }
}
