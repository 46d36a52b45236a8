import Causality
import FieldRecords
import Foundation
import Hub
import ReplicaStore
import SyncProtocol
import Testing

/// Devices that want to know as soon as there is something new.
@Suite("Waiting for news", .timeLimit(.minutes(2)))
struct WaitingForNews {
    private struct Desk {
        let folder: Folder
        let service: HubService
        let hubKey: [UInt8]
        let reader = DeviceKey()
        let writer = DeviceKey()
        let stranger = DeviceKey()
        private let tokens: [EnrolmentToken]

        init(waiters: Int = 128) async throws {
            folder = try Folder()
            let store = try HubStore(
                path: folder.file("hub.sqlite"), environment: .system(command: "test"))
            hubKey = store.publicKey
            tokens = try [["delegation/KZ"], [Grant.anyScope]].map {
                try store.createToken(
                    scopes: $0, role: "recorder", lifetimeMilliseconds: 60_000,
                    pin: Array(repeating: 1, count: 32))
            }
            service = HubService(store: store, logger: Lines().logger(), waiters: waiters)
            for (key, token) in zip([reader, writer], tokens) {
                let request = EnrolmentRequest(secret: token.secret, name: "a laptop", key: key)
                guard case .message = await service.enrol(request.encode()) else {
                    throw CommandFailure(status: 1, output: "not enrolled")
                }
            }
        }

        func enrolAnother() async throws {
            // Another process makes the token, as an operator does.
            let other = try HubStore(
                path: folder.file("hub.sqlite"), environment: .system(command: "test"))
            defer { other.close() }
            let token = try other.createToken(
                scopes: ["delegation/UZ"], role: "viewer", lifetimeMilliseconds: 60_000,
                pin: Array(repeating: 1, count: 32))
            _ = try other.enrol(
                EnrolmentRequest(secret: token.secret, name: "another", key: DeviceKey()))
        }

        func wait(
            _ key: DeviceKey, patience: UInt64, at places: [WaitRequest.Place], path: String? = nil
        ) async -> HubAnswer {
            let body = WaitRequest(patienceMilliseconds: patience, places: places).encode()
            let signature = RequestSignature(
                hub: hubKey, path: path ?? WaitRequest.path, body: body, key: key)
            return await service.wait(body, signature: signature.headerValue)
        }
    }

    private func reply(_ answer: HubAnswer) throws -> WaitReply {
        guard case .message(let bytes) = answer else {
            throw CommandFailure(status: 1, output: "\(answer)")
        }
        return try WaitReply(decoding: bytes)
    }

    private func code(_ answer: HubAnswer) -> Refusal.Code? {
        guard case .refusal(let refusal) = answer else { return nil }
        return refusal.code
    }

    /// Where who has everything stands.
    private func ends(_ desk: Desk, _ key: DeviceKey, _ scopes: [String]) async throws
        -> [WaitRequest.Place]
    {
        let places = scopes.map { WaitRequest.Place(scope: $0, cursor: nil) }
        let reply = try reply(await desk.wait(key, patience: 0, at: places))
        return zip(scopes, reply.ends).map { WaitRequest.Place(scope: $0, cursor: $1) }
    }

    @Test func `who is behind is told at once, who isn't when its patience is over`() async throws {
        let desk = try await Desk()
        let scopes = [Forum.scope, "delegation/KZ"]
        let start = ContinuousClock.now
        let behind = try reply(
            await desk.wait(
                desk.reader, patience: 40_000,
                at: scopes.map { WaitRequest.Place(scope: $0, cursor: nil) }))
        #expect(ContinuousClock.now - start < .seconds(20))
        #expect(behind.scopes == scopes)
        let here = try await ends(desk, desk.reader, scopes)
        let calm = ContinuousClock.now
        let reply = try reply(await desk.wait(desk.reader, patience: 300, at: here))
        #expect(ContinuousClock.now - calm >= .milliseconds(300))
        #expect(!reply.isNews(at: here))
        await desk.service.close()
    }

    @Test func `what another process lets in is news`() async throws {
        let desk = try await Desk()
        let here = try await ends(desk, desk.reader, [Forum.scope, "delegation/KZ"])
        async let waiting = desk.wait(desk.reader, patience: 50_000, at: here)
        try await Task.sleep(for: .milliseconds(300))
        let start = ContinuousClock.now
        try await desk.enrolAnother()
        let told = try reply(await waiting)
        #expect(told.isNews(at: here))
        #expect(ContinuousClock.now - start < .seconds(25))
        await desk.service.close()
    }

    @Test func `a scope that isn't asked for is news, one that may not be read is nothing`()
        async throws
    {
        let desk = try await Desk()
        let alone = try await ends(desk, desk.reader, [Forum.scope])
        #expect(
            try reply(await desk.wait(desk.reader, patience: 40_000, at: alone)).isNews(at: alone))
        let others = try await ends(
            desk, desk.reader, [Forum.scope, "delegation/KZ", "delegation/UZ"])
        #expect(others[2].cursor == nil)
        let told = try reply(await desk.wait(desk.reader, patience: 100, at: others))
        #expect(told.ends[2] == nil && !told.isNews(at: others))
    }

    @Test func `who isn't let in is refused, and what can't be read`() async throws {
        let desk = try await Desk()
        #expect(code(await desk.wait(desk.stranger, patience: 9_000, at: [])) == .revoked)
        let elsewhere = await desk.wait(
            desk.reader, patience: 9_000, at: [], path: RequestSignature.exchangePath)
        #expect(code(elsewhere) == .revoked, "a signature for another path")
        for (body, expected) in [
            ([UInt8]([0x80]), Refusal.Code.poison), ([0x83, 2, 0, 0x80], .upgrade),
        ] {
            let signature = RequestSignature(
                hub: desk.hubKey, path: WaitRequest.path, body: body, key: desk.reader)
            let answer = await desk.service.wait(body, signature: signature.headerValue)
            #expect(code(answer) == expected)
        }
    }

    @Test func `over the limit everybody is answered at once`() async throws {
        let desk = try await Desk(waiters: 1)
        let here = try await ends(desk, desk.reader, [Forum.scope, "delegation/KZ"])
        async let first = desk.wait(desk.reader, patience: 5_000, at: here)
        try await Task.sleep(for: .milliseconds(300))
        let start = ContinuousClock.now
        _ = try reply(await desk.wait(desk.writer, patience: 40_000, at: here))
        #expect(ContinuousClock.now - start < .seconds(20))
        #expect(try !reply(await first).isNews(at: here))
    }

    @Test func `of one device the last wait counts`() async throws {
        let desk = try await Desk()
        let here = try await ends(desk, desk.reader, [Forum.scope, "delegation/KZ"])
        let start = ContinuousClock.now
        async let first = desk.wait(desk.reader, patience: 45_000, at: here)
        try await Task.sleep(for: .milliseconds(300))
        async let second = desk.wait(desk.reader, patience: 2_000, at: here)
        #expect(try !reply(await first).isNews(at: here))
        #expect(ContinuousClock.now - start < .seconds(25))
        #expect(try !reply(await second).isNews(at: here))
        #expect(ContinuousClock.now - start >= .seconds(2), "the second is not given up")
    }

    @Test func `messages are read as they were written, and nothing else`() throws {
        let epoch = Identifier(high: 1, low: 2)
        let cursors = [
            nil, Cursor.start(epoch: epoch, scope: "a"), Cursor.start(epoch: epoch, scope: "b"),
        ]
        let request = WaitRequest(
            patienceMilliseconds: 7,
            places: cursors.enumerated().map {
                WaitRequest.Place(scope: "s\($0.offset)", cursor: $0.element)
            })
        #expect(try WaitRequest(decoding: request.encode()) == request)
        let reply = WaitReply(hubMilliseconds: -5, scopes: ["forum", "*"], ends: cursors)
        #expect(try WaitReply(decoding: reply.encode()) == reply)
        for bytes in [request.encode(), reply.encode()] {
            for count in bytes.indices {
                #expect(throws: CBORError.self) {
                    try WaitRequest(decoding: Array(bytes[..<count]))
                }
                #expect(throws: CBORError.self) { try WaitReply(decoding: Array(bytes[..<count])) }
            }
        }
        var twice = request
        twice.places[1].scope = "s0"
        #expect(throws: CBORError.self) { try WaitRequest(decoding: twice.encode()) }
    }
}
