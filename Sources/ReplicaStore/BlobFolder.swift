internal import Causality
internal import Foundation
public import SyncProtocol

/// The bytes that records name, beside a replica: the folder `REPLICA-blobs`, with a folder for each scope.
///
/// A file bears its SHA-256 for a name, so its bytes never change, and a copy of the folder can be brought up to
/// date by what is new in it. Behind the name stands `.sent` once the hub is known to hold them; `.SIZE.part` are
/// the first bytes of one that isn't whole yet.
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

        public var isWhole: Bool { held == size }
    }

    /// What became of a range that came.
    public enum Taken: Hashable, Sendable {
        /// So many bytes are here now, of so many.
        case held(UInt64, of: UInt64)
        /// All bytes came, and aren't those that the name stands for: they are gone.
        case otherBytes
    }

    private static let sentSuffix = ".sent"
    private static let partSuffix = ".part"
    private static let copyBytes = 1 << 20

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
        guard suffix.hasPrefix("."), suffix.hasSuffix(Self.partSuffix),
            let size = UInt64(suffix.dropFirst().dropLast(Self.partSuffix.count)), length < size
        else { return nil }
        return Entry(name: name, size: size, held: length, isSent: false)
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

    /// - Returns: `nil` when nothing of it lies here.
    public func entry(_ name: BlobName) -> Entry? {
        if let whole = whole(name) { return whole }
        let folder = folder(name.scope)
        let files = (try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []
        return files.lazy.filter { $0.hasPrefix(name.digest.description) }
            .compactMap { entry(name.scope, $0, in: folder) }.first
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
        guard entry.isWhole else { return "\(file).\(entry.size)\(Self.partSuffix)" }
        return entry.isSent ? file + Self.sentSuffix : file
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
        let descriptor = open(file, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw StoreError.system(file) }
        defer { close(descriptor) }
        return try Self.read(descriptor, from: offset, count: count, file)
    }

    private static func read(
        _ descriptor: Int32, from offset: UInt64, count: Int, _ file: String
    ) throws(StoreError) -> [UInt8] {
        var failed = false
        let bytes = [UInt8](unsafeUninitializedCapacity: count) { buffer, filled in
            while filled < count {
                let got = pread(
                    descriptor, buffer.baseAddress! + filled, count - filled,
                    off_t(offset) + off_t(filled))
                if got < 0, errno == EINTR { continue }
                guard got > 0 else {
                    failed = got < 0
                    return
                }
                filled += got
            }
        }
        if failed { throw StoreError.system(file) }
        return bytes
    }

    /// Whether a file's bytes are those that `digest` stands for.
    private static func digest(of file: String) throws(StoreError) -> Digest {
        let descriptor = open(file, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw StoreError.system(file) }
        defer { close(descriptor) }
        var stream = DigestStream()
        var offset: UInt64 = 0
        while true {
            let bytes = try read(descriptor, from: offset, count: copyBytes, file)
            if bytes.isEmpty { return stream.digest }
            stream.update(bytes)
            offset += UInt64(bytes.count)
        }
    }

    /// The blobs that are whole by their length, and hold other bytes than they were kept with.
    public func damaged() -> [Entry] {
        entries().filter { entry in
            guard entry.isWhole else { return false }
            let found = try? Self.digest(of: path(of: entry))
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
        let input = open(source, O_RDONLY | O_CLOEXEC)
        guard input >= 0 else {
            throw .invalid("\(source) can't be read: \(String(cString: strerror(errno)))")
        }
        defer { close(input) }
        var status = stat()
        guard fstat(input, &status) == 0, status.st_mode & S_IFMT == S_IFREG else {
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
        while true {
            let bytes = try Self.read(input, from: size, count: Self.copyBytes, source)
            if bytes.isEmpty { break }
            stream.update(bytes)
            try Self.write(bytes, output, at: size, partial)
            size += UInt64(bytes.count)
            // It may have grown since.
            guard size <= Limits.blobBytes else {
                throw .invalid("\(source) grows while it is read")
            }
        }
        let name = BlobName(scope: scope, digest: stream.digest)
        if let held = whole(name) {
            if try Self.digest(of: path(of: held)) == name.digest { return (name.digest, size) }
            // What its own disk has damaged.
            unlink(path(of: held))
        }
        guard fsync(output) == 0 else { throw StoreError.system(partial) }
        try Self.rename(partial, to: file(name))
        return (name.digest, size)
    }

    /// Takes a range that follows on what lies here, or begins anew: one of another size than what lies here
    /// begins it only from its first byte. Whole, it is on the disk before this returns.
    ///
    /// - Parameter isSent: it comes from the hub.
    public func take(_ part: BlobPart, isSent: Bool) throws(StoreError) -> Taken {
        if let whole = whole(part.name) { return .held(whole.size, of: whole.size) }
        var entry = Entry(name: part.name, size: part.size, held: 0, isSent: false)
        if let before = self.entry(part.name) {
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
        let partial = path(of: entry)
        let output = open(partial, O_WRONLY | O_CREAT | O_CLOEXEC, 0o600)
        guard output >= 0 else { throw StoreError.system(partial) }
        defer { close(output) }
        try Self.write(part.bytes, output, at: part.offset, partial)
        entry.held += UInt64(part.bytes.count)
        guard entry.isWhole else { return .held(entry.held, of: entry.size) }
        guard try Self.digest(of: partial) == part.name.digest else {
            unlink(partial)
            return .otherBytes
        }
        guard fsync(output) == 0 else { throw StoreError.system(partial) }
        entry.isSent = isSent
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

    private static func write(
        _ bytes: [UInt8], _ descriptor: Int32, at offset: UInt64, _ file: String
    ) throws(StoreError) {
        var written = 0
        while written < bytes.count {
            let count = bytes.withUnsafeBytes { buffer in
                pwrite(
                    descriptor, buffer.baseAddress! + written, bytes.count - written,
                    off_t(offset) + off_t(written))
            }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { throw StoreError.system(file) }
            written += count
        }
    }

    private static func rename(_ file: String, to name: String) throws(StoreError) {
        guard Foundation.rename(file, name) == 0 else { throw StoreError.system(name) }
        try FileSwap.syncFolder(of: name)
    }

    // MARK: What the hub holds

    /// Notes that the hub holds a blob.
    public func markSent(_ name: BlobName) throws(StoreError) {
        guard let entry = whole(name), !entry.isSent else { return }
        try Self.rename(file(name), to: file(name) + Self.sentSuffix)
    }

    /// Nothing is known any more of what the hub holds.
    func forgetSent() throws(StoreError) {
        for entry in entries() where entry.isSent {
            try Self.rename(file(entry.name) + Self.sentSuffix, to: file(entry.name))
        }
    }

    // MARK: Removing

    /// Overwrites what lies here of a blob, and takes it away.
    func remove(_ entry: Entry) throws(StoreError) {
        let file = path(of: entry)
        let descriptor = open(file, O_WRONLY | O_CLOEXEC)
        guard descriptor >= 0 else {
            if errno == ENOENT { return }
            throw StoreError.system(file)
        }
        defer { close(descriptor) }
        let zeros = [UInt8](repeating: 0, count: Self.copyBytes)
        var offset: UInt64 = 0
        while offset < entry.held {
            let count = min(entry.held - offset, UInt64(zeros.count))
            try Self.write(Array(zeros.prefix(Int(count))), descriptor, at: offset, file)
            offset += count
        }
        guard fsync(descriptor) == 0 else { throw StoreError.system(file) }
        guard unlink(file) == 0 || errno == ENOENT else { throw StoreError.system(file) }
        try FileSwap.syncFolder(of: file)
    }

    // MARK: Copies

    /// What a folder holds that was copied.
    struct Copied {
        var count = 0
        var bytes: UInt64 = 0
        /// Those that weren't: a disk has damaged them.
        var damagedCount = 0
    }

    /// Copies what another folder holds whole and this one lacks, as a backup and its restoration do.
    func copy(from other: BlobFolder) throws(StoreError) -> Copied {
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
                if entry.isSent { try markSent(entry.name) }
            }
            sum.count += 1
            sum.bytes += entry.size
        }
        return sum
    }
}
