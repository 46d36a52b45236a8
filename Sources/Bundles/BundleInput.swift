internal import Causality
internal import Glibc
public import SyncProtocol

/// A bundle's file that is read. Nothing of it is handed out before all of it was read and found whole.
public final class BundleInput {
    public let path: String
    /// `nil` for a bundle that lies in memory.
    private let descriptor: Int32?
    private let memory: [UInt8]
    private var buffer: [UInt8] = []
    private var used = 0
    private static let bufferBytes = 256 << 10

    /// What lies in a bundle, frame by frame.
    public enum Content: Sendable {
        /// What the sender holds; the first of all.
        case list(BundleList)
        case runs(BundledRuns)
        /// Bytes of a blob.
        case piece(BlobPart)
        /// What a hub has of blobs.
        case holdings(BlobHoldings)
    }

    /// What a bundle says of itself to whoever can't open it.
    public struct Summary: Hashable, Sendable {
        public var head: BundleHead
        /// No further part of the series follows.
        public var isLast: Bool
        public var byteCount: UInt64
    }

    /// - Throws: ``BundleFileError`` unreadable, for what is no plain file too.
    public init(path: String) throws(BundleFileError) {
        descriptor = try Self.open(path)
        memory = []
        self.path = path
    }

    /// A bundle that lies in memory.
    ///
    /// - Parameter name: what errors call it.
    public init(bytes: [UInt8], name: String) {
        (descriptor, memory, path) = (nil, bytes, name)
    }

    private static func open(_ path: String) throws(BundleFileError) -> Int32 {
        // A pipe that nobody writes to would be waited for.
        let file = Glibc.open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
        guard file >= 0 else { throw .reading(path) }
        var status = stat()
        guard fstat(file, &status) == 0, status.st_mode & S_IFMT == S_IFREG else {
            close(file)
            throw .unreadable(path: path, "it is no plain file")
        }
        return file
    }

    deinit { if let descriptor { close(descriptor) } }

    /// Reads all of it, and holds it against what its sender signed. Its size doesn't matter: a frame at a time
    /// lies in memory.
    ///
    /// - Throws: ``BundleFileError``.
    public func check() throws(BundleFileError) -> Summary {
        try read { reader throws in
            while true {
                if case .end(let foot) = try reader.next() {
                    return Summary(
                        head: reader.head, isLast: foot.isLast, byteCount: reader.offset)
                }
            }
        }
    }

    /// What a file says of itself at its beginning, whole or not.
    ///
    /// - Throws: ``BundleFileError``.
    public func head() throws(BundleFileError) -> BundleHead { try read { $0.head } }

    /// Hands out what is in it, once all of it was read, opened and found to be what it should be.
    ///
    /// - Parameters:
    ///   - key: of one of the recipients.
    ///   - isWelcome: asked before anything is opened.
    ///   - take: takes what lies in each frame.
    /// - Throws: ``BundleFileError``, and what the closures throw.
    @discardableResult
    public func open(
        by key: DeviceKey, isWelcome: (BundleHead) throws -> Void,
        take: (Content) throws -> Void
    ) throws -> Summary {
        let whole = try check()
        try isWelcome(whole.head)
        // What the first reading of the contents finds nobody has taken in yet.
        let before = try visit(key, whole) { _ in }
        let after: BundleFoot
        do {
            after = try visit(key, whole, take)
        } catch is BundleFileError {
            // The stick was pulled, or is another one now.
            throw BundleFileError.bundle(path: path, changed)
        }
        guard before == after else { throw BundleFileError.bundle(path: path, changed) }
        return whole
    }

    private var changed: BundleError { BundleError(.changed, at: 0) }

    private func visit(
        _ key: DeviceKey, _ whole: Summary, _ take: (Content) throws -> Void
    ) throws -> BundleFoot {
        var problem: (any Error)?
        let foot = try read { reader throws in
            guard reader.head == whole.head else { throw changed }
            let contentKey = try reader.head.contentKey(by: key)
            while true {
                let content: Content
                switch try reader.next() {
                case .end(let foot): return Optional(foot)
                case .contents(let payload) where reader.contentsCount == 1:
                    content = .list(try reader.openList(payload, by: contentKey))
                case .contents(let payload):
                    content = .runs(try reader.openRuns(payload, by: contentKey))
                case .piece(let payload):
                    content = .piece(try reader.openPiece(payload, by: contentKey))
                case .holdings(let payload):
                    content = .holdings(try reader.openHoldings(payload, by: contentKey))
                }
                do {
                    try take(content)
                } catch {
                    // Not of the file: it goes out as it is.
                    problem = error
                    return nil
                }
            }
        }
        if let problem { throw problem }
        guard let foot else { preconditionFailure("reading ends with the foot, or with a problem") }
        return foot
    }

    /// Reads from the beginning.
    private func read<Result>(
        _ body: (inout BundleReader) throws -> Result
    ) throws(BundleFileError) -> Result {
        if let descriptor, lseek(descriptor, 0, SEEK_SET) != 0 { throw .reading(path) }
        (buffer, used) = (memory, 0)
        do {
            var reader = try BundleReader(reading: { try self.bytes($0) })
            return try body(&reader)
        } catch let error as BundleError {
            throw .bundle(path: path, error)
        } catch let error as BundleFileError {
            throw error
        } catch {
            throw .unreadable(path: path, "\(error)")
        }
    }

    /// The next so many bytes; fewer only at the end.
    private func bytes(_ count: Int) throws(BundleFileError) -> [UInt8] {
        while let descriptor, buffer.count - used < count {
            buffer.removeFirst(used)
            used = 0
            let wanted = max(count - buffer.count, Self.bufferBytes)
            var failure: Int32 = 0
            let more = [UInt8](unsafeUninitializedCapacity: wanted) { space, size in
                repeat {
                    size = max(Glibc.read(descriptor, space.baseAddress, wanted), -1)
                } while size < 0 && errno == EINTR
                if size < 0 { (failure, size) = (errno, 0) }
            }
            guard failure == 0 else {
                errno = failure
                throw .reading(path)
            }
            if more.isEmpty { break }
            buffer += more
        }
        let end = min(used + count, buffer.count)
        defer { used = end }
        return Array(buffer[used..<end])
    }
}
