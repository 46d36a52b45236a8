public import Causality
internal import Glibc
public import SyncProtocol

/// A series of bundles that is written: one file, or as many as it takes. None has its name before it lies on
/// the disk.
public final class BundleOutput {
    /// Who can open it.
    public struct Recipient: Hashable, Sendable {
        public var device: DeviceID
        /// X25519, 32 bytes.
        public var encryptionKey: [UInt8]

        public init(device: DeviceID, encryptionKey: [UInt8]) {
            (self.device, self.encryptionKey) = (device, encryptionKey)
        }
    }

    private struct Part {
        var file: PartialFile
        var writer: BundleWriter
    }

    /// `nil` for one that lies in memory.
    private let path: String?
    private let key: DeviceKey
    private let root: DeviceID
    private let madeMilliseconds: Int64
    private let recipients: [DeviceID: [UInt8]]
    private let list: BundleList
    private let statement: ArchiveStatement?
    private let limitBytes: UInt64
    private let series: Identifier
    private var finished: [PartialFile] = []
    private var part: Part?
    /// What head and list of a file take.
    private var startBytes: UInt64 = 0

    /// Begins the first file.
    ///
    /// - Parameters:
    ///   - path: of the first; the second is called the same with `.2` before what it ends with. `nil` for a
    ///     bundle that lies in memory, of one part.
    ///   - limitBytes: what one file may have; more only where one run takes more.
    ///   - key: of the sender.
    ///   - recipients: 1…``SyncProtocol/Limits/bundleRecipients``.
    ///   - list: what the sender holds.
    ///   - statement: makes it an archive.
    /// - Throws: ``BundleFileError``.
    public init(
        path: String?, limitBytes: UInt64, key: DeviceKey, root: DeviceID, madeMilliseconds: Int64,
        recipients: [Recipient], list: BundleList, statement: ArchiveStatement? = nil
    ) throws(BundleFileError) {
        (self.path, self.key, self.root, self.list) = (path, key, root, list)
        self.statement = statement
        (self.madeMilliseconds, self.limitBytes) = (madeMilliseconds, limitBytes)
        self.recipients = Dictionary(
            recipients.map { ($0.device, $0.encryptionKey) }, uniquingKeysWith: { $1 })
        series = Identifier(
            high: .random(in: 0 ... .max), low: .random(in: 0 ... .max))
        try begin()
    }

    /// - Parameter runs: not empty, and at most a batch.
    /// - Throws: ``BundleFileError``; then nothing is left of any file.
    public func add(_ runs: BundledRuns) throws(BundleFileError) {
        if !hasRoom(for: runs), path != nil { try beginNext() }
        try write { $0.frame(runs) }
    }

    /// Begins another file where what is left of this one has no room for a blob, and another has.
    ///
    /// - Parameter size: of the whole blob, in bytes.
    /// - Throws: ``BundleFileError``; then nothing is left of any file.
    public func makeRoom(forBlob size: UInt64) throws(BundleFileError) {
        let pieces = size / UInt64(Limits.blobPartBytes) + 1
        let needed = pieces * BundleWriter.size(ofPiece: Limits.blobPartBytes)
        if !hasRoom(for: needed), needed + startBytes <= limitBytes { try beginNext() }
    }

    /// - Throws: ``BundleFileError``; then nothing is left of any file.
    public func add(_ piece: BlobPart) throws(BundleFileError) {
        if !hasRoom(for: BundleWriter.size(ofPiece: piece.bytes.count)) { try beginNext() }
        try write { $0.frame(piece) }
    }

    /// - Parameter holdings: at most ``SyncProtocol/BlobHoldings/limit`` of them.
    /// - Throws: ``BundleFileError``; then nothing is left of any file.
    public func add(_ holdings: BlobHoldings) throws(BundleFileError) {
        if !hasRoom(for: BundleWriter.size(of: holdings)) { try beginNext() }
        try write { $0.frame(holdings) }
    }

    private func write(
        _ frame: (inout BundleWriter) -> [UInt8]
    ) throws(BundleFileError) {
        guard var part else { preconditionFailure("it has ended") }
        try part.file.write(frame(&part.writer))
        self.part = part
    }

    private func hasRoom(for byteCount: UInt64) -> Bool {
        guard let part else { return false }
        return part.file.byteCount <= startBytes || part.file.byteCount + byteCount <= limitBytes
    }

    private func beginNext() throws(BundleFileError) {
        try end(isLast: false)
        try begin()
    }

    /// Whether ``add(_:)`` would put these into the file that is begun.
    public func hasRoom(for runs: BundledRuns) -> Bool {
        hasRoom(for: UInt64(BundleWriter.size(of: runs.runs)))
    }

    /// Ends the last file, and gives all of them their names: the first one last, so that whoever finds it
    /// finds the others.
    ///
    /// - Returns: path and size of each.
    public func finish() throws(BundleFileError) -> [(path: String, byteCount: UInt64)] {
        try end(isLast: true)
        for file in finished.reversed() { try file.commit() }
        return finished.map { ($0.path, $0.byteCount) }
    }

    /// Ends a bundle that lies in memory.
    ///
    /// - Parameter isWhole: nothing is missing that was to go in.
    public func bytes(isWhole: Bool) throws(BundleFileError) -> [UInt8] {
        try end(isLast: isWhole)
        return finished[0].memory
    }

    /// `monday.2.karvan` for `monday.karvan`.
    private static func path(_ path: String, part: Int) -> String {
        let name = path.lastIndex(of: "/").map { path[path.index(after: $0)...] } ?? path[...]
        guard let dot = name.lastIndex(of: "."), dot > name.startIndex else {
            return "\(path).\(part)"
        }
        return "\(path[..<dot]).\(part)\(path[dot...])"
    }

    private func begin() throws(BundleFileError) {
        let number = finished.count + 1
        let contentKey = ContentKey()
        var head = BundleHead(
            sender: key.publicKey, root: root, madeMilliseconds: madeMilliseconds, series: series,
            part: UInt64(number))
        head.seal(contentKey, for: recipients)
        let file =
            if let path {
                try PartialFile(path: number == 1 ? path : Self.path(path, part: number))
            } else {
                PartialFile()
            }
        var start: [UInt8] = []
        var writer = BundleWriter(head: head, key: key, contentKey: contentKey) { start = $0 }
        if let statement { start += writer.frame(statement) }
        try file.write(start + writer.frame(list))
        startBytes = file.byteCount
        part = Part(file: file, writer: writer)
    }

    private func end(isLast: Bool) throws(BundleFileError) {
        guard let part else { preconditionFailure("it has ended") }
        try part.file.write(part.writer.foot(isLast: isLast))
        try part.file.sync()
        finished.append(part.file)
        self.part = nil
    }
}
