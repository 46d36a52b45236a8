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

    /// Writes who holds it, unless that stands there already: a write would make the next fsync
    /// wait for this file's times too. Only for people: nothing depends on it.
    private func sign() {
        let text = Array("\(getpid()) \(command)\n".utf8)
        guard read() != text else { return }
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
