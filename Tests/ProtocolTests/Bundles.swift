import Causality
import SyncProtocol

extension Kind {
    static let bundles = Kind(
        name: "bundles", answer: { try BundleKind.answer($0, $1) },
        vectors: { try BundleVectors.vectors() })
}

/// Bundles, as bytes and as what they say.
enum BundleKind {
    static func answer(_ given: JSON, _ when: JSON) throws -> JSON {
        switch try when.string() {
        case "read": return try read(given)
        case "write": return try write(given)
        case "box": return try box(given)
        default: throw VectorError("bundles: an unknown kind \(when.document)")
        }
    }

    static func key(_ given: JSON) throws -> DeviceKey {
        guard let key = DeviceKey(seed: try given.member("seed").hex()) else {
            throw VectorError("no seed")
        }
        return key
    }

    private static func root(_ given: JSON) throws -> DeviceID {
        DeviceID(try given.member("root").hash().bytes)!
    }

    private static func reader(_ bytes: [UInt8]) throws -> BundleReader {
        var rest = bytes[...]
        return try BundleReader { count in
            defer { rest = rest.dropFirst(count) }
            return Array(rest.prefix(count))
        }
    }

    private static func read(_ given: JSON) throws -> JSON {
        let bytes = try given.member("bytes").bytes()
        do {
            var reader = try reader(bytes)
            while case .contents = try reader.next() {}
            guard reader.head.root == (try root(given)) else {
                throw BundleError(.otherRoot, at: 0)
            }
            let contentKey = try reader.head.contentKey(by: key(given))
            return try contents(bytes, contentKey)
        } catch let error as BundleError {
            return ["reject": .string(error.reason.word)]
        }
    }

    private static func contents(_ bytes: [UInt8], _ key: ContentKey) throws -> JSON {
        var reader = try reader(bytes)
        let head = reader.head
        var (list, frames): (JSON, [JSON]) = (.null, [])
        var (pieces, holdings): ([JSON], [JSON]) = ([], [])
        while true {
            switch try reader.next() {
            case .contents(let payload):
                if reader.contentsCount == 1 {
                    list = .list(try reader.openList(payload, by: key))
                } else {
                    let bundled = try reader.openRuns(payload, by: key)
                    frames.append([
                        "scope": .text(bundled.scope), "runs": .array(bundled.runs.map(JSON.run)),
                    ])
                }
            case .piece(let payload):
                pieces.append(.part(try reader.openPiece(payload, by: key)))
            case .holdings(let payload):
                holdings.append(.holdings(try reader.openHoldings(payload, by: key)))
            case .end(let foot):
                var contents: JSON = [
                    "sender": .hex(head.sender), "made": .number(head.madeMilliseconds),
                    "series": .hex(head.series.bytes), "part": .number(head.part),
                    "last": .bool(foot.isLast),
                    "recipients": .array(head.recipients.map { .hex($0.device.bytes) }),
                    "list": list, "frames": .array(frames),
                ]
                // A reader need know nothing of these.
                if !pieces.isEmpty { contents["pieces"] = .array(pieces) }
                if !holdings.isEmpty { contents["holdings"] = .array(holdings) }
                return contents
            }
        }
    }

    private static func write(_ given: JSON) throws -> JSON {
        let key = try key(given)
        var head = BundleHead(
            sender: key.publicKey, root: try root(given),
            madeMilliseconds: try given.number("made"),
            series: try given.member("series").identifier(), part: try given.number("part"))
        head.recipients = try given.member("recipients").items().map { recipient in
            BundleHead.Recipient(
                device: DeviceID(try recipient.member("device").hash().bytes)!,
                encapsulatedKey: try recipient.member("enc").hex(),
                box: try recipient.member("box").hex())
        }
        let contentKey = ContentKey(bytes: try given.member("contentKey").hex())
        var bytes: [UInt8] = []
        var writer = BundleWriter(head: head, key: key, contentKey: contentKey) { bytes = $0 }
        bytes += writer.frame(try given.member("list").list())
        for frame in try given.member("frames").items() {
            let runs = try frame.member("runs").items().map { try $0.sealedRun() }
            bytes += writer.frame(BundledRuns(scope: try frame.member("scope").text(), runs: runs))
        }
        for piece in try given["pieces"]?.items() ?? [] {
            bytes += writer.frame(try piece.blobPart())
        }
        for holdings in try given["holdings"]?.items() ?? [] {
            bytes += writer.frame(try holdings.blobHoldings())
        }
        return ["bytes": .bytes(bytes + writer.foot(isLast: try given.member("last").bool()))]
    }

    private static func box(_ given: JSON) throws -> JSON {
        let key = try key(given)
        var head = BundleHead(
            sender: try given.member("sender").hex(), root: try root(given), madeMilliseconds: 0,
            series: try given.member("series").identifier(), part: try given.number("part"))
        head.recipients = [
            BundleHead.Recipient(
                device: key.device, encapsulatedKey: try given.member("enc").hex(),
                box: try given.member("box").hex())
        ]
        do throws(BundleError) {
            return ["contentKey": .hex(try head.contentKey(by: key).bytes)]
        } catch {
            return ["reject": .string(error.reason.word)]
        }
    }
}

extension BundleError.Reason {
    /// The word of 08-bundle §5.
    fileprivate var word: String {
        switch self {
        case .unreadable(let reason): reason.word
        default: "\(self)"
        }
    }
}

/// Forms of this kind.
extension JSON {
    static func list(_ list: BundleList) -> JSON {
        [
            "schemaVersion": .number(list.schemaVersion),
            "epoch": list.epoch.map { .hex($0.bytes) } ?? .null,
            "scopes": .array(
                list.scopes.map {
                    ["scope": .text($0.scope), "heads": .array($0.heads.map(JSON.stub))]
                }),
        ]
    }

    fileprivate func list() throws -> BundleList {
        var epoch: Identifier?
        if case .null = try member("epoch") {} else { epoch = try member("epoch").identifier() }
        return BundleList(
            schemaVersion: try number("schemaVersion"), epoch: epoch,
            scopes: try member("scopes").items().map { scope in
                BundleList.Scope(
                    scope: try scope.member("scope").text(),
                    heads: try scope.member("heads").items().map { try $0.stub() })
            })
    }

    fileprivate func sealedRun() throws -> SealedRun {
        try SealedRun(
            storedHeader: try member("header").bytes(), seal: try member("seal").bytes(),
            body: try member("body").bytes())
    }
}
