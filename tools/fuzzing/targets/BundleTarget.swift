import Causality
import SyncProtocol

/// Bundles, piece by piece: the first byte of an input says which. A fuzzer makes no check and no hash that fit,
/// so of a whole file only the frames are its own.
struct BundleTarget: FuzzTarget {
    let inputLimit = 16_384
    let allocationLimit = 8

    private enum Piece: UInt8, CaseIterable {
        case head, list, runs, file, frames, blob, holdings
    }

    private static let key = DeviceKey(seed: [UInt8](repeating: 1, count: 32))!
    private static let contentKey = ContentKey(bytes: [UInt8](repeating: 7, count: 32))

    private static func head() -> BundleHead {
        var head = BundleHead(
            sender: key.publicKey, root: key.device, madeMilliseconds: FixedStream.milliseconds,
            series: Identifier(high: 1, low: 2), part: 1)
        head.seal(contentKey, for: [key.device: key.encryptionPublicKey])
        return head
    }

    var seeds: [(name: String, bytes: [UInt8])] {
        let run = FixedStream.seal(
            [FixedStream.sample(FixedStream.firstSeq)], dictionary: SealingDictionary(),
            earlier: FixedStream.earlier)
        let list = BundleList(
            schemaVersion: 6, epoch: Identifier(high: 3, low: 4),
            scopes: [BundleList.Scope(scope: "forum", heads: [RunStub(run)])])
        let runs = BundledRuns(scope: "forum", runs: [run, run])
        var file: [UInt8] = []
        var writer = BundleWriter(
            head: Self.head(), key: Self.key, contentKey: Self.contentKey
        ) { file = $0 }
        file += writer.frame(list)
        file += writer.frame(runs)
        let blob = BlobPart(
            name: BlobName(scope: "forum", digest: Digest(sha256: [1, 2, 3])), size: 5, offset: 2,
            bytes: [1, 2, 3])
        let holdings = BlobHoldings(
            scope: "forum", blobs: [BlobHoldings.Blob(digest: blob.name.digest, size: 5)])
        file += writer.frame(blob)
        file += writer.frame(holdings)
        file += writer.foot(isLast: true)
        return [
            ("head", [Piece.head.rawValue] + Self.head().encode()),
            ("list", [Piece.list.rawValue] + list.encode()),
            ("runs", [Piece.runs.rawValue] + runs.encode()),
            ("file", [Piece.file.rawValue] + file),
            ("frames", [Piece.frames.rawValue] + list.encode()),
            ("blob", [Piece.blob.rawValue] + blob.encode()),
            ("holdings", [Piece.holdings.rawValue] + holdings.encode()),
        ]
    }

    func offer(_ bytes: [UInt8]) throws(Violation) -> Bool {
        guard let first = bytes.first, let piece = Piece(rawValue: first) else { return false }
        let rest = Array(bytes.dropFirst())
        switch piece {
        case .head:
            guard let head = try? BundleHead(decoding: rest) else { return false }
            let again = head.encode()
            try hold((try? BundleHead(decoding: again)) == head, "a head changes")
            try hold(again.count <= rest.count, "a head grows")
        case .list:
            guard let list = try? BundleList(decoding: rest) else { return false }
            let again = list.encode()
            try hold((try? BundleList(decoding: again)) == list, "a list changes")
            try hold(again.count <= rest.count, "a list grows")
        case .runs:
            guard let runs = try? BundledRuns(decoding: rest) else { return false }
            let again = runs.encode()
            try hold((try? BundledRuns(decoding: again)) == runs, "runs change")
            try hold(again.count <= rest.count, "runs grow")
        case .file: return Self.read(rest) != nil
        case .frames:
            // Whatever a member of the forum seals is either read or refused.
            let contents = Self.read(Self.sealing(rest))
            try hold(contents?.isWhole ?? false, "a file that was signed is not whole")
            return contents?.list != nil
        case .blob:
            guard let blob = try? BlobPart(decoding: rest) else { return false }
            let again = blob.encode()
            try hold((try? BlobPart(decoding: again)) == blob, "a piece of a blob changes")
            try hold(again.count <= rest.count, "a piece of a blob grows")
        case .holdings:
            guard let holdings = try? BlobHoldings(decoding: rest) else { return false }
            let again = holdings.encode()
            try hold((try? BlobHoldings(decoding: again)) == holdings, "holdings change")
            try hold(again.count <= rest.count, "holdings grow")
        }
        return true
    }

    private struct Contents {
        var list: BundleList?
        var isWhole = false
    }

    private static func sealing(_ plain: [UInt8]) -> [UInt8] {
        let head = head()
        var file: [UInt8] = []
        var writer = BundleWriter(head: head, key: key, contentKey: contentKey) { file = $0 }
        file += writer.frame(plain: plain)
        return file + writer.foot(isLast: true)
    }

    /// - Returns: `nil` for what is no bundle at all.
    private static func read(_ file: [UInt8]) -> Contents? {
        var rest = file[...]
        let reader = try? BundleReader { count in
            defer { rest = rest.dropFirst(count) }
            return Array(rest.prefix(count))
        }
        guard var reader else { return nil }
        let contentKey = try? reader.head.contentKey(by: key)
        var contents = Contents()
        while let frame = try? reader.next() {
            switch frame {
            case .contents(let payload):
                guard let contentKey else { continue }
                if reader.contentsCount == 1 {
                    contents.list = try? reader.openList(payload, by: contentKey)
                } else {
                    _ = try? reader.openRuns(payload, by: contentKey)
                }
            case .piece(let payload):
                if let contentKey { _ = try? reader.openPiece(payload, by: contentKey) }
            case .holdings(let payload):
                if let contentKey { _ = try? reader.openHoldings(payload, by: contentKey) }
            case .end:
                contents.isWhole = true
                return contents
            }
        }
        return contents
    }
}
