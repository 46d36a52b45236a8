internal import Bundles
public import Causality
internal import ReplicaStore
public import SyncProtocol

extension BundleExchange {
    /// An archive that was written.
    public struct Archived: Hashable, Sendable {
        public var path: String
        public var byteCount: UInt64
        public var changesetCount: UInt64
        /// In the order in which they stand there; the base scope is the first.
        public var scopes: [String]
        public var stateHash: Digest
        /// By which whoever judges it knows the forum.
        public var root: DeviceID
    }

    /// Writes all changes of some scopes into a file that anybody can open and judge without a replica:
    /// Protocol/14-archive.md. It holds the keys to what is said of people, as the replica does.
    ///
    /// - Parameters:
    ///   - path: nothing lies there yet.
    ///   - scopes: beside the base scope, on which the others rest; `nil` for all that are held.
    ///   - note: what it is made for, at most ``SyncProtocol/Limits/nameBytes``.
    /// - Throws: ``Bundles/BundleFileError``; ``ReplicaStore/StoreError``, invalid for a scope that isn't held.
    public func archive(to path: String, scopes: Set<String>?, note: String) throws -> Archived {
        guard note.utf8.count <= Limits.nameBytes else {
            throw StoreError.invalid("a note has at most \(Limits.nameBytes) bytes")
        }
        guard
            note.unicodeScalars.allSatisfy({ $0.value >= 0x20 && !(0x7f...0x9f).contains($0.value) }
            )
        else { throw StoreError.invalid("a note is one line, without control characters") }
        guard let root = try replica.membership()?.anchor.root else {
            throw StoreError.invalid(
                "this replica belongs to no forum yet: nobody could tell whose changes these are. Enrol it first: "
                    + "`karvan enrol URL TOKEN`")
        }
        let unreadable = try replica.unreadableValueCount()
        guard unreadable == 0 else {
            throw StoreError.invalid(
                "\(unreadable) values about people came here without their keys, so nobody could judge them: sync, "
                    + "and try again, or archive where they were recorded")
        }
        let reader = DeviceKey()
        let recipient = BundleRecipient(archive: reader, scopes: scopes ?? [Grant.anyScope])
        // Nobody records between what is hashed and what is written.
        return try replica.withLock {
            let key = try replica.key()
            let list = try replica.bundleList(for: recipient)
            let held = list.scopes.map(\.scope)
            if let missing = scopes?.subtracting(held).sorted().first {
                throw StoreError.invalid(
                    "nothing of \(missing) is held here; scopes are \(held.joined(separator: ", "))"
                )
            }
            return try replica.read {
                let count = replica.changesetCount(in: Set(held))
                let stateHash = try replica.stateHash(in: scopes == nil ? nil : Set(held))
                let output = try BundleOutput(
                    path: path, limitBytes: .max, key: key, root: root,
                    madeMilliseconds: replica.environment.wallMilliseconds(),
                    recipients: [
                        BundleOutput.Recipient(
                            device: reader.device, encryptionKey: reader.encryptionPublicKey)
                    ], list: list,
                    statement: ArchiveStatement(
                        seed: reader.seed, stateHash: stateHash, changesetCount: count, note: note))
                _ = try replica.bundleRuns(for: recipient, .everything) { try output.add($0) }
                let files = try output.finish()
                return Archived(
                    path: path, byteCount: files[0].byteCount, changesetCount: count, scopes: held,
                    stateHash: stateHash, root: root)
            }
        }
    }
}
