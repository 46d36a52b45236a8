public import ReplicaStore

extension Replica {
    /// The hub that this replica is enrolled with, whatever it is called; `nil` for one that knows none.
    public func bundleHub() throws(StoreError) -> BundleRecipient? {
        guard let key = try hubLink()?.publicKey else { return nil }
        return try bundleRecipients().first { $0.isHub && $0.publicKey == key }
    }

    /// Whom a name stands for, among those whom a bundle can be made for: what people call it, its device or the
    /// first digits of that, or `hub`.
    ///
    /// - Parameter asksExpiry: refuses one whose certificate has expired; a hub renews it.
    /// - Throws: ``ReplicaStore/StoreError`` invalid, with those that there are; denied for who was revoked, or
    ///   let in until a time that has passed.
    public func bundleRecipient(
        named name: String, asksExpiry: Bool = true
    ) throws(StoreError) -> BundleRecipient {
        let all = try bundleRecipients()
        if name == "hub", let hub = try bundleHub() { return hub }
        let digits = name.lowercased()
        let named = all.filter { $0.name == name }
        var found =
            named.isEmpty && digits.count >= 4
            ? all.filter { "\($0.device)".hasPrefix(digits) } : named
        // A new laptop may bear the name of a lost one.
        if found.count > 1 { found.removeAll { $0.revokedMilliseconds != nil } }
        guard let one = found.first ?? named.first else {
            throw .invalid(
                name == "hub"
                    ? "this replica knows no hub. Enrol it first: `karvan enrol URL TOKEN`"
                    : "no device is called \(name); \(Self.listed(all))")
        }
        guard found.count <= 1 else {
            throw .invalid(
                "\(found.count) devices are called \(name); give the first digits of one: "
                    + found.map { "\($0.device)".prefix(12) }.joined(separator: ", "))
        }
        if one.revokedMilliseconds != nil {
            throw .denied("\(one.name) was revoked: nothing is given to it any more")
        }
        guard !asksExpiry || one.isHub || one.expiryMilliseconds > environment.wallMilliseconds()
        else {
            throw .denied(
                "the certificate of \(one.name) has expired, as far as is known here: let it sync with the hub "
                    + "once, and sync here then. A bundle for the hub can be made all the same")
        }
        return one
    }

    private static func listed(_ all: [BundleRecipient]) -> String {
        guard !all.isEmpty else { return "none but this one is known here: sync first" }
        let names = all.prefix(20).map { "\($0.name) (\("\($0.device)".prefix(8)))" }
        return "there are " + names.joined(separator: ", ") + (all.count > 20 ? ", …" : "")
    }
}
