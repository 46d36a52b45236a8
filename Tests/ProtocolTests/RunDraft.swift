import Causality
import SyncProtocol

/// A run by hand: every field can be made wrong before it is signed.
struct RunDraft {
    var key: DeviceKey
    var stream: StreamID
    var format: UInt64 = 0
    var firstSeq: UInt64 = 1
    var count: UInt64
    var previous: Digest?
    /// As stored.
    var body: [UInt8]
    var bodyHash: [UInt8]?
    var dependencies: [Dependency] = []
    var encoding: UInt64 = 0
    var size: UInt64
    var publicKey: [UInt8]?
    var scope: String? = "forum"
    var incarnation: UInt64? = 0
    /// Keys to leave out.
    var omitted: Set<UInt64> = []
    /// Further items, behind key 11.
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
                    $0.array(2)
                    $0.unsigned(encoding)
                    $0.unsigned(size)
                }
            ))
        if let publicKey { items.append((9, item { $0.blob(publicKey) })) }
        if let scope { items.append((10, item { $0.text(scope) })) }
        if let incarnation { items.append((11, item { $0.unsigned(incarnation) })) }
        return Self.map(items.filter { !omitted.contains($0.0) } + extra)
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

/// Frames of Zstandard by hand, so that they are the same whatever the library.
enum Frame {
    private static let head: [UInt8] = [0x28, 0xb5, 0x2f, 0xfd]

    /// One segment whose content size takes four bytes.
    private static func start(_ size: Int) -> [UInt8] {
        head + [0xa0] + (0..<4).map { UInt8(truncatingIfNeeded: size >> (8 * $0)) }
    }

    private static func block(_ kind: Int, _ size: Int, isLast: Bool) -> [UInt8] {
        let word = size << 3 | kind << 1 | (isLast ? 1 : 0)
        return (0..<3).map { UInt8(truncatingIfNeeded: word >> (8 * $0)) }
    }

    /// - Parameter stated: the content size that the frame states.
    static func raw(_ bytes: [UInt8], stated: Int? = nil) -> [UInt8] {
        start(stated ?? bytes.count) + block(0, bytes.count, isLast: true) + bytes
    }

    /// `front` as it is, then `byte` over and over.
    static func repeating(_ front: [UInt8], _ byte: UInt8, _ count: Int) -> [UInt8] {
        var frame = start(front.count + count) + block(0, front.count, isLast: count == 0) + front
        var left = count
        while left > 0 {
            let size = min(left, 128 << 10)
            left -= size
            frame += block(1, size, isLast: left == 0) + [byte]
        }
        return frame
    }

    /// A frame that does not state its size: a window of 1 KiB instead.
    static func withoutSize(_ bytes: [UInt8]) -> [UInt8] {
        head + [0x00, 0x00] + block(0, bytes.count, isLast: true) + bytes
    }
}
