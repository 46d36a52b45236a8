import Causality
import SyncProtocol
import TestSupport
import Testing

@Suite struct Messages {
    static func digest(_ generator: inout SplitMix64) -> Digest {
        Digest(sha256: [UInt8(truncatingIfNeeded: generator.next())])
    }

    static func stub(_ generator: inout SplitMix64) -> RunStub {
        RunStub(
            stream: StreamID(Identifier(high: generator.next(), low: generator.next())),
            lastSeq: max(1, generator.next() >> UInt64(1 + generator.below(63))),
            hash: digest(&generator))
    }

    static func cursor(_ generator: inout SplitMix64) -> Cursor {
        Cursor(
            epoch: Identifier(high: generator.next(), low: generator.next()),
            offset: generator.next() >> UInt64(2 + generator.below(62)), chain: digest(&generator))
    }

    private static let runs = (1...3).map { SampleRun(seed: UInt64($0)).run }

    static func request(_ generator: inout SplitMix64) -> SyncRequest {
        let scopes = ["", "forum", "ə"].prefix(generator.below(4))
        return SyncRequest(
            parts: scopes.map { scope in
                ExchangeRequest(
                    scope: scope, cursor: generator.chance(1, in: 3) ? nil : cursor(&generator),
                    ahead: (0..<generator.below(4)).map { _ in stub(&generator) },
                    runs: (0..<generator.below(3)).map { runs[$0] })
            }, pendingCount: generator.next(),
            wallMilliseconds: Int64(bitPattern: generator.next()),
            schemaVersion: generator.next() >> 40)
    }

    static func answer(_ generator: inout SplitMix64) -> SyncReply {
        var reply = SyncReply(
            parts: [], scopes: Array(["forum", "ə"].prefix(generator.below(3))),
            hubMilliseconds: Int64(bitPattern: generator.next()))
        for _ in 0..<generator.below(4) {
            switch generator.below(4) {
            case 0: reply.parts.append(.postponed)
            case 1: reply.parts.append(.refused(Refusal(.scope, "not here")))
            default:
                var part = Self.reply(&generator)
                part.hubMilliseconds = reply.hubMilliseconds
                reply.parts.append(.answered(part))
            }
        }
        return reply
    }

    static func reply(_ generator: inout SplitMix64) -> ExchangeReply {
        ExchangeReply(
            heads: (0..<generator.below(4)).map { _ in
                let head = stub(&generator)
                return generator.chance(1, in: 4) ? RunStub(noneOf: head.stream) : head
            },
            rejections: Refusal.Code.allCases.prefix(generator.below(11)).map {
                Rejection(stub(&generator), Refusal($0, "because"))
            },
            entries: (0..<generator.below(4)).map { _ in
                generator.chance(1, in: 2)
                    ? .whole(runs[generator.below(3)]) : .stub(stub(&generator))
            }, cursor: cursor(&generator), hasMore: generator.chance(1, in: 2),
            hubMilliseconds: Int64(bitPattern: generator.next()))
    }

    private func holds<Message: Equatable>(
        _ message: Message, _ bytes: [UInt8], cuts: Bool, _ decode: ([UInt8]) throws -> Message
    ) throws {
        #expect(try decode(bytes) == message)
        #expect(throws: CBORError.self) { try decode(bytes + [0]) }
        #expect(throws: CBORError.self) { try decode([]) }
        guard cuts else { return }
        for count in 0..<bytes.count {
            #expect(throws: CBORError.self) { try decode(Array(bytes[..<count])) }
        }
    }

    @Test func `messages read as they were written, and not when a byte is missing or too many`()
        throws
    {
        var generator = SplitMix64(seed: 21)
        for round in 0..<100 {
            let request = Self.request(&generator)
            try holds(request, request.encode(), cuts: round < 5) {
                try SyncRequest(decoding: $0)
            }
            let reply = Self.answer(&generator)
            try holds(reply, reply.encode(), cuts: round < 5) { try SyncReply(decoding: $0) }
        }
        for code in Refusal.Code.allCases {
            let refusal = Refusal(code, "why: \(code.name)")
            try holds(refusal, refusal.encode(), cuts: true) { try Refusal(decoding: $0) }
        }
        let enrolment = EnrolmentRequest(
            secret: SampleRun.seedBytes, name: "Laptop 3", key: DeviceKey())
        try holds(enrolment, enrolment.encode(), cuts: true) { try EnrolmentRequest(decoding: $0) }
        let forum = SampleForum()
        let welcome = EnrolmentReply(
            hub: forum.hub, device: forum.certificate(of: DeviceKey()), hubMilliseconds: -1)
        try holds(welcome, welcome.encode(), cuts: true) { try EnrolmentReply(decoding: $0) }
    }

    private static func encode(_ reply: ExchangeReply) -> [UInt8] {
        SyncReply(parts: [.answered(reply)], scopes: [], hubMilliseconds: reply.hubMilliseconds)
            .encode()
    }

    @Test func `one scope is asked for once`() {
        let part = ExchangeRequest(scope: "forum", cursor: nil, ahead: [], runs: [])
        let request = SyncRequest(
            parts: [part, part], pendingCount: 0, wallMilliseconds: 0, schemaVersion: 1)
        #expect(throws: CBORError.self) { try SyncRequest(decoding: request.encode()) }
    }

    @Test func `a reply with a seq or an offset that no file can hold is refused`() {
        var generator = SplitMix64(seed: 7)
        let good = Self.reply(&generator)
        #expect(throws: Never.self) { try SyncReply(decoding: Self.encode(good)) }
        for seq in [0, 1 << 63, .max] as [UInt64] {
            var stub = Self.stub(&generator)
            stub.lastSeq = seq
            var (heads, entries, rejections) = (good, good, good)
            heads.heads.append(stub)
            entries.entries.append(.stub(stub))
            rejections.rejections.append(Rejection(stub, Refusal(.retry, "later")))
            for reply in [heads, entries, rejections] {
                #expect(throws: CBORError.self, "\(seq)") {
                    try SyncReply(decoding: Self.encode(reply))
                }
            }
        }
        var far = good
        far.cursor.offset = 1 << 62
        #expect(throws: CBORError.self) { try SyncReply(decoding: Self.encode(far)) }
    }

    @Test func `an enrolment is signed over all that it says`() {
        let request = EnrolmentRequest(
            secret: SampleRun.seedBytes, name: "Laptop 3", key: DeviceKey())
        #expect(request.isSignedByItsKey)
        var changed = Array(repeating: request, count: 5)
        changed[0].name = "Laptop 4"
        changed[1].secret[0] ^= 1
        changed[2].publicKey = DeviceKey().publicKey
        changed[3].signature[63] ^= 1
        changed[4].encryptionKey[31] ^= 1
        for request in changed { #expect(!request.isSignedByItsKey) }
    }

    @Test func `a request is signed for one hub, path and body`() throws {
        let key = DeviceKey()
        let hub = DeviceKey().publicKey
        let signature = RequestSignature(hub: hub, path: "/v1/exchange", body: [1, 2], key: key)
        let read = try #require(RequestSignature(headerValue: signature.headerValue))
        #expect(read == signature)
        #expect(read.isValid(hub: hub, path: "/v1/exchange", body: [1, 2]))
        #expect(!read.isValid(hub: key.publicKey, path: "/v1/exchange", body: [1, 2]))
        #expect(!read.isValid(hub: hub, path: "/v1/enrol", body: [1, 2]))
        #expect(!read.isValid(hub: hub, path: "/v1/exchange", body: [1, 2, 3]))
        for text in [
            "", "00", signature.headerValue + "00", "g" + signature.headerValue.dropFirst(),
        ] {
            #expect(RequestSignature(headerValue: text) == nil)
        }
    }

    @Test func `a cursor's chain depends on every entry and their order`() {
        var generator = SplitMix64(seed: 4)
        let start = Cursor.start(epoch: Identifier(high: 1, low: 2), scope: "forum")
        let stubs = (0..<3).map { _ in Self.stub(&generator) }
        let chain = { (stubs: [RunStub]) in stubs.reduce(start) { $0.advanced(by: $1) } }
        let all = [
            chain([]), chain([stubs[0]]), chain([stubs[1]]), chain([stubs[0], stubs[1]]),
            chain([stubs[1], stubs[0]]), chain(stubs), chain([stubs[0], stubs[2], stubs[1]]),
        ]
        #expect(Set(all).count == all.count)
        #expect(Set(all.map(\.chain)).count == all.count)
        #expect(chain(stubs).offset == 3)
        #expect(Cursor.start(epoch: Identifier(high: 1, low: 2), scope: "x").chain != start.chain)
        #expect(
            Cursor.start(epoch: Identifier(high: 1, low: 3), scope: "forum").chain != start.chain)
    }
}

@Suite struct Tokens {
    private func token(_ seed: UInt64) -> EnrolmentToken {
        var generator = SplitMix64(seed: seed)
        return EnrolmentToken(
            secret: (0..<32).map { _ in UInt8(generator.below(256)) },
            pin: (0..<32).map { _ in UInt8(generator.below(256)) },
            root: DeviceID((0..<32).map { _ in UInt8(generator.below(256)) })!,
            expiryMilliseconds: Int64(bitPattern: generator.next() >> UInt64(generator.below(64))))
    }

    @Test func `a token reads as it is written`() {
        for seed in 1...500 as ClosedRange<UInt64> {
            let token = token(seed)
            #expect(EnrolmentToken(text: token.text) == token)
            #expect(token.text.hasPrefix("karvan1-"))
            #expect(
                token.text.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7f && $0 != UInt8(ascii: "=") })
        }
    }

    @Test func `a damaged token is none, or another one`() {
        let token = token(7)
        let text = Array(token.text.utf8)
        for index in text.indices {
            for byte in [
                UInt8(ascii: "A"), UInt8(ascii: "-"), UInt8(ascii: "="), 0x20, 0x0a,
                text[index] ^ 1,
            ] {
                guard byte != text[index] else { continue }
                var damaged = text
                damaged[index] = byte
                let read = EnrolmentToken(text: String(decoding: damaged, as: UTF8.self))
                #expect(read != token)
            }
            let cut = String(decoding: text[..<index], as: UTF8.self)
            #expect(EnrolmentToken(text: cut) == nil)
        }
        for other in [token.text + "A", token.text + "=", " " + token.text, token.text + "\n", ""] {
            #expect(EnrolmentToken(text: other) == nil)
        }
        #expect(
            token.secretHash
                != EnrolmentToken(
                    secret: token.pin, pin: token.secret, root: token.root, expiryMilliseconds: 0
                ).secretHash)
    }
}
