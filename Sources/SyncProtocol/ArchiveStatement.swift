/// What makes a bundle an archive that anybody can open and judge: Protocol/14-archive.md.
public struct ArchiveStatement: Hashable, Sendable {
    /// The private key of the one recipient, 32 bytes: it is nobody's.
    public var seed: [UInt8]
    /// Of what the archive's changes make.
    public var stateHash: Digest
    public var changesetCount: UInt64
    /// What it was made for, in the words of whoever did: at most ``Limits/nameBytes``.
    public var note: String

    public init(seed: [UInt8], stateHash: Digest, changesetCount: UInt64, note: String) {
        self.seed = seed
        self.stateHash = stateHash
        self.changesetCount = changesetCount
        self.note = note
    }

    /// `[format, seed, state, changes, note, …]`
    public func encode() -> [UInt8] {
        var encoder = CBOREncoder()
        encoder.array(5)
        encoder.unsigned(Limits.format)
        encoder.blob(seed)
        encoder.blob(stateHash.bytes)
        encoder.unsigned(changesetCount)
        encoder.text(note)
        return encoder.bytes
    }
}
