import Causality
import SyncProtocol

/// A run by hand: every field can be made wrong before it is signed.
struct RunDraft {
    var key: DeviceKey
    var stream: StreamID
    var format = Limits.format
    var firstSeq: UInt64 = 1
    var count: UInt64
    var previous: Digest?
    /// As stored.
    var body: [UInt8]
    var bodyHash: [UInt8]?
    var dependencies: [Dependency] = []
    var encoding: UInt64 = 0
    /// Behind the size.
    var furtherItems: [[UInt8]] = []
    var size: UInt64
    var publicKey: [UInt8]?
    var scope: String? = "forum"
    var incarnation: UInt64? = 0
    /// Values in the place of those that a key has.
    var replaced: [UInt64: [UInt8]] = [:]
    /// Keys to leave out.
    var omitted: Set<UInt64> = []
    /// Further entries, behind key 11.
    var extra: [(UInt64, [UInt8])] = []

    /// The first run of a stream.
    init(
        _ number: UInt8, scope: String = "forum", incarnation: UInt64 = 0, count: UInt64 = 1,
        body: [UInt8]
    ) {
        key = Fixed.key(number)
        stream = StreamID(device: key.device, scope: scope, incarnation: incarnation)
        self.count = count
        self.body = body
        size = UInt64(body.count)
        publicKey = key.publicKey
        self.scope = scope
        self.incarnation = incarnation
    }

    /// The run behind `draft`.
    init(after draft: RunDraft, count: UInt64 = 1, body: [UInt8]) {
        key = draft.key
        stream = draft.stream
        firstSeq = draft.lastSeq + 1
        previous = draft.hash
        self.count = count
        self.body = body
        size = UInt64(body.count)
        (publicKey, scope, incarnation) = (nil, nil, nil)
    }

    var lastSeq: UInt64 { firstSeq + count - 1 }

    /// This run as another one's dep.
    var dependency: Dependency { Dependency(stream: stream, seq: lastSeq, run: hash) }

    func changed(_ change: (inout RunDraft) -> Void) -> RunDraft {
        var draft = self
        change(&draft)
        return draft
    }

    var header: [UInt8] {
        var items: [(UInt64, [UInt8])] = [
            (0, item { $0.unsigned(format) }), (1, item { $0.blob(stream.identifier.bytes) }),
            (2, item { $0.unsigned(firstSeq) }), (3, item { $0.unsigned(count) }),
        ]
        if let previous { items.append((4, item { $0.blob(previous.bytes) })) }
        items.append((5, item { $0.blob(bodyHash ?? Digest(sha256: body).bytes) }))
        items.append((6, dependencyItems))
        items.append((7, item { $0.unsigned(2) }))
        items.append(
            (
                8,
                item {
                    $0.array(2 + furtherItems.count)
                    $0.unsigned(encoding)
                    $0.unsigned(size)
                    for item in furtherItems { $0.raw(item) }
                }
            ))
        if let publicKey { items.append((9, item { $0.blob(publicKey) })) }
        if let scope { items.append((10, item { $0.text(scope) })) }
        if let incarnation { items.append((11, item { $0.unsigned(incarnation) })) }
        let kept = items.filter { !omitted.contains($0.0) }
        return Self.map(kept.map { ($0.0, replaced[$0.0] ?? $0.1) } + extra)
    }

    private func item(_ write: (inout CBOREncoder) -> Void) -> [UInt8] {
        var encoder = CBOREncoder()
        write(&encoder)
        return encoder.bytes
    }

    private var dependencyItems: [UInt8] {
        item { encoder in
            encoder.array(dependencies.count)
            for dependency in dependencies {
                encoder.array(3)
                encoder.blob(dependency.stream.identifier.bytes)
                encoder.unsigned(dependency.seq)
                encoder.blob(dependency.run.bytes)
            }
        }
    }

    private static func map(_ items: [(UInt64, [UInt8])]) -> [UInt8] {
        var encoder = CBOREncoder()
        encoder.map(items.count)
        for (key, value) in items {
            encoder.unsigned(key)
            encoder.raw(value)
        }
        return encoder.bytes
    }

    var hash: Digest { Digest(.run, header) }
    var parts: RunParts {
        RunParts(header: header, signature: key.sign(hash), body: body)
    }
}
