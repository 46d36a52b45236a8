package import Causality
internal import Merge
internal import RecordSchema
package import SyncProtocol

/// The TLS keys by which a laptop knows its hub: first the one of its token, then what the hub says in
/// its records.
extension Replica {
    /// What a hub has said of its keys, as far as it can be read, in the order of its bytes.
    package func pinSets(of hub: DeviceID) throws(StoreError) -> [PinSet] {
        guard let place = schema.trust else { return [] }
        return try trusted(of: hub, in: place.pins).compactMap { try? PinSet(decoding: $0) }
    }

    /// Trusts the keys that the hub has named since, for whoever is to connect next. A link that an
    /// authority vouches for has no pins, and gets none.
    ///
    /// - Returns: the link as it is now; `nil` for a replica that knows no hub.
    public func updatedHubLink() throws(StoreError) -> HubLink? {
        guard let link = try adoptingPins() else { return try hubLink() }
        try transaction { () throws(StoreError) in
            // Another process may have joined another hub.
            guard let link = try adoptingPins() else { return }
            try store(link.pins)
        }
        return link
    }

    /// - Returns: `nil` where nothing is new.
    private func adoptingPins() throws(StoreError) -> HubLink? {
        try read { () throws(StoreError) in
            guard var link = try hubLink(), let pins = link.pins else { return nil }
            let hub = DeviceID(publicKey: link.publicKey)
            let adopted = pins.adopting(try pinSets(of: hub))
            guard adopted != pins else { return nil }
            link.pins = adopted
            return link
        }
    }

    /// Keeps them. Inside of a transaction.
    func store(_ pins: TrustedPins?) throws(StoreError) {
        try connection.setMeta(MetaKey.pins, pins.map { .blob($0.pins.flatMap { $0 }) } ?? .null)
        try connection.setMeta(
            MetaKey.pinsSince, .integer(pins?.sinceMilliseconds ?? .min))
    }

    /// As they were kept last.
    func storedPins() throws(StoreError) -> TrustedPins? {
        guard case .blob(let bytes)? = try connection.meta(MetaKey.pins), !bytes.isEmpty,
            bytes.count.isMultiple(of: 32)
        else { return nil }
        var since = Int64.min
        if case .integer(let time)? = try connection.meta(MetaKey.pinsSince) { since = time }
        let pins = stride(from: 0, to: bytes.count, by: 32).map { Array(bytes[$0..<$0 + 32]) }
        return TrustedPins(pins: pins, sinceMilliseconds: since)
    }
}
