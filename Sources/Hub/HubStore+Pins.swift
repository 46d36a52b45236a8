internal import Causality
internal import FieldRecords
internal import Merge
internal import RecordSchema
internal import ReplicaStore
internal import SyncProtocol

/// The hub's TLS keys as records, so that laptops know the next one before it is used.
extension HubStore {
    /// Tells laptops by which TLS keys to know this hub, where it has not said just that before: what
    /// they have heard takes the place of the pin in their token.
    ///
    /// - Parameter pins: the one in use first.
    /// - Returns: whether that is new.
    @discardableResult
    package func state(pins: [[UInt8]]) throws -> Bool {
        // One that has no certificate has no row either, and nobody believes what it says.
        guard try replica.membership() != nil else { return false }
        return try replica.write(seals: true) { transaction in
            let known = try replica.pinSets(of: replica.device)
            let last = known.max(by: PinSet.isBefore)
            guard last?.pins != pins || known.count > 1 else { return false }
            // Later than what it said before, whatever its clock does.
            let time = max(now, (last?.statedMilliseconds ?? .min).addingClamped(1))
            guard let stated = PinSet(pins: pins, statedMilliseconds: time) else {
                throw StoreError.invalid("a hub has 1 to \(Limits.pins) TLS keys")
            }
            let table = Forum.device
            let column = table.declared("pins")
            let (row, _) = try transaction.upsert(
                table, key: [.text(replica.device.description)], [])
            try transaction.add(table, row, column, [.blob(stated.encode())])
            try transaction.remove(table, row, column, known.map { .blob($0.encode()) })
            return true
        }.result
    }
}

extension HubStore {
    /// From now on laptops that sync are told of these keys, by which they reach this hub.
    ///
    /// Not before one of them asks: it may hold what the hub's own stream has lost, and bring it first
    /// (``takeBack(_:)``).
    ///
    /// - Parameter pins: the one in use first.
    /// - Returns: whether laptops that have synced before know the one in use.
    package func serve(with pins: [[UInt8]]) throws -> Bool {
        servedPins = pins
        guard let stated = try statedPins() else { return true }
        return pins.first.map(stated.contains) ?? false
    }

    /// Inside of an exchange, behind what the hub takes back.
    func statePinsIfDue() throws {
        guard let servedPins, try replica.membership() != nil else { return }
        let known = try replica.pinSets(of: replica.device)
        guard known.count != 1 || known[0].pins != servedPins else { return }
        try state(pins: servedPins)
    }

    /// The keys that laptops which sync are told of, the one in use first; `nil` as long as nobody was.
    package func statedPins() throws -> [[UInt8]]? {
        try replica.pinSets(of: replica.device).max(by: PinSet.isBefore)?.pins
    }

    /// Whether laptops that have synced know the key that the hub will serve with next.
    ///
    /// - Parameter certificate: as it lies beside the store.
    /// - Throws: for a store without certificates: nobody believes what it says of keys.
    package func isNextKeyKnown(of certificate: HubCertificate) throws -> Bool {
        _ = try membership()
        return try statedPins() == certificate.pins
    }
}

extension Int64 {
    fileprivate func addingClamped(_ other: Int64) -> Int64 {
        let (sum, overflow) = addingReportingOverflow(other)
        return overflow ? .max : sum
    }
}
