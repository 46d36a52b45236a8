internal import ArgumentParser
internal import Causality
internal import FieldRecords
internal import Hub
internal import Merge
internal import ProgramOutput
internal import RecordSchema
internal import Recording
internal import ReplicaStore
internal import SyncProtocol

/// What the hub keeps and doesn't count.
struct QuarantineCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "quarantine",
        abstract: "Look at changes that are kept aside, and count nowhere.",
        subcommands: [QuarantineList.self, QuarantineShow.self])
}

struct QuarantineList: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "list", abstract: "List what is kept aside, with the reason.")

    @OptionGroup var common: CommonOptions

    func run() throws {
        let store = try common.openStore("quarantine list")
        defer { store.close() }
        let names = Dictionary(
            try store.devices().map { ($0.device, $0.name) }, uniquingKeysWith: { first, _ in first })
        let kept = try store.replica.quarantinedRuns()
        var output = TextTable(["no", "laptop", "changes", "received", "reason"])
        for entry in kept {
            let device = entry.device?.description
            output.add([
                "\(entry.number)", device.map { names[$0] ?? String($0.prefix(8)) } ?? "unknown",
                "\(entry.run.header.count)", time(entry.receivedMilliseconds), entry.reason,
            ])
        }
        try common.print(
            kept.isEmpty ? "Nothing is kept aside." : output.lines.joined(separator: "\n"),
            .object([("runs", .array(kept.map { json($0, names) }))]))
    }

    private func time(_ milliseconds: Int64) -> String {
        Instant(milliseconds: milliseconds).inWholeSeconds
    }

    private func json(_ entry: QuarantinedRun, _ names: [String: String]) -> JSONValue {
        let device = entry.device?.description
        return .object([
            ("no", .integer(entry.number)), ("device", device.map(JSONValue.string) ?? .null),
            ("name", device.flatMap { names[$0] }.map(JSONValue.string) ?? .null),
            ("stream", .string("\(entry.run.header.stream)")),
            ("first", .integer(Int64(entry.run.header.firstSeq))),
            ("last", .integer(Int64(entry.run.header.lastSeq))),
            ("received", .string(time(entry.receivedMilliseconds))),
            ("reason", .string(entry.reason)),
        ])
    }
}

struct QuarantineShow: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "show", abstract: "Show what is written in changes that are kept aside.")

    @OptionGroup var common: CommonOptions
    @Argument(help: "The number that `quarantine list` gives.")
    var number: Int64

    func run() throws {
        let store = try common.openStore("quarantine show")
        defer { store.close() }
        guard let kept = try store.replica.quarantinedRuns().first(where: { $0.number == number })
        else {
            throw CommandFailure(
                .badInput, "nothing is kept aside as \(number); see `karvan-hub quarantine list`")
        }
        guard let changesets = try store.replica.changesets(of: kept) else {
            throw CommandFailure(
                .badInput, "\(number) can't be read before what comes before it in its stream is here")
        }
        let words = ChangeWords(records: Records(store.replica))
        let text = try changesets.flatMap { try words.lines($0) }.joined(separator: "\n")
        let objects = try changesets.map { try words.json($0) }
        try common.print(
            text, .object([("no", .integer(number)), ("changes", .array(objects))]))
    }
}

/// What changesets say that are no part of the records.
private struct ChangeWords {
    let records: Records

    func lines(_ changeset: Changeset) throws -> [String] {
        let claimed = Instant(milliseconds: changeset.claimedMilliseconds).inWholeSeconds
        let author = changeset.author.isEmpty ? "" : ", \(TextTable.printable(changeset.author))"
        var lines = ["\(claimed)\(author)  (change \(changeset.dot.seq))"]
        for change in changeset.rows {
            let words = try change.operations.map { try word($0, table(of: change)) }
            lines.append(
                "  \(try name(of: change)): \(TextTable.printable(words.joined(separator: ", ")))")
        }
        return lines
    }

    func json(_ changeset: Changeset) throws -> JSONValue {
        let claimed = Instant(milliseconds: changeset.claimedMilliseconds).formatted()
        return .object([
            ("change", .string("\(changeset.dot)")), ("author", .string(changeset.author)),
            ("claimed", .string(claimed)),
            ("rows", .array(try changeset.rows.map { try json($0) })),
        ])
    }

    private func json(_ change: RowChange) throws -> JSONValue {
        let words = try change.operations.map { try word($0, table(of: change)) }
        return .object([
            ("table", .string(table(of: change)?.name ?? "\(change.table)")),
            ("row", .string("\(change.row)")), ("name", .string(try name(of: change))),
            ("changes", .array(words.map(JSONValue.string))),
        ])
    }

    private func table(of change: RowChange) -> RecordSchema.Table? {
        Forum.schema.table(id: change.table)
    }

    private func name(of change: RowChange) throws -> String {
        guard let table = table(of: change) else { return "table \(change.table) \(change.row)" }
        let name = try records.knownName(of: change.row, in: table)
        return "\(table.name) \(TextTable.printable(name))"
    }

    private func word(
        _ operation: Merge.Operation, _ table: RecordSchema.Table?
    ) throws -> String {
        let column = table?.column(id: operation.cell.column)
        let name = column?.name ?? "column \(operation.cell.column)"
        func text(_ value: Value) throws -> String {
            try column.map { try records.text(of: value, in: $0) } ?? "?"
        }
        switch operation.action {
        case .put(let value):
            guard column?.isSet == true else { return "\(name)=\(try text(value))" }
            let element = try? Value(canonicalBytes: operation.cell.element)
            return "\(name) with \(try element.map(text) ?? "?")"
        case .resolve(let value, _): return "\(name) settled as \(try text(value))"
        case .retract: return operation.cell == .life ? "restored" : "\(name) taken back"
        case .delete: return "deleted"
        }
    }
}
