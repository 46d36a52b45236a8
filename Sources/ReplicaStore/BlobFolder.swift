internal import Causality
internal import Foundation
public import SyncProtocol

/// The bytes that records name, beside a replica: the folder `REPLICA-blobs`, with a folder for each scope.
///
/// A file bears its SHA-256 for a name, so its bytes never change, and a copy of the folder can be brought up to
/// date by what is new in it. Behind the name stands `.sent` once the hub is known to hold them, and the file's time is
/// when it last said so; `.SIZE.SENDER.part` are the first bytes of one that isn't whole yet, each sender's by themselves.
public struct BlobFolder: Sendable {
    public let path: String

    public init(replica: String) { path = replica + "-blobs" }

    /// A blob of which something lies here.
    public struct Entry: Hashable, Sendable {
        public var name: BlobName
        /// Of the whole blob, in bytes.
        public var size: UInt64
        /// The bytes that lie here, from the first one on.
        public var held: UInt64
        public var isSent: Bool
        /// Who brings it, of what isn't whole: ``BlobFolder/hub``, or the start of a device's id.
        var sender = ""

        public var isWhole: Bool { held == size }
    }

    /// Who brings what a laptop fetches.
    public static let hub = "hub"

    /// What became of a range that came.
    public enum Taken: Hashable, Sendable {
        /// So many bytes are here now, of so many.
        case held(UInt64, of: UInt64)
        /// All bytes came, and aren't those that the name stands for: they are gone.
        case otherBytes
    }

    private static let sentSuffix = ".sent"
    private static let partSuffix = ".part"

    // MARK: Names

    /// A folder's name for a scope: what could mean something to a file system is written in hexadecimal.
    private func folder(_ scope: String) -> String {
        let name = scope.utf8.map { byte in
            let character = Character(UnicodeScalar(byte))
            let isPlain = character.isASCII && (character.isLetter || character.isNumber)
            return isPlain ? String(character) : "_" + Hexadecimal.text(of: [byte])
        }
        return path + "/" + name.joined()
    }

    private static func scope(ofFolder name: String) -> String? {
        var bytes: [UInt8] = []
        var rest = Array(name.utf8)[...]
        while let byte = rest.popFirst() {
            guard byte == UInt8(ascii: "_") else {
                bytes.append(byte)
                continue
            }
            let digits = String(decoding: rest.prefix(2), as: UTF8.self)
            guard let value = [UInt8](hexadecimal: digits), value.count == 1 else { return nil }
            bytes += value
            rest = rest.dropFirst(2)
        }
        return String(validating: bytes, as: UTF8.self)
    }

    private func file(_ name: BlobName) -> String {
        folder(name.scope) + "/" + name.digest.description
    }

    private func entry(_ scope: String, _ file: String, in folder: String) -> Entry? {
        let digits = file.prefix(64)
        guard let bytes = [UInt8](hexadecimal: digits), let digest = Digest(bytes),
            let length = Self.size(of: folder + "/" + file)
        else { return nil }
        let name = BlobName(scope: scope, digest: digest)
        let suffix = file.dropFirst(64)
        if suffix.isEmpty || suffix == Self.sentSuffix {
            return Entry(name: name, size: length, held: length, isSent: !suffix.isEmpty)
        }
        let words = suffix.split(separator: ".", omittingEmptySubsequences: false)
        guard words.count == 4, words[0].isEmpty, "." + words[3] == Self.partSuffix,
            let size = UInt64(words[1]), length < size, !words[2].isEmpty
        else { return nil }
        return Entry(
            name: name, size: size, held: length, isSent: false, sender: String(words[2]))
    }

    private static func size(of file: String) -> UInt64? {
        var status = stat()
        guard stat(file, &status) == 0, status.st_mode & S_IFMT == S_IFREG else { return nil }
        return UInt64(status.st_size)
    }

    // MARK: What lies here

    /// All that lies here, by scope and name.
    public func entries() -> [Entry] {
        let manager = FileManager.default
        var found: [Entry] = []
        for name in (try? manager.contentsOfDirectory(atPath: path)) ?? [] {
            guard let scope = Self.scope(ofFolder: name) else { continue }
            let folder = folder(scope)
            for file in (try? manager.contentsOfDirectory(atPath: folder)) ?? [] {
                if let entry = entry(scope, file, in: folder) { found.append(entry) }
            }
        }
        return found.sorted { $0.name < $1.name }
    }

    /// A blob that lies here whole, or its first bytes by one sender; `nil` for neither.
    public func entry(_ name: BlobName, from sender: String = hub) -> Entry? {
        whole(name) ?? part(name, from: sender)
    }

    /// The first bytes of a blob by one sender.
    public func part(_ name: BlobName, from sender: String = hub) -> Entry? {
        parts(name).first { $0.sender == sender }
    }

    private func parts(_ name: BlobName) -> [Entry] {
        let folder = folder(name.scope)
        let files = (try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []
        return files.filter { $0.hasPrefix(name.digest.description) }
            .compactMap { entry(name.scope, $0, in: folder) }.filter { !$0.isWhole }
    }

    private func whole(_ name: BlobName) -> Entry? {
        let file = file(name)
        if let size = Self.size(of: file) {
            return Entry(name: name, size: size, held: size, isSent: false)
        }
        return Self.size(of: file + Self.sentSuffix).map {
            Entry(name: name, size: $0, held: $0, isSent: true)
        }
    }

    private func path(of entry: Entry) -> String {
        let file = file(entry.name)
        guard entry.isWhole else { return partPath(of: entry) }
        return entry.isSent ? file + Self.sentSuffix : file
    }

    private func partPath(of entry: Entry) -> String {
        "\(file(entry.name)).\(entry.size).\(entry.sender)\(Self.partSuffix)"
    }

    /// The file of a blob that is whole.
    public func file(holding name: BlobName) -> String? { whole(name).map(path(of:)) }

    /// At most `count` bytes of a blob that is whole, from `offset` on.
    public func bytes(
        of name: BlobName, from offset: UInt64, count: Int
    ) throws(StoreError) -> [UInt8] {
        guard let file = file(holding: name) else {
            throw .invalid("\(name.digest) isn't in \(path)")
        }
        guard let pieces = FilePieces(file) else { throw StoreError.system(file) }
        return try pieces.bytes(from: offset, count: count)
    }

    /// The blobs that are whole by their length, and hold other bytes than they were kept with.
    public func damaged() -> [Entry] {
        entries().filter { entry in
            guard entry.isWhole else { return false }
            let found = try? FilePieces.digest(of: path(of: entry))
            return found != entry.name.digest
        }
    }

    // MARK: Taking in

    /// Copies a file here, whole and on the disk before this returns. What lies here already stays.
    ///
    /// - Throws: ``StoreError`` invalid for a file that can't be read, is empty or over the limit.
    public func add(file source: String, scope: String) throws(StoreError) -> (
        digest: Digest, size: UInt64
    ) {
        guard var input = FilePieces(source) else {
            throw .invalid("\(source) can't be read: \(String(cString: strerror(errno)))")
        }
        var status = stat()
        guard fstat(input.descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFREG else {
            throw .invalid("\(source) is no file")
        }
        guard status.st_size > 0 else { throw .invalid("\(source) is empty") }
        guard UInt64(status.st_size) <= Limits.blobBytes else {
            throw .invalid(
                "\(source) has \(status.st_size) bytes, and a photo has at most \(Limits.blobBytes). "
                    + "Make it smaller, then add it again")
        }
        let folder = try makeFolder(scope)
        let partial = "\(folder)/adding-\(getpid())"
        unlink(partial)
        let output = open(partial, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
        guard output >= 0 else { throw StoreError.system(partial) }
        defer {
            close(output)
            unlink(partial)
        }
        var stream = DigestStream()
        var size: UInt64 = 0
        while let bytes = try input.next() {
            stream.update(bytes)
            try FilePieces.write(bytes, to: output, at: size, partial)
            size = input.offset
            // It may have grown since.
            guard size <= Limits.blobBytes else {
                throw .invalid("\(source) grows while it is read")
            }
        }
        let name = BlobName(scope: scope, digest: stream.digest)
        if let held = whole(name) {
            if try FilePieces.digest(of: path(of: held)) == name.digest {
                return (name.digest, size)
            }
            // What its own disk has damaged.
            unlink(path(of: held))
        }
        guard fsync(output) == 0 else { throw StoreError.system(partial) }
        try Self.rename(partial, to: file(name))
        return (name.digest, size)
    }

    /// Takes a range that follows on what its sender has brought, or begins anew: one of another size than that
    /// begins it only from its first byte. Whole, it is on the disk before this returns.
    ///
    /// - Parameters:
    ///   - isSent: it comes from the hub.
    ///   - mustBring: the sender brings all of it, and learns before that of nothing that lies here.
    public func take(
        _ part: BlobPart, from sender: String = hub, isSent: Bool, mustBring: Bool = false
    ) throws(StoreError) -> Taken {
        let whole = whole(part.name)
        if let whole, !mustBring {
            try removePart(part.name, from: sender)
            return .held(whole.size, of: whole.size)
        }
        var entry = Entry(
            name: part.name, size: part.size, held: 0, isSent: false, sender: sender)
        if let before = self.part(part.name, from: sender) {
            guard before.size == part.size || part.offset == 0 else {
                return .held(before.held, of: before.size)
            }
            if before.size == part.size {
                entry.held = before.held
            } else {
                unlink(path(of: before))
            }
        }
        guard part.offset == entry.held else { return .held(entry.held, of: entry.size) }
        try makeFolder(part.name.scope)
        let partial = partPath(of: entry)
        let output = open(partial, O_WRONLY | O_CREAT | O_CLOEXEC, 0o600)
        guard output >= 0 else { throw StoreError.system(partial) }
        defer { close(output) }
        try FilePieces.write(part.bytes, to: output, at: part.offset, partial)
        entry.held += UInt64(part.bytes.count)
        guard entry.isWhole else { return .held(entry.held, of: entry.size) }
        guard try FilePieces.digest(of: partial) == part.name.digest else {
            unlink(partial)
            return .otherBytes
        }
        if whole != nil {
            unlink(partial)
            return .held(entry.size, of: entry.size)
        }
        guard fsync(output) == 0 else { throw StoreError.system(partial) }
        entry.isSent = isSent
        // What others have begun stays: it would tell them that there is more.
        try Self.rename(partial, to: path(of: entry))
        return .held(entry.size, of: entry.size)
    }

    @discardableResult
    private func makeFolder(_ scope: String) throws(StoreError) -> String {
        let folder = folder(scope)
        for made in [path, folder] {
            if mkdir(made, 0o700) == 0 {
                try FileSwap.syncFolder(of: made)
            } else if errno != EEXIST {
                throw StoreError.system(made)
            }
        }
        return folder
    }

    private static func rename(_ file: String, to name: String) throws(StoreError) {
        guard Foundation.rename(file, name) == 0 else { throw StoreError.system(name) }
        try FileSwap.syncFolder(of: name)
    }

    // MARK: Other files

    /// The first bytes of a file; `nil` for one that can't be read.
    public static func head(ofFile path: String, count: Int) -> [UInt8]? {
        guard let pieces = FilePieces(path) else { return nil }
        return try? pieces.bytes(from: 0, count: count)
    }

    public static func isFolder(_ path: String) -> Bool {
        var status = stat()
        return stat(path, &status) == 0 && status.st_mode & S_IFMT == S_IFDIR
    }

    /// Writes a blob that is whole to a new file: it is there whole, or not at all.
    public func write(_ name: BlobName, to target: String) throws(StoreError) {
        guard let source = whole(name), var pieces = FilePieces(path(of: source)) else {
            throw .invalid("\(name.digest) isn't in \(path)")
        }
        guard access(target, F_OK) != 0 else { throw .exists(path: target) }
        let partial = target + ".partial"
        let output = open(partial, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
        guard output >= 0 else { throw StoreError.system(partial) }
        defer {
            close(output)
            unlink(partial)
        }
        var size: UInt64 = 0
        while let bytes = try pieces.next() {
            try FilePieces.write(bytes, to: output, at: size, partial)
            size = pieces.offset
        }
        guard size == source.size else {
            throw .damaged(path: path, detail: "\(name.digest) was cut short")
        }
        guard fsync(output) == 0 else { throw StoreError.system(partial) }
        try Self.rename(partial, to: target)
    }

    // MARK: What the hub holds

    /// Notes that the hub holds a blob.
    ///
    /// - Parameter time: when it said so, milliseconds since 1970.
    public func markSent(_ name: BlobName, at time: Int64) throws(StoreError) {
        guard let entry = whole(name) else { return }
        let sent = file(name) + Self.sentSuffix
        if !entry.isSent { try Self.rename(file(name), to: sent) }
        let stamp = timespec(
            tv_sec: Int(time / 1_000), tv_nsec: Int(time % 1_000) * 1_000_000)
        // The order in which they are asked for again, and nothing else.
        withUnsafeTemporaryAllocation(of: timespec.self, capacity: 2) { times in
            times.initialize(repeating: stamp)
            _ = utimensat(AT_FDCWD, sent, times.baseAddress, 0)
        }
    }

    /// The hub doesn't hold it after all.
    public func markUnsent(_ name: BlobName) throws(StoreError) {
        guard let entry = whole(name), entry.isSent else { return }
        try Self.rename(file(name) + Self.sentSuffix, to: file(name))
    }

    /// When the hub last said that it holds what lies here of a blob, milliseconds since 1970.
    func sentTime(_ entry: Entry) -> Int64 {
        var status = stat()
        guard stat(path(of: entry), &status) == 0 else { return 0 }
        return Int64(status.st_mtim.tv_sec) * 1_000 + Int64(status.st_mtim.tv_nsec) / 1_000_000
    }

    /// Nothing is known any more of what the hub holds.
    package func forgetSent() throws(StoreError) {
        for entry in entries() where entry.isSent {
            try Self.rename(file(entry.name) + Self.sentSuffix, to: file(entry.name))
        }
    }

    // MARK: Removing

    /// Overwrites what lies here of a blob, and takes it away.
    package func remove(_ entry: Entry) throws(StoreError) {
        let file = path(of: entry)
        let descriptor = open(file, O_WRONLY | O_CLOEXEC)
        guard descriptor >= 0 else {
            if errno == ENOENT { return }
            throw StoreError.system(file)
        }
        defer { close(descriptor) }
        let zeros = [UInt8](repeating: 0, count: FilePieces.pieceBytes)
        var offset: UInt64 = 0
        while offset < entry.held {
            let count = min(entry.held - offset, UInt64(zeros.count))
            try FilePieces.write(Array(zeros.prefix(Int(count))), to: descriptor, at: offset, file)
            offset += count
        }
        guard fsync(descriptor) == 0 else { throw StoreError.system(file) }
        guard unlink(file) == 0 || errno == ENOENT else { throw StoreError.system(file) }
        try FileSwap.syncFolder(of: file)
    }

    /// Takes away what a sender has begun who is told that the blob is here.
    package func removePart(_ name: BlobName, from sender: String) throws(StoreError) {
        if let part = part(name, from: sender) { try remove(part) }
    }

    // MARK: Copies

    /// What a folder holds that was copied.
    package struct Copied {
        package var count = 0
        package var bytes: UInt64 = 0
        /// Those that weren't: a disk has damaged them.
        package var damagedCount = 0
    }

    /// Copies what another folder holds whole and this one lacks, as a backup and its restoration do.
    package func copy(from other: BlobFolder) throws(StoreError) -> Copied {
        var sum = Copied()
        for entry in other.entries() where entry.isWhole {
            if whole(entry.name)?.size != entry.size {
                let source = other.path(of: entry)
                let digest = try add(file: source, scope: entry.name.scope).digest
                guard digest == entry.name.digest else {
                    unlink(file(BlobName(scope: entry.name.scope, digest: digest)))
                    sum.damagedCount += 1
                    continue
                }
                if entry.isSent { try markSent(entry.name, at: other.sentTime(entry)) }
            }
            sum.count += 1
            sum.bytes += entry.size
        }
        return sum
    }
}
