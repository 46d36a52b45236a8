import FieldRecords
import Hub
import RecordSchema
import SyncProtocol

extension SyncRequest {
    /// A request of one scope alone.
    init(_ part: ExchangeRequest, pendingCount: UInt64 = 0, wallMilliseconds: Int64 = 0) {
        self.init(
            parts: [part], pendingCount: pendingCount, wallMilliseconds: wallMilliseconds,
            schemaVersion: Forum.schema.version)
    }
}

extension SyncReply {
    /// The answer to a request of one scope.
    ///
    /// - Throws: what was said in place of an answer.
    func only() throws -> ExchangeReply {
        guard parts.count == 1 else { throw Refusal(.poison, "\(parts.count) parts") }
        switch parts[0] {
        case .answered(let reply): return reply
        case .refused(let refusal): throw refusal
        case .postponed: throw Refusal(.retry, "postponed")
        }
    }
}

extension HubStore {
    /// As the bytes that travel.
    ///
    /// - Parameter note: is told what may be read.
    func exchangeOne(
        _ part: ExchangeRequest, from publicKey: [UInt8], now: Int64 = 0,
        note: ([String]) throws -> Void = { _ in }
    ) throws -> ExchangeReply {
        let request = SyncRequest(part, wallMilliseconds: now)
        let reply = try SyncReply(
            decoding: exchange(try SyncRequest(decoding: request.encode()), from: publicKey)
                .encode())
        try note(reply.scopes)
        return try reply.only()
    }
}
