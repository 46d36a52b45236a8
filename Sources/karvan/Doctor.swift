internal import ArgumentParser
internal import Causality
internal import ConflictInspection
internal import FieldRecords
internal import Foundation
internal import Merge
internal import ProgramOutput
internal import RecordSchema
internal import ReplicaStore
internal import SyncProtocol

/// Collects what somebody needs to know who helps from afar.
struct Doctor: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Look over the replica and this laptop, and write a file for whoever helps.",
        discussion: """
            Example: karvan doctor --output support.json

            The file holds versions, sizes, counts, times and faults, and no personal data: no names of \
            people or laptops, no values, no addresses, no keys. Read it before you send it.
            """)

    @OptionGroup var common: CommonOptions
    @Option(
        name: .shortAndLong,
        help: ArgumentHelp("Write the facts here; a file that is there stays.", valueName: "file"))
    var output: String?

    func run() throws {
        if let output, access(output, F_OK) == 0 {
            throw CommandFailure(.badInput, "\(output) exists already: give another name")
        }
        guard access(common.path, F_OK) == 0 else { throw StoreError.missing(path: common.path) }
        let checkup = Checkup(path: common.path)
        let facts = JSONValue.object(checkup.facts)
        if let output {
            do {
                try Data((facts.text + "\n").utf8).write(
                    to: URL(filePath: output), options: .withoutOverwriting)
            } catch {
                throw CommandFailure(
                    .disk, "\(output) can't be written (\(error.localizedDescription))")
            }
        }
        let written = output.map { ["", "wrote \($0): read it, then send it"] } ?? []
        try common.print((checkup.lines + written).joined(separator: "\n"), facts)
    }
}

/// What was looked at, and what was found.
private struct Checkup {
    private struct Finding {
        var name: String
        /// What is to be done; `nil` where all is well.
        var advice: String?
        var text: String
    }

    private var findings: [Finding] = []
    private(set) var facts: [(String, JSONValue)] = []

    init(path: String) {
        checkPrograms()
        checkFiles(path)
        // It is damaged when somebody asks: each is looked at, whatever came of the others.
        look("file") { checkup in
            let replica = try Replica.inspect(
                at: path, schema: Forum.schema, environment: .system(command: "karvan doctor"))
            defer { replica.close() }
            checkup.look("records") { try $0.checkRows(replica) }
            checkup.look("hub") { try $0.checkSync(replica) }
            checkup.look("conflicts") { try $0.checkWaiting(replica) }
            checkup.look("file") { try $0.checkWhole(replica) }
        }
        facts.append(
            (
                "findings",
                .array(
                    findings.map { finding in
                        .object([
                            ("name", .string(finding.name)), ("ok", .bool(finding.advice == nil)),
                            ("text", .string(finding.text)),
                            ("advice", finding.advice.map(JSONValue.string) ?? .null),
                        ])
                    })
            ))
    }

    var lines: [String] {
        let width = findings.map(\.name.count).max() ?? 0
        let ill = findings.count { $0.advice != nil }
        return findings.map { finding in
            let name = finding.name.padding(toLength: width, withPad: " ", startingAt: 0)
            let advice = finding.advice.map { ". \($0)" } ?? ""
            return "\(finding.advice == nil ? "ok" : " !")  \(name)  \(finding.text)\(advice)"
        } + [ill == 0 ? "All is well." : ItemCount.text(ill, "finding") + " to look at."]
    }

    /// A part that can't be looked at is a finding. What SQLite says of it may hold values, and isn't told.
    private mutating func look(_ name: String, _ body: (inout Checkup) throws -> Void) {
        do {
            try body(&self)
        } catch {
            note(name, "can't be read", "`karvan verify` says why; `karvan repair --dry-run`")
        }
    }

    private mutating func note(_ name: String, _ text: String, _ advice: String? = nil) {
        findings.append(Finding(name: name, advice: advice, text: text))
    }

    // MARK: What is looked at

    private mutating func checkPrograms() {
        var system = utsname()
        uname(&system)
        let kernel = withUnsafeBytes(of: &system.release) { bytes in
            String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
        }
        let libraries = [
            ("libcurl.so.4", "sync"), ("libavahi-client.so.3", "sync --nearby"),
            ("libxlsxwriter.so.4", "report as XLSX"), ("libqrencode.so.4", "badges"),
        ].map { library, use in (library, use, Self.isThere(library)) }
        facts += [
            ("program", .string("karvan \(Karvan.version)")),
            ("format", .integer(Int64(Limits.format))),
            ("schema_version", .integer(Int64(Forum.schema.version))),
            ("system", .string("Linux \(kernel)")),
            ("libraries", .object(libraries.map { ($0.0, .bool($0.2)) })),
        ]
        let missing = libraries.filter { !$0.2 }
        note(
            "programs",
            "karvan \(Karvan.version), format \(Limits.format), schema \(Forum.schema.version)",
            missing.isEmpty
                ? nil
                : "Not installed: "
                    + missing.map { "\($0.0) (for \($0.1))" }.joined(separator: ", "))
    }

    private static func isThere(_ library: String) -> Bool {
        guard let handle = dlopen(library, RTLD_LAZY | RTLD_LOCAL) else { return false }
        dlclose(handle)
        return true
    }

    private mutating func checkFiles(_ path: String) {
        let sizes = ["", "-wal", "-shm", ".install", ".key"].map { suffix in
            (suffix, (try? FileManager.default.attributesOfItem(atPath: path + suffix)) ?? [:])
        }
        func bytes(_ attributes: [FileAttributeKey: Any]) -> Int64 {
            (attributes[.size] as? NSNumber)?.int64Value ?? -1
        }
        var room = statvfs()
        let isKnown = statvfs(path, &room) == 0
        let free = isKnown ? Int64(room.f_bavail) * Int64(room.f_frsize) : -1
        let mode = (sizes[4].1[.posixPermissions] as? NSNumber)?.intValue
        facts += [
            (
                "files",
                .object(
                    sizes.map { ($0.0.isEmpty ? "database" : $0.0, .integer(bytes($0.1))) })
            ),
            ("free_bytes", .integer(free)),
            ("key_mode", mode.map { .string(String($0, radix: 8)) } ?? .null),
        ]
        let size = bytes(sizes[0].1) + max(0, bytes(sizes[1].1))
        let isTight = free >= 0 && free < max(2 * size, 64 << 20)
        note(
            "disk",
            "\(ByteCount.text(UInt64(max(0, size)))) used, "
                + "\(ByteCount.text(UInt64(max(0, free)))) free",
            isTight ? "Make room: a sync or a repair may need as much again" : nil)
        if let mode, mode & 0o077 != 0 {
            note(
                "key", "others on this laptop can read the device's key",
                "chmod 600 on the file that ends with .key")
        }
    }

    private mutating func checkRows(_ replica: Replica) throws {
        let counts = try replica.counts()
        let rows = try Forum.schema.tables.map { table in
            let count = try replica.query("SELECT count(*) FROM \(table.name)").first?.first
            return (table.name, JSONValue.integer(Self.integer(count)))
        }
        let standings = try replica.deviceStandings()
        facts += [
            ("rows", .object(rows)), ("changes", .integer(counts.changesets)),
            ("runs", .integer(counts.runs)), ("devices", .integer(Int64(standings.count))),
            ("serves_feed", .bool(replica.servesFeed)),
        ]
    }

    private static func integer(_ value: Value?) -> Int64 {
        if case .integer(let number)? = value { number } else { 0 }
    }

    private mutating func checkSync(_ replica: Replica) throws {
        let link = try replica.hubLink()
        let last = try replica.lastSync()
        let pending = try replica.pending()
        let refusal = try replica.hubRefusal()
        let now = replica.environment.wallMilliseconds()
        func time(_ milliseconds: Int64?) -> JSONValue {
            milliseconds.map { .string(Instant(milliseconds: $0).formatted()) } ?? .null
        }
        facts += [
            ("now", time(now)), ("enrolled", .bool(link != nil)),
            ("role", link.map { .string($0.role) } ?? .null),
            ("scope_count", .integer(Int64(try replica.readableScopes().count))),
            ("last_success", time(last?.milliseconds)),
            ("clock_offset_ms", last.map { .integer($0.clockOffset) } ?? .null),
            ("waiting", .integer(Int64(clamping: pending.count))),
            ("oldest_waiting", time(pending.oldestMilliseconds)),
            ("refused", .bool(refusal != nil)),
        ]
        guard link != nil else {
            return note(
                "hub", "this replica has never joined a hub",
                replica.servesFeed ? nil : "karvan enrol URL TOKEN")
        }
        let since = last.map { Instant.span(milliseconds: now - $0.milliseconds) }
        note(
            "hub", since.map { "last success \($0) ago" } ?? "no sync has succeeded yet",
            refusal != nil
                ? "The hub refused this laptop: `karvan status` says why"
                : last == nil ? "karvan sync" : nil)
        let oldest = pending.oldestMilliseconds.map { now - $0 }
        let isOld = oldest.map { $0 > 24 * 3_600_000 } ?? false
        note(
            "queue", "\(ItemCount.text(pending.count, "change")) to send",
            isOld ? "The oldest waits for over a day: sync, or take it by a stick" : nil)
        if let offset = last?.clockOffset {
            let isOff = offset.magnitude >= 60_000
            note(
                "clock",
                isOff
                    ? "\(Instant.span(milliseconds: offset)) "
                        + (offset > 0 ? "behind" : "ahead of") + " the hub's" : "as the hub's",
                isOff ? "Set it: times that are recorded say what it says" : nil)
        }
    }

    private mutating func checkWaiting(_ replica: Replica) throws {
        let conflicts = try Conflicts(replica).counts()
        let aside = try replica.quarantined()
        // The words after the code may be a person's.
        let reasons = Dictionary(grouping: aside) { entry in
            String(entry.reason.prefix { $0.isLetter || $0 == "_" })
        }
        let photos = try replica.blobStanding()
        let unreadable = try replica.unreadableValueCount()
        facts += [
            (
                "conflicts",
                .object([
                    ("to_decide", .integer(Int64(conflicts.toDecide))),
                    ("to_note", .integer(Int64(conflicts.toNote))),
                    ("deferred", .integer(Int64(conflicts.deferred))),
                ])
            ),
            (
                "kept_aside",
                .object(
                    reasons.sorted { $0.key < $1.key }.map {
                        ($0.key.isEmpty ? "OTHER" : $0.key, .integer(Int64($0.value.count)))
                    })
            ),
            ("unreadable_values", .integer(Int64(unreadable))),
            (
                "foreign_rows_not_taken",
                .integer(Int64(try replica.unreadableForeignWrites().count))
            ),
            (
                "photos",
                .object([
                    ("here", .integer(Int64(photos.heldCount))),
                    ("to_send", .integer(Int64(photos.unsent.count))),
                    ("elsewhere", .integer(Int64(photos.lacking.count))),
                ])
            ),
        ]
        note("conflicts", "\(conflicts.toDecide) to decide, \(conflicts.toNote) to note")
        if !aside.isEmpty {
            note(
                "kept aside", "\(ItemCount.text(aside.count, "run")) that count nowhere",
                "`karvan status` says why")
        }
    }

    private mutating func checkWhole(_ replica: Replica) throws {
        let result = try replica.verify()
        let lost = try replica.lostCommits()
        // Neither what rows are called nor their ids, which follow from that.
        let rows = result.damagedRows.prefix(50).map { damaged in
            JSONValue.object([
                ("table", .string(damaged.table)),
                ("columns", .array(damaged.columns.map(JSONValue.string))),
            ])
        }
        let changes = result.damagedChanges.prefix(50).map { damaged in
            JSONValue.object([
                ("stream", .string(damaged.stream.description)),
                ("first", .integer(Int64(clamping: damaged.first))),
                ("last", .integer(Int64(clamping: damaged.last))),
            ])
        }
        facts += [
            ("faults", .integer(Int64(result.problems.count))),
            ("damaged_rows", .array(rows)), ("damaged_changes", .array(changes)),
            ("other_faults", .integer(Int64(result.otherProblems.count))),
            ("lost_commits", .integer(lost)),
            ("state_hash", result.stateHash.map { .string($0.description) } ?? .null),
        ]
        note(
            "file",
            result.problems.isEmpty
                ? "whole: \(result.runs) runs, \(result.changesets) changes, \(result.rows) rows"
                : ItemCount.text(result.problems.count, "fault"),
            result.problems.isEmpty
                ? nil
                : "`karvan verify` names them, `karvan repair --dry-run` says what can be saved")
        if lost > 0 {
            note(
                "disk faults", "the disk lost about \(lost) writes",
                "Compare with paper, run `karvan verify`, and replace the disk")
        }
    }
}
