public import Causality

/// What a hub decides when a person is to be forgotten: whoever reads it destroys the keys to all that was
/// said of them, and takes none again. It is an element of a set, and nothing takes it back.
public struct Erasure: Hashable, Sendable {
    /// The rows of the person: at most ``Limits/erasureSubjects``.
    public let subjects: [RowID]
    /// When the hub decided it, in milliseconds since 1970.
    public let decidedMilliseconds: Int64
    /// Who asked for it, by the name under which they record; for people.
    public let author: String
    /// Why, in their words.
    public let note: String
    /// The hub's: Ed25519, 32 bytes.
    public let hub: [UInt8]
    /// What stands above, as it was signed.
    private let statement: [UInt8]
    /// The hub's, 64 bytes, over what stands above: so that the words are a receipt by themselves.
    public let signature: [UInt8]

    public init(
        of subjects: [RowID], decidedMilliseconds: Int64, author: String, note: String,
        key: DeviceKey
    ) {
        self.subjects = subjects
        self.decidedMilliseconds = decidedMilliseconds
        (self.author, self.note) = (author, note)
        hub = key.publicKey
        var encoder = CBOREncoder()
        encoder.array(6)
        encoder.unsigned(Limits.format)
        encoder.array(subjects.count)
        for subject in subjects { encoder.blob(subject.identifier.bytes) }
        encoder.integer(decidedMilliseconds)
        encoder.text(author)
        encoder.text(note)
        encoder.blob(hub)
        statement = encoder.bytes
        signature = key.sign(Digest(.erasure, statement))
    }

    /// What is signed, and what a receipt is known by.
    public var id: Digest { Digest(.erasure, statement) }

    public var isSigned: Bool { DeviceKey.verify(signature, of: id, by: hub) }

    /// `[statement, signature]`
    public func encode() -> [UInt8] {
        var encoder = CBOREncoder()
        encoder.array(2)
        encoder.raw(statement)
        encoder.blob(signature)
        return encoder.bytes
    }

    public init(decoding bytes: [UInt8]) throws(CBORError) {
        guard bytes.count <= Limits.erasureBytes else { throw CBORError(.tooLong, at: 0) }
        var decoder = CBORDecoder(bytes)
        try decoder.array(count: 2)
        let start = decoder.offset
        let further = try decoder.array(atLeast: 6)
        try decoder.format()
        var subjects: [RowID] = []
        for _ in 0..<(try decoder.array(limit: Limits.erasureSubjects)) {
            subjects.append(RowID(try decoder.identifier()))
        }
        decidedMilliseconds = try decoder.integer()
        author = try decoder.text(limit: Limits.nameBytes)
        note = try decoder.text(limit: Limits.nameBytes)
        hub = try decoder.blob(count: 32)
        try decoder.skip(further)
        self.subjects = subjects
        statement = Array(bytes[start..<decoder.offset])
        signature = try decoder.blob(count: 64)
        try decoder.finish()
    }
}
