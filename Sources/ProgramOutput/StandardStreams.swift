internal import Glibc

/// Where results go. It may be a file on a disk that is full, whatever else the command did.
public enum StandardOutput {
    /// Writes a line, whole.
    ///
    /// - Throws: `disk` when the system doesn't take it.
    public static func print(_ line: String) throws(CommandFailure) {
        let problem = write(Array((line + "\n").utf8)[...], to: STDOUT_FILENO)
        guard problem == 0 else {
            throw CommandFailure(
                .disk,
                "the result can't be written where it was to go "
                    + "(\(String(cString: strerror(problem)))). What the command did stands; look "
                    + "before doing it again")
        }
    }
}

/// What is said beside the result.
public enum StandardError {
    /// Writes a line, or nothing where the system doesn't take it: the exit code still tells.
    public static func print(_ line: String) { put(line + "\n") }

    /// The same without an end of line.
    public static func put(_ text: String) {
        _ = write(Array(text.utf8)[...], to: STDERR_FILENO)
    }
}

/// Zero, or the system's error.
private func write(_ bytes: ArraySlice<UInt8>, to descriptor: Int32) -> Int32 {
    var rest = bytes
    while !rest.isEmpty {
        let count = rest.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
        if count < 0 && errno == EINTR { continue }
        guard count > 0 else { return count < 0 ? errno : EIO }
        rest = rest.dropFirst(count)
    }
    return 0
}
