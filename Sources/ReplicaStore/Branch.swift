internal import Causality
internal import Merge
internal import SyncProtocol

/// Where a branch leaves a stream: Protocol/decisions/0032.
struct Branch: Hashable, Sendable {
    /// Changesets that a branch shares with another one, up to `last`: they are that one's.
    struct Shared: Hashable, Sendable {
        var owner: Int64
        var last: UInt64
    }

    /// The stream that it leaves, by its number.
    var parent: Int64
    /// The last changeset before it.
    var base: UInt64
    /// The run before it; `nil` where the stream forks before its first.
    var previous: Digest?
    /// Its first run, which gives it its name.
    var firstRun: Digest
    /// By ascending ends.
    var shared: [Shared] = []

    /// So many of its changesets are those of others.
    var sharedCount: UInt64 { (shared.last?.last ?? base) - base }
}

extension Branch {
    /// The branches of a file, by their numbers: a CBOR array of
    /// [sid, parent, base, previous or nothing, first run, [owner, last, …]].
    static func all(in connection: Connection) throws(StoreError) -> [Int64: Self] {
        guard case .blob(let bytes)? = try connection.meta(MetaKey.branches) else { return [:] }
        do throws(CBORError) {
            var decoder = CBORDecoder(bytes)
            var branches: [Int64: Self] = [:]
            for _ in 0..<(try decoder.array()) {
                try decoder.array(count: 6)
                let sid = Int64(clamping: try decoder.unsigned())
                branches[sid] = try Self(&decoder)
            }
            try decoder.finish()
            return branches
        } catch {
            throw .damaged(path: connection.path, detail: "the list of branches: \(error)")
        }
    }

    private init(_ decoder: inout CBORDecoder) throws(CBORError) {
        parent = Int64(clamping: try decoder.unsigned())
        base = try decoder.unsigned()
        let previous = try decoder.blob(limit: 32)
        self.previous = Digest(previous)
        guard let firstRun = Digest(try decoder.blob(count: 32)), base <= UInt64(Int64.max),
            previous.isEmpty == (self.previous == nil)
        else { throw decoder.error(.invalid) }
        self.firstRun = firstRun
        for _ in 0..<(try decoder.array()) / 2 {
            let owner = Int64(clamping: try decoder.unsigned())
            shared.append(Shared(owner: owner, last: try decoder.unsigned()))
        }
    }

    static func write(_ branches: [Int64: Self], to connection: Connection) throws(StoreError) {
        guard !branches.isEmpty else {
            try connection.run("DELETE FROM sy_meta WHERE key = ?", .text(MetaKey.branches))
            return
        }
        var encoder = CBOREncoder()
        encoder.array(branches.count)
        for (sid, branch) in branches.sorted(by: { $0.key < $1.key }) {
            encoder.array(6)
            encoder.unsigned(UInt64(sid))
            encoder.unsigned(UInt64(branch.parent))
            encoder.unsigned(branch.base)
            encoder.blob(branch.previous?.bytes ?? [])
            encoder.blob(branch.firstRun.bytes)
            encoder.array(branch.shared.count * 2)
            for shared in branch.shared {
                encoder.unsigned(UInt64(shared.owner))
                encoder.unsigned(shared.last)
            }
        }
        try connection.setMeta(MetaKey.branches, .blob(encoder.bytes))
    }
}
