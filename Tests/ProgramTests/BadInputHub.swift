import Foundation
import Testing

/// What can be wrong between a laptop and its hub when it enrols, and afterwards.
@Suite struct BadInputHub {
    /// Enrols in vain: the laptop knows no hub afterwards, and the hub no further laptop.
    private func expectRefused(
        _ mistake: Mistake, in forum: Forum, sourceLocation: SourceLocation = #_sourceLocation
    ) throws {
        let devices = try enrolled(in: forum)
        try forum.expectNothingWritten(mistake, on: "new", sourceLocation: sourceLocation)
        #expect(
            try forum.json("new", "status")["hub"] is NSNull, "\(mistake)",
            sourceLocation: sourceLocation)
        #expect(try enrolled(in: forum) == devices, "\(mistake)", sourceLocation: sourceLocation)
    }

    private func enrolled(in forum: Forum) throws -> [String] {
        let finished = try Programs.run(
            "karvan-hub", ["device", "list", "--store", "hub.sqlite", "--json"], in: forum.directory
        )
        let devices = finished.json["devices"] as? [[String: Any]] ?? []
        return devices.compactMap { $0["name"] as? String }
    }

    private func enrol(
        _ name: String, _ url: String, _ token: String, _ more: String..., ends status: Int32,
        says: String...
    ) -> Mistake {
        var mistake = Mistake(name, ["enrol", url, token] + more, ends: status)
        mistake.says = says
        return mistake
    }

    @Test func `a store of a later build gets no keys made beside it`() throws {
        let forum = try Forum(prepared: [])
        try forum.sqlite3("hub", "PRAGMA user_version = 99")
        let made = ["tls-cert.pem", "tls-key.pem", "tls-next-key.pem"].map { "hub.sqlite.\($0)" }
        for name in made { try? FileManager.default.removeItem(at: forum.path(name)) }
        for command in [
            ["serve", "--listen", "127.0.0.1:0"], ["certificate", "show"], ["token", "create"],
        ] {
            let refused = try Programs.run(
                "karvan-hub", command + ["--store", "hub.sqlite"], in: forum.directory)
            #expect(refused.status == 78 && refused.errors.contains("newer"), "\(refused)")
        }
        #expect(!made.contains { forum.exists($0) })
    }

    @Test func `a token that is damaged, used or expired lets nobody in`() throws {
        let forum = try Forum(prepared: ["L1"])
        try forum.must("new", "init", "--name", "new")
        try forum.startHub()
        let (url, whole) = (forum.url, try forum.token())
        for damaged in [String(whole.dropLast(20)), "karvan1-", "nonsense", whole + "x"] {
            try expectRefused(
                enrol("damaged", url, damaged, ends: 65, says: "copy all of it"),
                in: forum)
        }
        // Characters of the secret, and of the pin of the hub's key.
        for (place, status, says) in [
            (20, Int32(77), "doesn't know this token; ask its operator"),
            (70, 76, "doesn't hold the hub's key"),
        ] {
            var characters = Array(whole)
            characters[place] = characters[place] == "A" ? "B" : "A"
            try expectRefused(
                enrol("misread", url, String(characters), ends: status, says: says), in: forum)
        }
        try forum.must("other", "init", "--name", "other")
        try forum.must("other", "enrol", url, whole)
        try expectRefused(
            enrol("used", url, whole, ends: 77, says: "used already", "ask the hub's operator"),
            in: forum)
        // Whoever used it may ask again: the answer may have been lost on the way.
        try forum.must("other", "enrol", url, whole)
        let late = try forum.token("--minutes", "1")
        forum.stopHub(signal: SIGTERM)
        try forum.sqlite3("hub", "UPDATE sy_hub_token SET expires = created WHERE used IS NULL")
        try forum.startHub()
        try expectRefused(
            enrol("expired", url, late, ends: 77, says: "has expired", "ask the hub's operator"),
            in: forum)
    }

    @Test func `an address that is no hub's lets nobody in`() throws {
        let forum = try Forum(prepared: ["L1"])
        try forum.must("new", "init", "--name", "new")
        let token = try forum.token()
        try expectRefused(
            enrol("http", "http://127.0.0.1:8443", token, ends: 65, says: "https://"), in: forum)
        try expectRefused(
            enrol("no address", "hub", token, ends: 65, says: "https://hub.example.org"), in: forum)
        let portal = try Portal(in: forum.directory, port: 0)
        try expectRefused(
            enrol(
                "another key", portal.url, token, ends: 76, says: "doesn't hold the hub's key",
                "was told nothing"), in: forum)
        try expectRefused(
            enrol(
                "HTML", portal.url, token, "--ca", portal.certificate, ends: 69, says: "text/html",
                "no Karvan hub", "check the address"), in: forum)
        try expectRefused(
            enrol(
                "no certificate", portal.url, token, "--ca", "hub.sqlite.key", ends: 76,
                says: "can't be read"), in: forum)
        try expectRefused(
            enrol("no file", portal.url, token, "--ca", "no.pem", ends: 65, says: "no.pem"),
            in: forum)
        #expect(try portal.requests() == 2, "only who trusts the portal's key tells it anything")
    }

    @Test func `a stranger in the hub's place is told nothing, and the work waits`() throws {
        let forum = try Forum(prepared: ["L1"])
        try forum.connect("L1")
        forum.stopHub(signal: SIGTERM)
        try forum.must("L1", "attend", "P07", "AZ-014")
        let port = try #require(forum.url.split(separator: ":").last.flatMap { Int($0) })
        let strange = Mistake(
            "strange", ["sync"], ends: 76, says: "doesn't hold the hub's key", "was told nothing",
            "1 change waits, safe in the replica")
        do {
            let portal = try Portal(in: forum.directory, port: port)
            let facts = try forum.expectNothingWritten(strange, on: "L1")
            #expect(facts["waiting"] as? Int == 1)
            #expect(try portal.requests() == 0)
        }
        // Another hub on that address, with a key of its own.
        let other = try Forum()
        try other.startHub(port: port)
        try forum.expectNothingWritten(strange, on: "L1")
        other.stopHub(signal: SIGTERM)
        try forum.startHub()
        #expect(try forum.must("L1", "sync") == "Synced: 1 change sent, 0 changes received.\n")
        #expect(try forum.verified("L1") == forum.verified("hub"))
    }

    @Test func `a hub that lost its store does not pass for the old one`() throws {
        let forum = try Forum(prepared: ["L1"])
        try forum.connect("L1")
        forum.stopHub(signal: SIGTERM)
        for suffix in ["", "-wal", "-shm", ".key"] {
            try? FileManager.default.removeItem(at: forum.path("hub.sqlite\(suffix)"))
        }
        try forum.must("L1", "attend", "P07", "AZ-014")
        try forum.startHub()
        try forum.expectNothingWritten(
            Mistake(
                "new store", ["sync"], ends: 77, says: "enrol this laptop again",
                "1 change waits, safe in the replica"), on: "L1")
    }
}

/// A server that answers everything with a page, as the sign-in of a hotel's network does.
final class Portal {
    let url: String
    let certificate: String
    private let child: Child
    private let count: URL

    init(in directory: URL, port: Int) throws {
        let key = directory.appending(path: "portal.key").path
        certificate = directory.appending(path: "portal.pem").path
        count = directory.appending(path: "portal.requests")
        if !FileManager.default.fileExists(atPath: key) {
            let made = try Programs.run(
                "/usr/bin/openssl",
                [
                    "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
                    "-nodes", "-days", "2", "-subj", "/CN=portal", "-addext",
                    "subjectAltName=IP:127.0.0.1", "-keyout", key, "-out", certificate,
                ], in: directory)
            guard made.status == 0 else { throw ProgramError(description: made.errors) }
        }
        let child = try Child(
            "/usr/bin/env",
            ["python3", "-c", Self.script, String(port), certificate, key, count.path],
            in: directory)
        self.child = child
        guard becomesTrue(withinSeconds: 20, { child.printed.hasSuffix("\n") || child.isEnded }),
            let number = Int(child.printed.trimmingCharacters(in: .whitespacesAndNewlines))
        else {
            throw ProgramError(description: try child.finish(limitSeconds: 0).errors)
        }
        url = "https://127.0.0.1:\(number)"
    }

    /// How many requests have reached it behind TLS.
    func requests() throws -> Int {
        guard let data = try? Data(contentsOf: count) else { return 0 }
        return data.count
    }

    /// Arguments: port, certificate, key, and a file that grows by a byte with each request.
    private static let script = """
        import http.server, signal, ssl, sys
        signal.alarm(120)
        class Page(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            def do_POST(self):
                with open(sys.argv[4], "ab") as file:
                    file.write(b".")
                self.rfile.read(int(self.headers.get("Content-Length") or 0))
                page = b"<html>Please sign in</html>"
                self.send_response(200)
                self.send_header("Content-Type", "text/html")
                self.send_header("Content-Length", str(len(page)))
                self.end_headers()
                self.wfile.write(page)
            def log_message(self, *words):
                pass
        server = http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Page)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(sys.argv[2], sys.argv[3])
        server.socket = context.wrap_socket(server.socket, server_side=True)
        print(server.server_address[1], flush=True)
        server.serve_forever()
        """
}
