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
        let granted = try admitted(publicKey)
        return WaitReply(
            hubMilliseconds: now, scopes: try readableScopes(of: granted),
            ends: try request.places.map { place in
                guard mayRead(place.scope, granted) else { return nil }
                return try replica.feedEnd(of: place.scope)
            })
    }

    /// The scopes that a device was granted.
    ///
    /// - Throws: `Refusal` for a stranger, and for who was revoked.
    func admitted(_ publicKey: [UInt8]) throws -> [String] {
        guard let granted = try scopes(ofKey: publicKey) else {
            throw Refusal(
                .revoked, "this device isn't enrolled here; enrol it with a token of this hub")
        }
        if let cut = try revocation(of: DeviceID(publicKey: publicKey)) { throw refusal(by: cut) }
        return granted
    }

    func mayRead(_ scope: String, _ granted: [String]) -> Bool {
        scope == Forum.scope || granted.contains(scope) || granted.contains(Grant.anyScope)
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
