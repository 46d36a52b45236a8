internal import Foundation

/// Who holds a replica's lock, as it wrote about itself.
public struct LockHolder: Hashable, Sendable, CustomStringConvertible {
    public var process: Int64
    public var command: String

    public var description: String {
        process == 0 ? "another process" : "process \(process) (\(command))"
    }
}

/// The advisory lock of a replica: whoever writes or checkpoints holds it.
///
/// It is the file `REPLICA.lock` under flock(2), so that the system lets go of it when a process
/// ends, however it ends. It is taken for each transaction and never held across the network.
/// Whoever waits for it says so, by a lock on a byte of the file that nobody writes: as long as
/// nobody does, whoever has much to do goes on in one transaction.
/// One lock for writers and checkpoints also keeps clear of a fault in SQLite before 3.44.6, where
/// one connection's commit met another's checkpoint that starts the WAL over.
final class ReplicaLock {
    let path: String
    private let descriptor: Int32
    /// What stands in the file while this process holds the lock.
    private let signature: [UInt8]
    private var depth = 0
    /// Whether a sync of the log has failed since it was last known to be whole, in this process or
    /// in another: what is appended behind a hole would be lost with it. Known while it is held.
    private(set) var isLogInDoubt = false

    init(replica: String, command: String) throws(StoreError) {
        path = replica + ".lock"
        signature = Array("\(getpid()) \(command)\n".utf8)
        descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else {
            let reason = String(cString: strerror(errno))
            throw errno == ENOSPC
                ? .full(path: replica) : .readOnly(path: path, detail: reason)
        }
    }

    deinit { close(descriptor) }

    /// Takes the lock, or gives up and names its holder.
    ///
    /// - Parameters:
    ///   - limitMilliseconds: how long to wait.
    ///   - now: a monotonic clock, in milliseconds.
    func acquire(
        replica: String, limitMilliseconds: Int64, now: () -> Int64
    ) throws(StoreError) {
        if depth == 0 {
            if flock(descriptor, LOCK_EX | LOCK_NB) != 0 {
                try wait(replica: replica, limitMilliseconds: limitMilliseconds, now: now)
            }
            sign()
        }
        depth += 1
    }

    private func wait(
        replica: String, limitMilliseconds: Int64, now: () -> Int64
    ) throws(StoreError) {
        let start = now()
        var pause: UInt32 = 500
        // Where the file system has no such locks, nobody is told, and the wait is longer.
        _ = setWaiting(F_RDLCK)
        defer { _ = setWaiting(F_UNLCK) }
        repeat {
            let waited = now() - start
            guard errno == EWOULDBLOCK || errno == EINTR, waited < limitMilliseconds else {
                throw .held(path: replica, holder: holder(), waitedMilliseconds: waited)
            }
            usleep(pause)
            pause = min(pause * 2, Self.longestPause)
        } while flock(descriptor, LOCK_EX | LOCK_NB) != 0
    }

    func release() {
        depth -= 1
        if depth == 0 { flock(descriptor, LOCK_UN) }
    }

    // MARK: Who waits

    /// The byte that those who wait have a shared lock on: behind what is ever written.
    private static let waitingByte: off_t = 1 << 30
    /// Between two tries to take the lock, in microseconds.
    private static let longestPause: UInt32 = 8_000

    /// `F_OFD_GETLK` and `F_OFD_SETLK` of fcntl(2): what the headers show to GNU sources only.
    private static let (getOpenFileLock, setOpenFileLock): (Int32, Int32) = (36, 37)

    private func waiting(_ type: Int32) -> flock {
        flock(
            l_type: Int16(type), l_whence: Int16(SEEK_SET), l_start: Self.waitingByte, l_len: 1,
            l_pid: 0)
    }

    private func setWaiting(_ type: Int32) -> Bool {
        let before = errno
        defer { errno = before }
        var region = waiting(type)
        return fcntl(descriptor, Self.setOpenFileLock, &region) == 0
    }

    /// Whether somebody waits for the lock, in this process or in another.
    var isAwaited: Bool {
        var region = waiting(F_WRLCK)
        return fcntl(descriptor, Self.getOpenFileLock, &region) == 0
            && region.l_type != Int16(F_UNLCK)
    }

    /// Leaves the lock to whoever waits, for as long as they may sleep before they try again. Not
    /// while it is held.
    func giveWay() {
        var rest = 2 * Int(Self.longestPause)
        while rest > 0, isAwaited {
            usleep(500)
            rest -= 500
        }
    }

    /// Reads what stands there, and writes who holds it unless that does: a write would make the
    /// next fsync wait for this file's times too. The name is for people; the mark of a doubtful
    /// log need not outlive the machine, whose next start reads the log from the disk.
    private func sign() {
        let isSigned = withUnsafeTemporaryAllocation(
            byteCount: Self.byteCount, alignment: 1
        ) { buffer in
            let count = pread(descriptor, buffer.baseAddress, buffer.count, 0)
            let found = UnsafeRawBufferPointer(rebasing: buffer[..<max(count, 0)])
            isLogInDoubt = found.suffix(Self.doubt.count).elementsEqual(Self.doubt)
            return !isLogInDoubt && found.elementsEqual(signature)
        }
        if !isSigned { write(content) }
    }

    private static let doubt = Array("log in doubt\n".utf8)
    /// The most that is read of the file.
    private static let byteCount = 512

    private var content: [UInt8] { signature + (isLogInDoubt ? Self.doubt : []) }

    /// Tells whoever takes the lock next. While it is held.
    func mark(logInDoubt: Bool) {
        guard isLogInDoubt != logInDoubt else { return }
        isLogInDoubt = logInDoubt
        write(content)
    }

    private func write(_ text: [UInt8]) {
        _ = text.withUnsafeBytes { pwrite(descriptor, $0.baseAddress, $0.count, 0) }
        _ = ftruncate(descriptor, off_t(text.count))
    }

    private func read() -> [UInt8] {
        [UInt8](unsafeUninitializedCapacity: Self.byteCount) { buffer, count in
            count = max(pread(descriptor, buffer.baseAddress, buffer.count, 0), 0)
        }
    }

    private func holder() -> LockHolder {
        let line = String(decoding: read(), as: UTF8.self).split(separator: "\n").first ?? ""
        let parts = line.split(separator: " ", maxSplits: 1)
        return LockHolder(
            process: parts.first.flatMap { Int64($0) } ?? 0,
            command: parts.count > 1 ? String(parts[1]) : "unknown")
    }
}
