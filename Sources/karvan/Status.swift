internal import ArgumentParser
internal import Causality
internal import ConflictInspection
internal import FieldRecords
internal import ProgramOutput
internal import RecordSchema
internal import Recording
internal import ReplicaStore
internal import SyncProtocol

/// Says how things stand: without the network, and without promises.
struct Status: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "status",
        abstract: "Show what is unsent, the last successful sync, the clock and open conflicts.",
        discussion: """
            Example: karvan status --mine --last 5
            """)

    @OptionGroup var common: CommonOptions
    @Flag(
        help:
            "Show what became of this laptop's own changes: on the way, there, replaced by whom, kept aside."
    )
    var mine = false
    @Option(help: "With --mine: how many, from the last one on.")
    var last = 20

    func validate() throws {
        guard (1...10_000).contains(last) else {
            throw ValidationError("--last takes a number from 1 to 10000")
        }
    }

    func run() throws {
        let replica = try common.open("status")
        defer { replica.close() }
        guard !mine else { return try printOwn(replica) }
        let facts = try Facts(replica)
        try common.print(facts.text(path: common.path), facts.json(path: common.path))
    }
}

extension Status {
    private func printOwn(_ replica: Replica) throws {
        let changes = try Records(replica).ownChanges(limit: last)
        let refusal = try replica.hubRefusal()
        var lines = changes.flatMap(\.lines)
        if let refusal { lines.insert("refused: \(refusal)", at: 0) }
        try common.print(
            lines.isEmpty
                ? "nothing was recorded on this laptop"
                : lines.map(TextTable.printable).joined(separator: "\n"),
            .object([
                ("changes", .array(changes.map(\.json))),
                ("refused", refusal.map(JSONValue.string) ?? .null),
            ]))
    }
}

extension OwnChange {
    fileprivate var lines: [String] {
        let time = Instant(milliseconds: provenance.time.milliseconds).inWholeSeconds
        let who = provenance.person.isEmpty ? "" : "  \(provenance.person)"
        let list = source.isEmpty ? "" : ", imported from \(source)"
        return ["\(time)\(who)  \(delivery.words)\(list)"]
            + records.flatMap { record in
                record.entries.map { "  \(record.name)  \($0.fateLine)" }
            }
            + (otherCount > 0
                ? ["  and \(otherCount) more records; `karvan history` says what became of each"]
                : [])
    }

    fileprivate var json: JSONValue {
        .object([
            ("dot", .string(provenance.dot.description)),
            ("recorded", .string(Instant(milliseconds: provenance.time.milliseconds).formatted())),
            ("person", .string(provenance.person)), ("delivery", .string(delivery.word)),
            ("why", delivery.reason.map(JSONValue.string) ?? .null),
            ("source", .string(source)), ("more_records", .integer(Int64(otherCount))),
            (
                "records",
                .array(
                    records.map { record in
                        .object([
                            ("table", .string(record.table.name)), ("name", .string(record.name)),
                            ("operations", .array(record.entries.map(\.json))),
                        ])
                    })
            ),
        ])
    }
}

extension Delivery {
    fileprivate var reason: String? {
        if case .aside(let reason) = self { reason } else { nil }
    }

    fileprivate var word: String {
        switch self {
        case .queued: "queued"
        case .received: "received"
        case .aside: "aside"
        }
    }

    fileprivate var words: String {
        switch self {
        case .queued: "waits to be sent"
        case .received: "the hub has it"
        case .aside(let reason): "counts nowhere: \(reason)"
        }
    }
}

private struct Facts {
    var name: String
    var device: DeviceID
    var now: Int64
    var link: HubLink?
    var pending: (count: UInt64, oldestMilliseconds: Int64?)
    var lastSync: (milliseconds: Int64, clockOffset: Int64)?
    var conflicts: ConflictCounts
    var quarantined: [(stub: String, reason: String)]
    var unreadable: [(table: String, row: RowID)]
    var counts: (rows: Int64, changesets: Int64, runs: Int64)
    var lostCommits: Int64
    var left: (count: UInt64, adoptedCount: UInt64)
    var refusal: String?
    var scopes: [String]
    var erasing: [PersonLabel]
    var keylessCount: Int
    var photos: Replica.BlobStanding

    init(_ replica: Replica) throws {
        name = try replica.name
        device = replica.device
        now = replica.environment.wallMilliseconds()
        link = try replica.hubLink()
        pending = try replica.pending()
        lastSync = try replica.lastSync()
        conflicts = try Conflicts(replica).counts()
        quarantined = try replica.quarantined()
        unreadable = try replica.unreadableForeignWrites()
        counts = try replica.counts()
        lostCommits = try replica.lostCommits()
        left = try replica.left()
        refusal = try replica.hubRefusal()
        let grants = try replica.membership()?.own?.statement.grants ?? []
        let readsAll = grants.contains { $0.scope == Grant.anyScope }
        scopes = readsAll ? [Grant.anyScope] : try replica.readableScopes()
        erasing = try Records(replica).openErasures()
        keylessCount = try replica.unreadableValueCount()
        photos = try replica.blobStanding()
    }

    private func age(_ milliseconds: Int64) -> String {
        let seconds = max(0, now - milliseconds) / 1_000
        if seconds < 60 { return "\(seconds) s" }
        if seconds < 7_200 { return "\(seconds / 60) min" }
        if seconds < 172_800 { return "\(seconds / 3_600) h" }
        return "\(seconds / 86_400) days"
    }

    func text(path: String) -> String {
        var lines = [
            "\(TextTable.printable(name))  (\(path), device \(device.short))",
            "hub            \(link.map { "\($0.url), as \($0.role)" } ?? "none: karvan enrol URL TOKEN")",
            "to send        \(toSend)",
            "last success   \(lastSuccess)",
            "clock          \(clock)",
            "conflicts      \(open)",
            "records        \(counts.rows) rows from \(counts.changesets) changes",
        ]
        if let photoLine { lines.insert(photoLine, at: 3) }
        if link != nil { lines.insert("reads          \(Grant.forPeople(scopes))", at: 2) }
        if let refusal {
            lines.insert("refused        \(TextTable.printable(refusal))", at: 2)
        }
        if lostCommits > 0 {
            lines.append(
                "damage         the disk lost about \(lostCommits) writes of this replica: compare "
                    + "with paper, run `karvan verify`, and replace the disk")
        }
        if left.adoptedCount > 0 {
            lines.append(
                "put back       \(ItemCount.text(left.adoptedCount, "change")) recorded before an older copy of this "
                    + "file was put back: they go with the next sync")
        }
        if left.count > left.adoptedCount {
            lines.append(
                "copied         \(ItemCount.text(left.count - left.adoptedCount, "change")) recorded before this file "
                    + "was copied: the file it was copied from will send them; if that is gone for "
                    + "good, run `karvan adopt`")
        }
        if !erasing.isEmpty {
            lines.append(
                "to erase       \(erasing.map(\.name).joined(separator: ", ")): asked for, and done once "
                    + "this laptop has synced")
        }
        if keylessCount > 0 {
            lines.append(
                "unreadable     \(ItemCount.text(keylessCount, "value")) about people came "
                    + "without the key: ask whoever recorded them to sync, or record them anew")
        }
        lines += keptAside
        for entry in unreadable {
            lines.append(
                "can't be sent  \(entry.table) \(entry.row): another program wrote text that is not "
                    + "UTF-8, or a set that is no JSON array; mend it with `karvan shell`")
        }
        return lines.joined(separator: "\n")
    }

    /// A line for each reason.
    private var keptAside: [String] {
        var stubs: [String: [String]] = [:]
        for entry in quarantined { stubs[entry.reason, default: []].append(entry.stub) }
        var lines: [String] = []
        for entry in quarantined {
            guard let all = stubs.removeValue(forKey: entry.reason) else { continue }
            let which = all.count == 1 ? all[0] : "\(all.count) runs"
            lines.append("kept aside     \(which): \(TextTable.printable(entry.reason))")
        }
        return lines
    }

    private var open: String {
        let deferred = conflicts.deferred > 0 ? ", \(conflicts.deferred) of them deferred" : ""
        return "\(conflicts.toDecide) to decide, \(conflicts.toNote) to note\(deferred)"
    }

    private var toSend: String {
        guard pending.count > 0 else { return "nothing" }
        let oldest = pending.oldestMilliseconds.map { " (oldest \(age($0)))" } ?? ""
        return "\(ItemCount.text(pending.count, "change"))\(oldest)"
    }

    private var unsentPhotoBytes: UInt64 { photos.unsent.reduce(0) { $0 + $1.size } }

    private var photoLine: String? {
        guard photos.heldCount + photos.lacking.count > 0 else { return nil }
        let unsent =
            photos.unsent.isEmpty
            ? "none to send"
            : "\(photos.unsent.count) to send (\(ByteCount.text(unsentPhotoBytes)))"
        let lacking = photos.lacking.isEmpty ? "" : ", \(photos.lacking.count) not on this laptop"
        return "photos         \(photos.heldCount) here, \(unsent)\(lacking)"
    }

    private var photosJSON: JSONValue {
        .object([
            ("here", .integer(Int64(photos.heldCount))),
            ("waiting", .integer(Int64(photos.unsent.count))),
            ("waiting_bytes", .integer(Int64(unsentPhotoBytes))),
            ("elsewhere", .integer(Int64(photos.lacking.count))),
        ])
    }

    private var lastSuccess: String {
        guard let lastSync else { return "never" }
        let time = Instant(milliseconds: lastSync.milliseconds).inWholeSeconds
        return "\(time) (\(age(lastSync.milliseconds)) ago)"
    }

    private var clock: String {
        guard let lastSync else { return "not compared yet" }
        guard abs(lastSync.clockOffset) >= 60_000 else { return "OK" }
        let minutes = abs(lastSync.clockOffset) / 60_000
        return "\(minutes) min \(lastSync.clockOffset > 0 ? "behind" : "ahead of") the hub"
    }

    func json(path: String) -> JSONValue {
        let counts: [(String, JSONValue)] = [
            ("rows", .integer(counts.rows)), ("changes", .integer(counts.changesets)),
        ]
        return .object(sync(path) + decisions + doubts + counts)
    }

    private func sync(_ path: String) -> [(String, JSONValue)] {
        [
            ("replica", .string(path)), ("name", .string(name)),
            ("device", .string(device.description)),
            ("hub", link.map { .string($0.url) } ?? .null),
            ("waiting", .integer(Int64(clamping: pending.count))),
            ("oldest_waiting", pending.oldestMilliseconds.map(time) ?? .null),
            ("last_success", lastSync.map { time($0.milliseconds) } ?? .null),
            ("clock_offset_ms", lastSync.map { .integer($0.clockOffset) } ?? .null),
        ]
    }

    private var decisions: [(String, JSONValue)] {
        [
            (
                "open_conflicts",
                .object([
                    ("class_1", .integer(Int64(conflicts.toNote))),
                    ("class_2", .integer(Int64(conflicts.toDecide))),
                    ("deferred", .integer(Int64(conflicts.deferred))),
                ])
            ),
            (
                "quarantined",
                .array(
                    quarantined.map {
                        .object([("run", .string($0.stub)), ("reason", .string($0.reason))])
                    })
            ),
        ]
    }

    private var doubts: [(String, JSONValue)] {
        [
            ("scopes", .array(scopes.map(JSONValue.string))),
            ("refused", refusal.map(JSONValue.string) ?? .null),
            ("lost_commits", .integer(lostCommits)),
            ("left", .integer(Int64(clamping: left.count))),
            ("unreadable_rows", .integer(Int64(unreadable.count))),
            ("erasures_asked", .array(erasing.map { .string($0.name) })),
            ("unreadable_values", .integer(Int64(keylessCount))), ("photos", photosJSON),
        ]
    }

    private func time(_ milliseconds: Int64) -> JSONValue {
        .string(Instant(milliseconds: milliseconds).formatted())
    }
}
