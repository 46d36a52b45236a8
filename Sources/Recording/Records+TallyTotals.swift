internal import Causality
internal import FieldRecords
internal import Merge
internal import RecordSchema
internal import ReplicaStore

/// What a zone counts, or an item in all its zones.
public struct TallyTotal: Hashable, Sendable {
    /// The item's code.
    public var item: String
    /// `nil` for the item in all.
    public var zone: String?
    /// Both ends included; more than one number while sessions differ and nobody has decided.
    public var range: ClosedRange<Int64>

    public var isUnresolved: Bool { range.lowerBound < range.upperBound }
    /// `79`, or `41–43`.
    public var text: String { TallyZone.text(of: range) }
}

extension Records {
    /// What was counted: for each item its zones, then the sum of them.
    ///
    /// Zones add up. Sessions of one zone don't: they give a range until they agree or someone
    /// decides.
    ///
    /// - Parameter item: only of this one.
    public func tallyTotals(item: String?) throws -> [TallyTotal] {
        try replica.read {
            let only = try item.map { try row(in: Forum.item, $0) }
            let zones = TallyZone.all(in: try replica.query(TallyZone.select))
                .filter { only == nil || $0.item == only }
            var choices: [TallyKey: String] = [:]
            for ruled in try findings(of: [Forum.sessionsDiffer]) {
                choices[TallyKey(ruled.finding.facts)] = ruled.settledChoice
            }
            return try totals(zones, choices)
        }
    }

    /// A finding's facts, by which a zone knows its own.
    private struct TallyKey: Hashable {
        var facts: [Value]
        init(_ facts: [Value]) { self.facts = facts }
    }

    private func totals(
        _ zones: [TallyZone], _ choices: [TallyKey: String]
    ) throws -> [TallyTotal] {
        var totals: [TallyTotal] = []
        for (index, zone) in zones.enumerated() {
            let code = try name(of: zone.item, in: Forum.item)
            let choice = zone.finding.flatMap { choices[TallyKey($0.facts)] }
            totals.append(
                TallyTotal(item: code, zone: zone.zone, range: zone.range(choice: choice)))
            guard index == zones.count - 1 || zones[index + 1].item != zone.item else { continue }
            let parts = totals.filter { $0.item == code && $0.zone != nil }.map(\.range)
            totals.append(
                TallyTotal(
                    item: code, zone: nil,
                    range: Self.sum(parts.map(\.lowerBound))...Self.sum(parts.map(\.upperBound))))
        }
        return totals
    }

    private static func sum(_ counts: [Int64]) -> Int64 {
        counts.reduce(0) { sum, count in
            let (result, overflow) = sum.addingReportingOverflow(count)
            return overflow ? (sum < 0 ? .min : .max) : result
        }
    }
}
