import Foundation
import Testing

/// Archives for an audit, judged by Protocol/check.py alone: a copy of that folder and Python, no program of Karvan's.
@Suite struct StoriesOfAudits {
    private static let root = "root       "

    /// `python3 check.py archive` in a folder that holds the protocol and nothing else.
    private func judge(_ forum: Forum, _ arguments: String...) throws -> Finished {
        let folder = forum.path("elsewhere")
        if !FileManager.default.fileExists(atPath: folder.path) {
            try FileManager.default.copyItem(
                at: Programs.checkout.appending(path: "Protocol"), to: folder)
        }
        return try Programs.run(
            "/usr/bin/python3",
            ["-E", "-s", folder.appending(path: "check.py").path, "archive"] + arguments,
            in: forum.directory)
    }

    private func audit(_ forum: Forum, _ laptop: String, _ arguments: String...) throws -> String {
        let text = try forum.must(laptop, ["audit"] + arguments)
        let line = text.split(separator: "\n").first { $0.hasPrefix(Self.root) }
        return String(try #require(line).dropFirst(Self.root.count))
    }

    private func copyDisk(_ forum: Forum, _ laptop: String, to other: String) throws {
        for suffix in [".sqlite", ".sqlite-wal", ".sqlite.key", ".sqlite.install"] {
            let from = forum.path(laptop + suffix)
            guard FileManager.default.fileExists(atPath: from.path) else { continue }
            try FileManager.default.copyItem(at: from, to: forum.path(other + suffix))
        }
    }

    @Test
    func `a forum with a lost laptop, a twin, an erased person and conflicts is judged whole`()
        throws
    {
        let forum = try Forum(prepared: ["L1", "L2", "L3"])
        try forum.connect("L1", "L2", "L3")
        try forum.must("L1", "visit", "V12", "KZ", "--arrived", "10:10", "--as", "Leyla")
        try forum.must("L2", "visit", "V12", "KZ", "--arrived", "10:25", "--as", "Murad")
        try forum.must("L3", ["attend", "P07", "AZ-014", "TR-031", "UZ-020", "KZ-003"])
        for laptop in ["L1", "L2", "L3"] { try forum.must(laptop, "sync") }
        try copyDisk(forum, "L2", to: "T2")
        try forum.must("L2", "tally", "P07", "A", "+41")
        try forum.must("T2", "tally", "P07", "A", "+7")
        for laptop in ["L2", "T2", "L2", "T2"] { try forum.must(laptop, "sync") }
        try forum.must("L1", "erase", "UZ-020")
        try forum.must("L3", "attend", "P08", "AZ-015")
        let revoked = try Programs.run(
            "karvan-hub", ["device", "revoke", "L3", "--store", "hub.sqlite"], in: forum.directory)
        #expect(revoked.status == 0)
        _ = try forum.karvan("L3", "sync")
        for laptop in ["L1", "L2", "T2", "L1"] { try forum.must(laptop, "sync") }
        for laptop in ["L1", "T2"] {
            let root = try audit(forum, laptop, "\(laptop).karvan", "--note", "accounts of 2025")
            let judged = try judge(forum, "\(laptop).karvan", "--root", root)
            #expect(judged.status == 0, "\(judged)")
            let hash = try forum.must(laptop, "verify", "--state-hash")
            for words in [
                "note    accounts of 2025", "state   \(hash)", "whole: every change", "L3",
            ] {
                #expect(judged.output.contains(words), "\(words) in \(judged.output)")
            }
        }
        let other = try judge(forum, "L1.karvan", "--root", String(repeating: "0", count: 64))
        #expect(other.status == 1 && other.output.contains("another forum"), "\(other)")
        // One scope, with the forum's own.
        let root = try audit(forum, "L1", "kz.karvan", "--scope", "delegation/KZ")
        let scope = try judge(forum, "kz.karvan", "--root", root)
        #expect(
            scope.status == 0 && scope.output.contains("scopes  forum, delegation/KZ\n"), "\(scope)"
        )
        let before = try forum.verified("L1")
        for (arguments, words) in [
            (["no.karvan", "--scope", "delegation/XX"], "nothing of delegation/XX is held"),
            (["kz.karvan"], "kz.karvan is there already"),
            (["no.karvan", "--note", String(repeating: "n", count: 201)], "at most 200 bytes"),
        ] {
            let finished = try Programs.run(
                "karvan", ["audit"] + arguments, in: forum.directory,
                environment: ["KARVAN_REPLICA": "L1.sqlite"])
            #expect(finished.status == 65 && finished.errors.contains(words), "\(finished)")
        }
        #expect(!FileManager.default.fileExists(atPath: forum.path("no.karvan").path))
        #expect(try forum.verified("L1") == before)
        // It is a bundle for nobody here.
        let taken = try forum.bundle("L2", "import", "L1.karvan")
        #expect(taken.status == 77, "\(taken)")
    }

    /// Changes each byte of an archive in turn, and then does what a forger could.
    private static let attacks = #"""
        import sys, json
        sys.path.insert(0, "elsewhere")
        from checker import archive, bundles, ed25519
        from checker.archive import Bad
        from checker.bundles import FRAME, MAGIC, Batch, Contents, frame, frames, numbered, foot_message, Foot
        from checker.identity import sha256
        from checker.messages import Run
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
        from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
        data = open("small.karvan", "rb").read()
        seed = bytes.fromhex(open("seed").read())
        root = bytes.fromhex(sys.argv[1])
        file, statement, contents, log = archive.check(data, root)

        # Where each frame ends, the magic before the first.
        ends, at = [len(MAGIC)], len(MAGIC)
        while at < len(data):
            at += FRAME.size + FRAME.unpack_from(data, at)[1]
            ends.append(at)
        found = wrong = 0
        for place in range(len(data)):
            changed = bytearray(data)
            changed[place] ^= 1 << place % 8
            try:
                archive.whole(bytes(changed))
            except Bad as bad:
                words = str(bad)
                named = int(words.split("damaged at byte ")[1].split(":")[0]) if "damaged at byte" in words else -1
                end = next(e for e in ends if place < e)
                start = max([0] + [e for e in ends if e <= place])
                found += 1
                if named != start:
                    wrong += 1
                    print(place, words)
        print(f"{len(data)} bytes, {found} found, {wrong} named elsewhere")

        def sealed_again(batches, sign_with, listed=None, stated=None, last=True, statements=1):
            """As its maker would write it, with other runs, and another key at the end."""
            said = (stated or statement).encode()
            start = file.head.encode()
            out = MAGIC + frame(1, start) + frame(archive.STATEMENT, said) * statements
            key = file.head.content_key(statement.seed)
            plain = Contents(listed or contents.list, tuple(batches)).plaintexts()
            for kind, nonce, text in numbered(plain):
                out += frame(kind, ChaCha20Poly1305(key).encrypt(nonce, text, sha256(start)))
            signer = Ed25519PrivateKey.from_private_bytes(sign_with)
            return out + frame(3, Foot(sha256(out), last, signer.sign(foot_message(sha256(out), last))).encode())

        def attempt(name, data):
            try:
                archive.check(data, root)
                print(name, "TAKEN")
            except Bad as bad:
                print(name, "refused:", bad)

        runs = [(b.scope, r) for b in contents.batches for r in b.runs]
        again = lambda some: [Batch(scope, (run,)) for scope, run in some]
        attempt("same", sealed_again(again(runs), seed))
        attempt("stranger", sealed_again(again(runs), bytes(range(32))))
        last = runs[-1]
        attempt("left out", sealed_again(again(runs[:-1]), seed))
        attempt("first left out", sealed_again(again(runs[1:]), seed))
        attempt("twice", sealed_again(again(runs + [last]), seed))
        body = bytearray(last[1].body)
        body[len(body) // 2] ^= 1
        attempt("body", sealed_again(again(runs[:-1] + [(last[0], Run(last[1].header, last[1].seal, bytes(body)))]), seed))
        seal = bytearray(last[1].seal)
        seal[5] ^= 1
        attempt("seal", sealed_again(again(runs[:-1] + [(last[0], Run(last[1].header, bytes(seal), last[1].body))]), seed))
        import dataclasses
        other = dataclasses.replace(statement, state=bytes(32))
        attempt("state", sealed_again(again(runs), seed, stated=other))
        bare = [(scope, Run(run.header, run.seal[:64], run.body)) for scope, run in runs]
        attempt("keys", sealed_again(again(bare), seed))
        attempt("not last", sealed_again(again(runs), seed, last=False))
        attempt("two statements", sealed_again(again(runs), seed, statements=2))
        listed = dataclasses.replace(contents.list, scopes=())
        attempt("list", sealed_again(again(runs), seed, listed=listed))
        other = dataclasses.replace(statement, changes=statement.changes + 1)
        attempt("count", sealed_again(again(runs), seed, stated=other))
        """#

    @Test func `each changed byte is found and its frame named, and no forger gets through`() throws
    {
        let forum = try Forum()
        try forum.startHub()
        try forum.enrol("L1")
        try forum.must("L1", "import", "delegations", Programs.sample("delegations.csv"))
        try forum.must("L1", "person", "add", "--native", "Gülşən", "--delegation", "AZ")
        try forum.must("L1", "sync")
        try forum.must("L1", "person", "add", "--native", "Əli", "--delegation", "AZ")
        let root = try audit(forum, "L1", "small.karvan")
        let judged = try judge(forum, "small.karvan", "--root", root)
        #expect(judged.status == 0, "\(judged)")
        let key = try Data(contentsOf: forum.path("L1.sqlite.key"))
        let digits = String(decoding: key, as: UTF8.self)
            .split { !$0.isHexDigit }.map(String.init).last { $0.count == 64 }
        try Data(try #require(digits).utf8).write(to: forum.path("seed"))
        let attacked = try Programs.run(
            "/usr/bin/python3", ["-c", Self.attacks, root], in: forum.directory, limitSeconds: 200)
        #expect(attacked.status == 0, "\(attacked.errors)")
        let size = try Data(contentsOf: forum.path("small.karvan")).count
        #expect(
            attacked.output.contains("\(size) bytes, \(size) found, 0 named elsewhere"),
            "\(attacked.output.prefix(2_000))")
        let lines = attacked.output.split(separator: "\n").map(String.init)
        #expect(lines.contains("same TAKEN"))
        #expect(lines.filter { $0.contains("TAKEN") } == ["same TAKEN"], "\(lines)")
        for words in [
            "stranger refused: damaged at byte", "left out refused: a run is missing",
            "keys refused: run", "not last refused: it is a part",
            "two statements refused: damaged",
            "list refused: its list names no base", "twice refused: run", "body refused: run",
            "seal refused: run",
            "state refused: its changes make the state", "count refused: it says that it has",
        ] {
            #expect(attacked.output.contains(words), "\(words) in \(attacked.output)")
        }
    }
}
