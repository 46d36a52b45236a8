internal import ArgumentParser
internal import FieldRecords
internal import Foundation
internal import ProgramOutput
internal import Recording
internal import ReplicaStore

/// What every command takes.
struct CommonOptions: ParsableArguments {
    @Option(
        name: .long,
        help: "The replica's file (default: $KARVAN_REPLICA, else karvan.sqlite here).")
    var replica: String?

    @Option(name: .customLong("as"), help: "Who is recording (default: $KARVAN_AS).")
    var person: String?

    @Flag(name: .long, help: "Print one JSON object; errors as an object on standard error.")
    var json = false

    var path: String {
        replica ?? ProcessInfo.processInfo.environment["KARVAN_REPLICA"] ?? "karvan.sqlite"
    }

    var author: String { person ?? ProcessInfo.processInfo.environment["KARVAN_AS"] ?? "" }

    func open(_ command: String) throws -> Replica {
        var environment = Environment.system(command: "karvan \(command)")
        if !json { environment.onNewIncarnation = Self.tell }
        return try Replica.open(at: path, schema: Forum.schema, environment: environment)
    }

    /// Beside what the command prints, and before it.
    private static func tell(_ incarnation: NewIncarnation) {
        let text =
            switch incarnation {
            case .copied:
                "This file is a copy: from here on it records under a name of its own. What it held "
                    + "unsent waits for the file that it was copied from; see `karvan status`."
            case .putBack:
                "This file is older than the one that lay here before: from here on it records under "
                    + "a new name. What the hub has comes back with `karvan sync`; what was recorded "
                    + "since and not sent is only in the newer file, if you still have it."
            case .forked:
                "Another laptop records with a copy of this one's disk, and with its key. All that both "
                    + "recorded counts, and from here on this one records under a name of its own. If "
                    + "nobody of yours made that copy, tell the hub's operator."
            }
        StandardError.print("karvan: \(text)")
    }

    func records(_ command: String) throws -> Records { Records(try open(command)) }

    /// Prints the result: as text, or as one JSON object.
    func print(
        _ text: @autoclosure () throws -> String, _ json: @autoclosure () throws -> JSONValue
    ) throws {
        let line = try self.json ? json().text : text()
        try StandardOutput.print(line)
    }

    /// Options may stand before the command, as in `karvan --as Leyla attend …`: they are moved
    /// behind it, where they are declared.
    static func movedBehindCommand(_ arguments: [String]) -> [String] {
        var moved: [String] = []
        var rest = arguments[...]
        while let first = rest.first {
            if first == "--json" {
                moved.append(String(first))
                rest.removeFirst()
            } else if first == "--as" || first == "--replica", rest.count > 1 {
                moved += rest.prefix(2)
                rest.removeFirst(2)
            } else if first.hasPrefix("--as=") || first.hasPrefix("--replica=") {
                moved.append(first)
                rest.removeFirst()
            } else {
                break
            }
        }
        guard !moved.isEmpty, let command = rest.first else { return arguments }
        // What is no command is what the parser shall speak of, not the options in front of it.
        guard Karvan.commandNames.contains(command) else { return Array(rest) }
        let end = rest.firstIndex(of: "--") ?? rest.endIndex
        return Array(rest[..<end]) + moved + Array(rest[end...])
    }
}
