public import Causality
public import FieldRecords
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
        /// By how much its clock was ahead when that came in, in milliseconds; `nil` where that is little.
        public var aheadMilliseconds: Int64?
    }

    /// Names every change that is in here.
    public var vector: VersionVector
    /// The SHA-256 of all that stood then: see `karvan verify --state-hash`.
    public var stateHash: Digest
    /// Which scopes the replica reads; `*` for all.
    public var scopes: [String]
    /// By name.
    public var devices: [Device]
    /// The time of the last change in here.
    public var last: Instant?

    init(_ records: Records, scopes: [String]) throws {
        let replica = records.replica
        vector = replica.versionVector()
        stateHash = try replica.stateHash()
        self.scopes = scopes
        devices = try replica.deviceStandings().map { standing in
            let received = try replica.receivedMilliseconds(of: standing.last)
            return Device(
                name: try records.deviceName(of: standing.last.stream),
                last: Instant(milliseconds: standing.time.milliseconds),
                changeCount: standing.changeCount,
                aheadMilliseconds: try records.provenance(of: standing.last)?
                    .clockAheadMilliseconds(receivedAt: received))
        }.sorted { ($0.name, $0.changeCount) < ($1.name, $1.changeCount) }
        last = devices.map(\.last).max()
    }

    /// Up to when everybody's records are in here, in a sentence; a laptop that has recorded nothing since says so by
    /// nothing.
    public var completeText: String {
        guard let latest = last else { return "Nothing has been recorded." }
        let silent = devices.filter {
            latest.milliseconds - $0.last.milliseconds >= Self.silenceMilliseconds
        }.sorted { $0.last < $1.last }
        let behind = silent.map { "\($0.name) not heard since \($0.last.inWholeSeconds)" }
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
                ReportColumn("changes", "Changes", .number), ReportColumn("clock", "Clock"),
            ],
            note: completeText
                + " What a laptop has recorded later, and not sent, is not in here. Times are what laptops claimed, "
                + "at \(UTCOffset.forum).")
        section.rows = devices.map { device in
            [
                .text(device.name), .time(device.last),
                .number(Int64(clamping: device.changeCount)),
                .text(
                    optional: device.aheadMilliseconds.map {
                        "\(Instant.span(milliseconds: $0)) ahead when its last change came in"
                    }),
            ]
        }
        return section
    }
}
