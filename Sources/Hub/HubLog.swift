internal import Glibc
package import Logging
internal import Synchronization

/// Writes each event as one line of logfmt: `time=… level=… event=… key=value …`, keys in order.
///
/// Names, paths and reasons come from strangers, so every value is escaped: no text, whatever is
/// in it, makes a second line or another key. What is personal or secret is not given to a logger.
package struct HubLog: LogHandler {
    package var metadata: Logger.Metadata = [:]
    package var logLevel: Logger.Level
    package var metadataProvider: Logger.MetadataProvider?

    private let wallMilliseconds: @Sendable () -> Int64
    private let write: @Sendable ([UInt8]) -> Void

    /// - Parameters:
    ///   - level: what is less severe is left out.
    ///   - wallMilliseconds: milliseconds since 1970.
    ///   - write: takes one whole line with its newline; called from any thread.
    package init(
        level: Logger.Level, wallMilliseconds: @escaping @Sendable () -> Int64,
        write: @escaping @Sendable ([UInt8]) -> Void
    ) {
        logLevel = level
        self.wallMilliseconds = wallMilliseconds
        self.write = write
    }

    /// The hub's logger: to standard error, so that standard output stays for results.
    package static func logger(
        level: Logger.Level = .info, wallMilliseconds: @escaping @Sendable () -> Int64
    ) -> Logger {
        Logger(label: "karvan-hub") { _ in
            HubLog(
                level: level, wallMilliseconds: wallMilliseconds, write: StandardError.write(line:))
        }
    }

    package subscript(metadataKey key: String) -> Logger.MetadataValue? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    package func log(event: LogEvent) {
        var line = HubLogLine()
        line.add(own: "time", HubLogLine.time(wallMilliseconds()))
        line.add(own: "level", event.level.rawValue)
        line.add(own: "event", event.message.description)
        if let error = event.error { line.add("error", String(describing: error)) }
        let own = metadata.merging(metadataProvider?.get() ?? [:]) { $1 }
        for (key, value) in own.merging(event.metadata ?? [:], uniquingKeysWith: { $1 })
            .sorted(by: { $0.key < $1.key })
        {
            line.add(key, value.description)
        }
        write(line.bytes)
    }
}

private enum StandardError {
    /// Two lines that are longer than a pipe's atomic write would mix without it.
    private static let turn = Mutex(())

    /// A log that can't be written must not stop the hub: errors are dropped.
    static func write(line: [UInt8]) {
        turn.withLock { _ in
            var rest = line[...]
            while !rest.isEmpty {
                let count = rest.withUnsafeBytes {
                    Glibc.write(STDERR_FILENO, $0.baseAddress, $0.count)
                }
                if count < 0 && errno == EINTR { continue }
                guard count > 0 else { return }
                rest = rest.dropFirst(count)
            }
        }
    }
}
