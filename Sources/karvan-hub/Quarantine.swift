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
        abstract: "Look at changes that are kept aside and count nowhere, and decide on them.",
        subcommands: [
            QuarantineList.self, QuarantineShow.self, QuarantineAdmit.self, QuarantineSkip.self,
        ])
}

struct QuarantineList: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "list", abstract: "List what is kept aside, with the reason.",
        discussion: """
            Example: karvan-hub quarantine list --all
            """)

    @OptionGroup var common: CommonOptions
    @Flag(help: "List also what somebody has left aside for good with `quarantine skip`.")
    var all = false

    func run() throws {
        let store = try common.openStore("quarantine list")
        defer { store.close() }
        let names = try store.namesOfDevices()
        let kept = try store.replica.quarantinedRuns().map { run in
            Entry(run: run, isSkipped: try store.isSkipped(run))
        }
        let listed = kept.filter { all || !$0.isSkipped }
        var output = TextTable(["no", "laptop", "changes", "received", "reason"])
        for entry in listed {
            let name = entry.run.device.map { names[$0] ?? $0.short } ?? "unknown"
            output.add([
                "\(entry.run.number)", name, "\(entry.run.run.header.count)",
                time(entry.run.receivedMilliseconds),
                entry.isSkipped ? "left aside; \(entry.run.reason)" : entry.run.reason,
            ])
        }
        var text = listed.isEmpty ? "Nothing is kept aside." : output.lines.joined(separator: "\n")
        let hiddenCount = kept.count - listed.count
        if hiddenCount > 0 {
            text += "\n\(hiddenCount) left aside for good: see `karvan-hub quarantine list --all`."
        }
        try common.print(
            text, .object([("runs", .array(listed.map { json($0, names) }))]))
    }

    private struct Entry {
        var run: QuarantinedRun
        var isSkipped: Bool
    }

    private func time(_ milliseconds: Int64) -> String {
        Instant(milliseconds: milliseconds).inWholeSeconds
    }

    private func json(_ entry: Entry, _ names: [DeviceID: String]) -> JSONValue {
        let (run, device) = (entry.run, entry.run.device)
        return .object([
            ("no", .integer(run.number)),
            ("device", device.map { .string($0.description) } ?? .null),
            ("name", device.flatMap { names[$0] }.map(JSONValue.string) ?? .null),
            ("stream", .string("\(run.run.header.stream)")),
            ("first", .integer(Int64(run.run.header.firstSeq))),
            ("last", .integer(Int64(run.run.header.lastSeq))),
            ("received", .string(time(run.receivedMilliseconds))),
            ("reason", .string(run.reason)), ("skipped", .bool(entry.isSkipped)),
        ])
    }
}

struct QuarantineShow: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "show", abstract: "Show what is written in changes that are kept aside.",
        discussion: """
            Example: karvan-hub quarantine show 3
            """)

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
                .badInput,
                "\(number) can't be read before what comes before it in its stream is here")
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

    /// What a changeset does to one row, put together.
    private struct RowWords {
        var table: RecordSchema.Table?
        var name: String
        var words: [String]
    }

    func lines(_ changeset: Changeset) throws -> [String] {
        let claimed = Instant(milliseconds: changeset.claimedMilliseconds).inWholeSeconds
        let author = changeset.author.isEmpty ? "" : ", \(TextTable.printable(changeset.author))"
        let head = "\(claimed)\(author)  (change \(changeset.dot.seq))"
        return try [head]
            + rows(changeset).map { row in
                let words = TextTable.printable(row.words.joined(separator: ", "))
                return
                    "  \(row.table?.name ?? "unknown table") \(TextTable.printable(row.name)): \(words)"
            }
    }

    func json(_ changeset: Changeset) throws -> JSONValue {
        let claimed = Instant(milliseconds: changeset.claimedMilliseconds).formatted()
        let rows = try rows(changeset).map { row in
            JSONValue.object([
                ("table", row.table.map { .string($0.name) } ?? .null),
                ("name", .string(row.name)), ("changes", .array(row.words.map(JSONValue.string))),
            ])
        }
        return .object([
            ("change", .string("\(changeset.dot)")), ("author", .string(changeset.author)),
            ("claimed", .string(claimed)), ("rows", .array(rows)),
        ])
    }

    private func rows(_ changeset: Changeset) throws -> [RowWords] {
        var order: [RowID] = []
        var operations: [RowID: (table: UInt32, all: [Merge.Operation])] = [:]
        for change in changeset.rows {
            if operations[change.row] == nil { order.append(change.row) }
            operations[change.row, default: (change.table, [])].all += change.operations
        }
        return try order.map { row in
            let (number, all) = operations[row, default: (0, [])]
            let table = Forum.schema.table(id: number)
            return RowWords(
                table: table, name: try name(of: row, table, all),
                words: try all.map { try word($0, table) })
        }
    }

    /// A row that is only here has its name from here.
    private func name(
        of row: RowID, _ table: RecordSchema.Table?, _ operations: [Merge.Operation]
    ) throws -> String {
        guard let table else { return "\(row)" }
        let key = try table.keyColumns.compactMap { column -> String? in
            let put = operations.first { $0.cell == CellKey(column.id) }
            return try put?.action.value.map { try records.text(of: $0, in: column) }
        }
        guard !key.isEmpty, key.count == table.keyColumns.count else {
            return try records.knownName(of: row, in: table)
        }
        return key.joined(separator: "/")
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
        case .put(.composite(let parts)) where column?.isCounter == true:
            guard parts.count == 2, case .integer(let up) = parts[0],
                case .integer(let down) = parts[1]
            else { return "\(name)=?" }
            return "\(name) at \(up.subtractingReportingOverflow(down).partialValue) by this laptop"
        case .put where column?.isSet == true:
            let element = try? Value(canonicalBytes: operation.cell.element)
            return "\(name) with \(try element.map(text) ?? "?")"
        case .put(let value): return "\(name)=\(try text(value))"
        case .resolve(let value, _): return "\(name) settled as \(try text(value))"
        case .retract: return operation.cell == .life ? "restored" : "\(name) taken back"
        case .delete: return "deleted"
        }
    }
}
