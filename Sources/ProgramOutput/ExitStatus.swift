/// How a program ends. The numbers are part of its interface; most are those of sysexits.h.
public enum ExitStatus: Int32, Sendable, CaseIterable {
    case done = 0
    /// `conflicts list --open` found conflicts that a person must decide.
    case openConflicts = 20
    /// What was shown is no longer what stands; nothing was written.
    case stale = 21
    case usage = 64
    /// What was given can't be used; nothing was written.
    case badInput = 65
    /// No hub answered; the work is safe, and waits.
    case unreachable = 69
    /// A fault in the program itself.
    case fault = 70
    case disk = 74
    /// Another process holds the replica.
    case held = 75
    /// The other side answered, and not as the protocol says.
    case protocolError = 76
    case refused = 77
    case configuration = 78
    /// Ctrl-C or SIGTERM: ended between two transactions. The message says what is done.
    case stopped = 130
}

/// Why a command did not do what it was asked.
public struct CommandFailure: Error, Sendable {
    public var status: ExitStatus
    /// What happened and what to do next, in a sentence or more.
    public var message: String
    /// Further facts for other programs.
    public var facts: [(String, JSONValue)]

    public init(_ status: ExitStatus, _ message: String, facts: [(String, JSONValue)] = []) {
        self.status = status
        self.message = message
        self.facts = facts
    }

    /// The object that stands on standard error under `--json`.
    public var json: JSONValue {
        .object(
            [
                ("error", .string(message)),
                ("status", .string("\(status)")),
                ("exit", .integer(Int64(status.rawValue))),
            ] + facts)
    }
}
