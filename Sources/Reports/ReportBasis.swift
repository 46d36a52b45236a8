public import Causality
public import FieldRecords
internal import Merge
internal import Recording
internal import ReplicaStore
public import SyncProtocol

/// What a report is made from.
public struct ReportBasis: Sendable {
    /// What one laptop recorded, as far as it is in the report.
    public struct Device: Sendable {
        public var name: String
        /// When it recorded the last change that is in here, by its own clock.
        public var last: Instant
        public var changeCount: UInt64
    }

    /// Names every change that is in here.
    public var vector: VersionVector
    /// The SHA-256 of all that stood then: see `karvan verify --state-hash`.
    public var stateHash: Digest
    /// Which scopes the replica reads; `*` for all.
    public var scopes: [String]
    /// By name.
    public var devices: [Device]
    /// Enrolled laptops of which nothing is in here, by name.
    public var silent: [String]
    /// The time of the last change in here.
    public var last: Instant?

    init(_ records: Records, scopes: [String]) throws {
        let replica = records.replica
        vector = replica.versionVector()
        stateHash = try replica.stateHash()
        self.scopes = scopes
        let standings = try replica.deviceStandings()
        devices = try standings.map { standing in
            Device(
                name: try records.deviceName(of: standing.last.stream),
                last: Instant(milliseconds: standing.time.milliseconds),
                changeCount: standing.changeCount)
        }.sorted { ($0.name, $0.changeCount) < ($1.name, $1.changeCount) }
        let known = Set(standings.map(\.device.description))
        silent = try replica.query("SELECT device, name FROM device ORDER BY name, device")
            .compactMap { row in
                guard case .text(let device) = row[0], case .text(let name) = row[1],
                    !known.contains(device)
                else { return nil }
                return name
            }
        last = devices.map(\.last).max()
    }

    /// What of delegations is in here; `nil` for all.
    public var scopeText: String? {
        scopes.contains(Grant.anyScope)
            ? nil : "Only \(Grant.forPeople(scopes)): of other delegations nothing is known here."
    }

    /// Up to when everybody's records are in here, in a sentence; a laptop that has recorded nothing since says so by
    /// nothing.
    public var completeText: String {
        guard let latest = last else { return "Nothing has been recorded." }
        let quiet = devices.filter {
            latest.milliseconds - $0.last.milliseconds >= Self.silenceMilliseconds
        }.sorted { $0.last < $1.last }
        var behind = quiet.map { "nothing newer from \($0.name) than \($0.last.inWholeSeconds)" }
        if !silent.isEmpty { behind.append("nothing yet from \(silent.joined(separator: ", "))") }
        return "Complete to \(latest.inWholeSeconds)"
            + (behind.isEmpty ? "." : ", except: \(behind.joined(separator: "; ")).")
    }

    /// Who is silent for as long may have recorded what isn't in here.
    private static let silenceMilliseconds: Int64 = 30 * 60_000

    var section: ReportSection {
        var section = ReportSection(
            "devices", "What is in this report", emptyText: "nothing",
            [
                ReportColumn("device", "Laptop"), ReportColumn("complete_to", "Complete to", .time),
                ReportColumn("changes", "Changes", .number),
            ],
            note: completeText
                + " What a laptop has recorded later, and not sent, is not in here. Times are what laptops claimed, "
                + "at \(UTCOffset.forum).")
        section.rows = devices.map { device in
            [
                .text(device.name), .time(device.last),
                .number(Int64(clamping: device.changeCount)),
            ]
        }
        return section
    }
}
