import Foundation
import Hub
import SyncProtocol
import Testing

@Suite("The hub's server", .timeLimit(.minutes(1)))
struct ServerTests {
    @Test func `TLS 1.3 is spoken, and nothing older`() async throws {
        try await withServer { served in
            let connect = "openssl s_client -connect 127.0.0.1:\(served.port) -alpn http/1.1"
            let new = try await served.folder.bash("\(connect) -tls1_3 < /dev/null")
            #expect(new.status == 0)
            #expect(new.output.contains("New, TLSv1.3"))
            #expect(new.output.contains("ALPN protocol: http/1.1"))
            let old = try await served.folder.bash("\(connect) -tls1_2 < /dev/null")
            #expect(old.status != 0)
            #expect(old.output.contains("protocol version"))
        }
    }

    @Test func `curl accepts the pin, and no other`() async throws {
        try await withServer { served in
            let pin = Data(served.certificate.pin).base64EncodedString()
            let answer = try await served.curl("/v1/health", "-k --pinnedpubkey sha256//\(pin)")
            #expect(answer.status == 200)
            let other = Data(repeating: 1, count: 32).base64EncodedString()
            let failure = await #expect(throws: CommandFailure.self) {
                try await served.curl("/v1/health", "-k --pinnedpubkey sha256//\(other)")
            }
            #expect(failure?.status == 90)
        }
    }

    @Test func `The health page says that the hub serves, and which format`() async throws {
        try await withServer { served in
            let answer = try await served.curl("/v1/health")
            #expect(answer.status == 200)
            #expect(answer.type == "text/plain; charset=utf-8")
            #expect(answer.body == Array("status ok\nformat 1\n".utf8))
            #expect(try await served.curl("/v1/health", "--head").status == 200)
        }
    }

    @Test func `Messages go to the handler and back, byte for byte`() async throws {
        let body = Array("\u{0}\r\n body".utf8)
        let handler = StubHandler { body, signature in .message(body + (signature ?? "none").utf8) }
        try await withServer(handler) { served in
            try served.folder.write("body", body)
            let enrolled = try await served.post(RequestSignature.enrolmentPath, file: "body")
            #expect(enrolled.status == 200)
            #expect(enrolled.type == RequestSignature.contentType)
            #expect(enrolled.body == Array("enrolled".utf8) + body)
            let unsigned = try await served.post(RequestSignature.exchangePath, file: "body")
            #expect(unsigned.body == body + Array("none".utf8))
            let signed = try await served.post(
                RequestSignature.exchangePath, file: "body", "-H 'karvan-signature: abc'")
            #expect(signed.body == body + Array("abc".utf8))
        }
    }

    @Test func `One connection carries many requests`() async throws {
        try await withServer { served in
            let url = "https://localhost:\(served.port)/v1/health"
            let (_, output) = try await served.folder.bash(
                """
                curl -sS --cacert hub.tls-cert.pem -w '%{num_connects},' -o a \(url) \
                -o b \(url) -o c \(url)
                """)
            #expect(output == "1,0,0,")
        }
    }

    @Test(arguments: [
        (Refusal.Code.retry, 503), (.gap, 409), (.fork, 409), (.rewound, 409), (.epoch, 409),
        (.revoked, 403), (.scope, 403), (.upgrade, 426), (.poison, 400), (.tooLarge, 413),
    ])
    func `A refusal has a status and is readable`(code: Refusal.Code, status: Int) async throws {
        let refusal = Refusal(code, "because")
        try await withServer(StubHandler { _, _ in .refusal(refusal) }) { served in
            try served.folder.write("body", [1])
            let answer = try await served.post(
                RequestSignature.exchangePath, file: "body", "-D head")
            #expect(answer.status == status)
            #expect(answer.type == RequestSignature.contentType)
            #expect(try Refusal(decoding: answer.body) == refusal)
            let head = String(decoding: try served.folder.read("head"), as: UTF8.self).lowercased()
            #expect(head.contains("retry-after: 5\r\n") == (code == .retry))
        }
    }

    @Test func `Other paths, methods and content types are answered as HTTP has it`() async throws {
        try await withServer { served in
            let unknown = try await served.curl("/admin?token=secret")
            #expect(unknown.status == 404)
            #expect(unknown.type.hasPrefix("text/plain"))
            #expect(try await served.curl("/").status == 404)
            #expect(try await served.curl("/v1/exchange/", "-X POST").status == 404)
            #expect(try await served.curl(RequestSignature.exchangePath).status == 405)
            #expect(try await served.curl("/v1/health", "-X DELETE").status == 405)
            #expect(
                try await served.curl(RequestSignature.exchangePath, "-d a=b").status == 415)
            for path in ["/v2/exchange", "/v0/enrol", "/v10/health", "/v2/"] {
                let other = try await served.curl(path, "-X POST")
                #expect(other.status == 426, "\(path)")
                #expect(other.type == RequestSignature.contentType)
                #expect(try Refusal(decoding: other.body).code == .upgrade)
            }
            for path in ["/v/exchange", "/vx/exchange", "/v2", "/v١/exchange"] {
                let encoded = path.addingPercentEncoding(withAllowedCharacters: .urlPathAllowed)
                #expect(try await served.curl(encoded ?? "").status == 404, "\(path)")
            }
            try served.folder.write("body", [1])
            let parameter = try await served.curl(
                RequestSignature.exchangePath,
                "-H 'content-type: Application/vnd.karvan.1+CBOR; a=b' --data-binary @body")
            #expect(parameter.status == 200)
        }
    }

    @Test(arguments: ["", "-H 'Transfer-Encoding: chunked'"])
    func `A body over the limit is refused, one at the limit isn't`(how: String) async throws {
        let handler = StubHandler { body, _ in .message(Array("\(body.count)".utf8)) }
        try await withServer(handler) { served in
            let most = Limits.messageBytes
            try served.folder.write("most", [UInt8](repeating: 7, count: most))
            try served.folder.write("more", [UInt8](repeating: 7, count: most + 1))
            try served.folder.write("much", [UInt8](repeating: 7, count: 40 << 20))
            let taken = try await served.post(RequestSignature.exchangePath, file: "most", how)
            #expect(taken.body == Array("\(most)".utf8))
            for file in ["more", "much"] {
                let refused = try await served.post(RequestSignature.exchangePath, file: file, how)
                #expect(refused.status == 413)
                #expect(try Refusal(decoding: refused.body).code == .tooLarge)
            }
        }
    }

    @Test func `A request is logged without its query, its headers or its address`() async throws {
        try await withServer { served in
            let key = DeviceKey()
            let signature = RequestSignature(
                hub: [], path: RequestSignature.exchangePath, body: [1], key: key)
            try served.folder.write("body", [1, 2, 3])
            _ = try await served.post(
                RequestSignature.exchangePath + "?secret=1", file: "body",
                "-H 'Karvan-Signature: \(signature.headerValue)'")
            let line = try #require(served.lines.all.first { $0.contains("event=request ") })
            let device = Digest(sha256: key.publicKey).bytes.prefix(4).hexadecimal
            let pattern = try Regex(
                "^time=[^ ]+ level=info event=request device=\(device) in=3 method=POST "
                    + #"milliseconds=[0-9.]+ out=3 path=/v1/exchange status=200\n$"#)
            #expect(try pattern.wholeMatch(in: line) != nil, "\(line)")
        }
    }

    @Test func `An answer to HEAD has no body, and the next one is read`() async throws {
        try await withServer { served in
            let (_, output) = try await served.folder.bash(
                """
                mkfifo never; exec 4<>never
                for path in v1/health none v2/x v1/exchange; do
                    printf "HEAD /$path HTTP/1.1\\r\\nHost: a\\r\\n\\r\\n" >&4
                done
                printf 'GET /v1/health HTTP/1.1\\r\\nHost: a\\r\\nConnection: close\\r\\n\\r\\n' >&4
                timeout -s KILL 20 openssl s_client -quiet -connect 127.0.0.1:\(served.port) <&4
                """)
            // What stands behind the last head is the answer to GET; before it stand heads alone.
            let parts = output.components(separatedBy: "\r\n\r\n")
            #expect(parts.count == 6, "\(output)")
            #expect(parts.dropLast().allSatisfy { $0.contains("HTTP/1.1 ") }, "\(output)")
            #expect(
                parts.dropFirst().dropLast().allSatisfy { $0.hasPrefix("HTTP/1.1 ") }, "\(output)")
            #expect(parts.last == "status ok\nformat 1\n", "\(output)")
        }
    }

    @Test func `A port that is taken is told as such`() async throws {
        try await withServer { served in
            let second = HubServer(
                handler: StubHandler(), certificate: served.certificate, host: "127.0.0.1",
                port: served.port, logger: Lines().logger(), onReady: { _ in })
            let error = await #expect(throws: HubServerError.self) { try await second.run() }
            #expect(
                error?.description.hasPrefix("cannot listen on 127.0.0.1:\(served.port)") == true)
        }
    }
}
