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
/// One lock for writers and checkpoints also keeps clear of a fault in SQLite before 3.44.6, where
/// one connection's commit met another's checkpoint that starts the WAL over.
final class ReplicaLock {
    let path: String
    private let descriptor: Int32
    private let command: String
    private var depth = 0
    /// Whether a sync of the log has failed since it was last known to be whole, in this process or
    /// in another: what is appended behind a hole would be lost with it. Known while it is held.
    private(set) var isLogInDoubt = false

    init(replica: String, command: String) throws(StoreError) {
        path = replica + ".lock"
        self.command = command
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
            let start = now()
            var pause: UInt32 = 500
            while flock(descriptor, LOCK_EX | LOCK_NB) != 0 {
                let waited = now() - start
                guard errno == EWOULDBLOCK || errno == EINTR, waited < limitMilliseconds else {
                    throw .held(path: replica, holder: holder(), waitedMilliseconds: waited)
                }
                usleep(pause)
                pause = min(pause * 2, 8_000)
            }
            sign()
        }
        depth += 1
    }

    func release() {
        depth -= 1
        if depth == 0 { flock(descriptor, LOCK_UN) }
    }

    /// Reads what stands there, and writes who holds it unless that does: a write would make the
    /// next fsync wait for this file's times too. The name is for people; the mark of a doubtful
    /// log need not outlive the machine, whose next start reads the log from the disk.
    private func sign() {
        let found = read()
        isLogInDoubt = found.suffix(Self.doubt.count).elementsEqual(Self.doubt)
        let text = content
        if found != text { write(text) }
    }

    private static let doubt = Array("log in doubt\n".utf8)

    private var content: [UInt8] {
        Array("\(getpid()) \(command)\n".utf8) + (isLogInDoubt ? Self.doubt : [])
    }

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
        [UInt8](unsafeUninitializedCapacity: 512) { buffer, count in
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
