import Causality
import FieldRecords
import Hub
import Merge
import RecordSchema
import ReplicaStore
import SyncProtocol
import Testing

/// Runs of a device that the hub doesn't know, which an enrolled laptop carries along.
@Suite struct StrangersRuns {
    @Test func `The hub refuses them in words, and takes what the laptop itself wrote`() throws {
        let folder = try Folder()
        let hub = try HubStore(path: folder.file("hub"), environment: .system(command: "test"))
        defer { hub.close() }
        func laptop(_ name: String) throws -> Replica {
            try Replica.create(
                at: folder.file(name), name: name, schema: Forum.schema,
                environment: .system(command: "test"))
        }
        let (enrolled, stranger) = (try laptop("enrolled"), try laptop("stranger"))
        defer {
            enrolled.close()
            stranger.close()
        }
        let token = try hub.createToken(
            scopes: [Forum.scope], role: "coordinator", lifetimeMilliseconds: 3_600_000,
            pin: Array(repeating: 0, count: 32))
        _ = try hub.enrol(
            EnrolmentRequest(secret: token.secret, name: "enrolled", key: try enrolled.key()))
        for replica in [stranger, enrolled] {
            try replica.write { try $0.upsert(Forum.site, key: [.text("S01")], []) }
            try replica.seal()
        }
        let runs = try [stranger, enrolled].map { try $0.sealedRuns(after: VersionVector())[0] }
        let reply = try hub.exchangeOne(
            ExchangeRequest(scope: Forum.scope, cursor: nil, ahead: [], runs: runs),
            from: enrolled.publicKey)
        #expect(reply.rejections.map { $0.run.stream } == [stranger.stream])
        #expect(reply.rejections.map { $0.refusal.code } == [Refusal.Code.revoked])
        #expect(reply.heads == [RunStub(noneOf: stranger.stream), RunStub(runs[1])])
    }
}
