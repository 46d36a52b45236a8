import Causality
import FieldRecords
import Foundation
import Hub
import Merge
import RecordSchema
import ReplicaStore
import SyncProtocol
import Testing

/// The hub's answers over its real store, without HTTP.
@Suite("What the hub answers", .timeLimit(.minutes(2)))
struct ServiceTests {
    /// A service, its log, and a token for each of so many devices.
    private struct Desk {
        let folder: Folder
        let lines = Lines()
        let service: HubService
        let hubKey: [UInt8]
        let tokens: [EnrolmentToken]

        init(tokenCount: Int) throws {
            folder = try Folder()
            let store = try HubStore(
                path: folder.file("hub.sqlite"), environment: .system(command: "test"))
            hubKey = store.publicKey
            tokens = try (0..<tokenCount).map { _ in
                try store.createToken(
                    scopes: [Forum.scope], role: "recorder", lifetimeMilliseconds: 60_000,
                    pin: Array(repeating: 1, count: 32))
            }
            service = HubService(store: store, logger: lines.logger())
        }

        func enrol(_ key: DeviceKey, with token: EnrolmentToken) async -> HubAnswer {
            await service.enrol(
                EnrolmentRequest(secret: token.secret, name: "a laptop", key: key).encode())
        }

        func exchange(_ key: DeviceKey, _ body: [UInt8]) async -> HubAnswer {
            let signature = RequestSignature(
                hub: hubKey, path: RequestSignature.exchangePath, body: body, key: key)
            return await service.exchange(body, signature: signature.headerValue)
        }
    }

    private static let request = SyncRequest(
        ExchangeRequest(scope: Forum.scope, cursor: nil, ahead: [], runs: []), pendingCount: 3,
        wallMilliseconds: 1_700_000_000_000
    ).encode()

    private func refusal(_ answer: HubAnswer) -> Refusal? {
        guard case .refusal(let refusal) = answer else { return nil }
        return refusal
    }

    private func reply(_ answer: HubAnswer) throws -> ExchangeReply? {
        guard case .message(let bytes) = answer else { return nil }
        return try SyncReply(decoding: bytes).only()
    }

    @Test func `many devices at once are answered one after another`() async throws {
        let desk = try Desk(tokenCount: 8)
        try await withThrowingTaskGroup { group in
            for token in desk.tokens {
                group.addTask {
                    let key = DeviceKey()
                    guard case .message = await desk.enrol(key, with: token) else {
                        throw CommandFailure(status: 1, output: "a device was not enrolled")
                    }
                    for _ in 0..<5 {
                        guard let reply = try reply(await desk.exchange(key, Self.request)),
                            !reply.entries.isEmpty
                        else { throw CommandFailure(status: 1, output: "no entries came") }
                    }
                }
            }
            try await group.waitForAll()
        }
        await desk.service.close()
        #expect(desk.lines.all.count { $0.contains("event=enrolled") } == 8)
        #expect(desk.lines.all.count { $0.contains("event=exchange") } == 40)
    }

    @Test func `who isn't enrolled or doesn't sign is refused, and the log says it`() async throws {
        let desk = try Desk(tokenCount: 1)
        let (key, stranger) = (DeviceKey(), DeviceKey())
        _ = await desk.enrol(key, with: desk.tokens[0])
        #expect(refusal(await desk.enrol(stranger, with: desk.tokens[0]))?.code == .revoked)
        #expect(refusal(await desk.exchange(stranger, Self.request))?.code == .revoked)
        for signature in [nil, "", "00", String(repeating: "0", count: 192)] {
            let answer = await desk.service.exchange(Self.request, signature: signature)
            #expect(refusal(answer)?.code == .revoked, "\(signature ?? "none")")
        }
        let signature = RequestSignature(
            hub: desk.hubKey, path: RequestSignature.exchangePath, body: Self.request, key: key)
        let other = await desk.service.exchange(
            Self.request + [0], signature: signature.headerValue)
        #expect(refusal(other)?.code == .revoked)
        #expect(desk.lines.all.contains { $0.contains("event=refused") && $0.contains("REVOKED") })
        await desk.service.close()
    }

    @Test func `a run that isn't taken is in the log, and told to who brought it`() async throws {
        let desk = try Desk(tokenCount: 1)
        let laptop = try Replica.create(
            at: desk.folder.file("laptop"), name: "laptop", schema: Forum.schema,
            environment: .system(command: "test"))
        defer { laptop.close() }
        let key = try laptop.key()
        _ = await desk.enrol(key, with: desk.tokens[0])
        try laptop.write { try $0.insert(into: Forum.note, [nil, nil, nil, .text("mine")]) }
        try laptop.seal()
        let run = try laptop.sealedRuns(after: VersionVector())[0]
        var signature = run.signature
        signature[0] ^= 1
        let forged = try SealedRun(
            headerBytes: run.headerBytes, signature: signature, body: run.body)
        for (brought, code) in [(forged, Refusal.Code.poison), (run, nil), (run, nil)] {
            let request = SyncRequest(
                ExchangeRequest(scope: Forum.scope, cursor: nil, ahead: [], runs: [brought]))
            let reply = try reply(await desk.exchange(key, request.encode()))
            #expect(reply?.rejections.map(\.refusal.code) == [code].compactMap(\.self))
            if let told = reply?.rejections.first?.refusal.explanation {
                #expect(told.contains("signature is not its device's"), "\(told)")
            }
        }
        let told = desk.lines.all.filter { $0.contains("event=rejected") }
        #expect(told.count == 1)
        for part in ["code=POISON", "stream=\(run.header.stream)", "device=", "seq=1"] {
            #expect(told.first?.contains(part) == true, "\(told)")
        }
        await desk.service.close()
    }

    @Test func `what can't be read is refused as such`() async throws {
        let desk = try Desk(tokenCount: 1)
        let key = DeviceKey()
        _ = await desk.enrol(key, with: desk.tokens[0])
        for body in [[], [0xff], Array(Self.request.dropLast()), Self.request + [0]] as [[UInt8]] {
            let refused = refusal(await desk.exchange(key, body))
            #expect(refused?.code == .poison)
            #expect(refused?.explanation.hasPrefix("the request can't be read: ") == true)
        }
        #expect(refusal(await desk.service.enrol([1, 2, 3]))?.code == .poison)
        await desk.service.close()
    }

    @Test func `what only a later hub can read is told apart`() async throws {
        let desk = try Desk(tokenCount: 1)
        let key = DeviceKey()
        _ = await desk.enrol(key, with: desk.tokens[0])
        var later = Self.request
        #expect(later[1] == 1)
        later[1] = 2
        let refused = refusal(await desk.exchange(key, later))
        #expect(refused?.code == .upgrade)
        #expect(refused?.explanation.contains("update the hub") == true)
        later[1] = 0
        #expect(refusal(await desk.exchange(key, later))?.code == .poison)
        // A kind of scope that this build doesn't know.
        let request = SyncRequest(
            parts: [Forum.scope, "team/red"].map {
                ExchangeRequest(scope: $0, cursor: nil, ahead: [], runs: [])
            }, pendingCount: 0, wallMilliseconds: 1_700_000_000_000, schemaVersion: 9)
        guard case .message(let bytes) = await desk.exchange(key, request.encode()) else {
            Issue.record("the rest is answered")
            return
        }
        let parts = try SyncReply(decoding: bytes).parts
        guard case .answered = parts[0], case .refused(let part) = parts[1] else {
            Issue.record("\(parts)")
            return
        }
        #expect(part.code == .upgrade && part.explanation.contains("team/red"))
        await desk.service.close()
    }

    @Test func `a store that was taken away is told to the log, and "later" to the laptop`()
        async throws
    {
        let desk = try Desk(tokenCount: 2)
        let key = DeviceKey()
        _ = await desk.enrol(key, with: desk.tokens[0])
        try FileManager.default.removeItem(atPath: desk.folder.file("hub.sqlite"))
        let refused = refusal(await desk.enrol(DeviceKey(), with: desk.tokens[1]))
        #expect(refused?.code == .retry)
        #expect(refused?.explanation == "the hub can't store anything now; try again later")
        #expect(
            desk.lines.all.contains {
                $0.contains("event=failed") && $0.contains("was moved, deleted or replaced")
            }, "\(desk.lines.all)")
        await desk.service.close()
    }
}
