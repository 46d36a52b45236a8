internal import Causality
internal import FieldRecords
internal import Merge
internal import ReplicaStore
package import SyncProtocol

/// Where the feeds end, for those who wait for news.
extension HubStore {
    /// Writes nothing, and says what an exchange would say of who asks.
    ///
    /// - Parameter publicKey: of the device that signed the request.
    /// - Throws: `Refusal` for who is not let in.
    package func ends(of request: WaitRequest, for publicKey: [UInt8]) throws -> WaitReply {
        let granted = try granted(to: publicKey)
        if let cut = try revocation(of: DeviceID(publicKey: publicKey)) { throw refusal(by: cut) }
        return WaitReply(
            hubMilliseconds: now, scopes: try readableScopes(of: granted),
            ends: try request.places.map { place in
                guard mayRead(place.scope, granted) else { return nil }
                return try replica.feedEnd(of: place.scope)
            })
    }

    /// The entries of all feeds together.
    package func feedLength() throws -> Int64 {
        let sum = try replica.connection.value("SELECT coalesce(sum(off), 0) FROM sy_scope")
        guard case .integer(let length)? = sum else { return 0 }
        return length
    }

    /// Another number whenever another process has written to the store.
    package func foreignVersion() throws -> Int64 { try replica.foreignVersion() }
}
