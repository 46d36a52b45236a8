internal import ArgumentParser
internal import FieldRecords
internal import ProgramOutput
internal import Recording
internal import ReplicaStore

/// Which moment of the past to show.
struct PastOptions: ParsableArguments {
    @Option(
        name: .customLong("at"),
        help: """
            As of this time: a time, or a bare 10:10 of the item's day for what belongs to an \
            item, else of today. A time in whole seconds includes that second.
            """)
    var time: String?

    @Flag(
        name: .customLong("received"),
        help: """
            With --at: what this replica held by then. Without it: what had been recorded anywhere \
            by then, by the clocks of those who recorded, as far as it is here by now.
            """)
    var isReceived = false

    func validate() throws {
        guard !isReceived || time != nil else {
            throw ValidationError("--received goes with --at TIME.")
        }
    }

    /// - Parameter item: whose day a bare time is of.
    func point(_ records: Records, item: String?) throws -> PastPoint? {
        guard let time else { return nil }
        let milliseconds = try records.pastMilliseconds(time, item: item)
        return isReceived
            ? .received(milliseconds: milliseconds) : .recorded(milliseconds: milliseconds)
    }
}

extension PastPoint {
    private var milliseconds: Int64 {
        switch self {
        case .recorded(let milliseconds), .received(let milliseconds): milliseconds
        }
    }

    /// What the picture is made of, in a line or two.
    func note(_ records: Records) throws -> String {
        let time = Instant(milliseconds: milliseconds).inWholeSeconds
        let last = try records.replica.lastReceivedMilliseconds().map {
            "this replica received the last change on \(Instant(milliseconds: $0).inWholeSeconds)"
        }
        return switch self {
        case .recorded:
            "as of \(time) by the clocks of those who recorded;\n"
                + (last ?? "this replica has received no change yet")
        case .received:
            "as this replica had it at \(time): what it had received and recorded by then"
        }
    }

    /// Members that say what the object is made of.
    func json(_ records: Records) throws -> [(String, JSONValue)] {
        var isReceived = false
        if case .received = self { isReceived = true }
        let last = try records.replica.lastReceivedMilliseconds()
        return [
            ("at", .time(milliseconds)), ("by_receipt", .bool(isReceived)),
            ("last_received", last.map(JSONValue.time) ?? .null),
        ]
    }
}

extension JSONValue {
    /// A time, by its milliseconds since 1970.
    static func time(_ milliseconds: Int64) -> JSONValue {
        .string(Instant(milliseconds: milliseconds).formatted())
    }
}
