public import Bundles
public import ReplicaStore
public import SyncProtocol

extension BundleExchange {
    /// What is in a bundle, as far as it can be seen here.
    public struct Shown: Hashable, Sendable {
        public struct Scope: Hashable, Sendable {
            public var scope: String
            public var changesetCount: UInt64 = 0
            /// Of these, how many are not held here.
            public var newCount: UInt64 = 0
        }

        public var summary: BundleInput.Summary
        /// `nil` where it can't be opened here.
        public var scopes: [Scope]?
        /// Those of which pieces are in it, by the size of each, in bytes.
        public var blobs: [BlobName: UInt64] = [:]
        /// Of these, how many are not held here.
        public var newBlobCount = 0
    }

    /// Reads a bundle whole, and takes in nothing.
    ///
    /// - Throws: ``Bundles/BundleFileError``; not for one that others can open.
    public func show(_ path: String) throws -> Shown {
        let input = try BundleInput(path: path)
        let summary = try input.check()
        var scopes: [Shown.Scope] = []
        var blobs: [BlobName: UInt64] = [:]
        do {
            try input.open(by: replica.key(), isWelcome: { _ in }) { content in
                switch content {
                case .list(let list): scopes = list.scopes.map { Shown.Scope(scope: $0.scope) }
                case .runs(let bundled): try count(bundled, in: &scopes)
                case .piece(let piece): blobs[piece.name] = piece.size
                case .holdings: break
                }
            }
        } catch BundleFileError.bundle(_, let error)
            where error.reason == .otherRecipient || error.reason == .key
        {
            return Shown(summary: summary, scopes: nil)
        }
        let newCount = blobs.keys.count { replica.blobs.file(holding: $0) == nil }
        return Shown(summary: summary, scopes: scopes, blobs: blobs, newBlobCount: newCount)
    }

    private func count(_ bundled: BundledRuns, in scopes: inout [Shown.Scope]) throws {
        let index = scopes.firstIndex { $0.scope == bundled.scope } ?? scopes.endIndex
        if index == scopes.endIndex { scopes.append(Shown.Scope(scope: bundled.scope)) }
        for run in bundled.runs {
            let count = UInt64(run.header.count)
            scopes[index].changesetCount += count
            if try !replica.holds(RunStub(run)) { scopes[index].newCount += count }
        }
    }

    /// What its sender held when it made a bundle, all parts of its series included.
    ///
    /// - Throws: ``Bundles/BundleFileError``, also for one that others can open.
    public func heads(in path: String) throws -> [RunStub] {
        var heads: [RunStub] = []
        try BundleInput(path: path).open(by: replica.key(), isWelcome: { _ in }) { content in
            if case .list(let list) = content { heads = list.scopes.flatMap(\.heads) }
        }
        return heads
    }
}

extension Replica {
    /// What people call whoever made a bundle; `nil` for a stranger.
    public func bundleSender(_ publicKey: [UInt8]) throws(StoreError) -> String? {
        if publicKey == self.publicKey { return try name }
        return try bundleRecipients().first { $0.publicKey == publicKey }?.name
    }
}
