internal import Causality
internal import FieldRecords
internal import ProgramOutput
internal import RecordSchema
internal import Recording

/// Where each value of a record comes from, for `show --blame`.
extension BlamedValue {
    func lines(columnWidth width: Int) -> [String] {
        let name = column.name + String(repeating: " ", count: width - column.name.count)
        let margin = String(repeating: " ", count: width + 2)
        var value = HistoryReference.shortened(text)
        if value.isEmpty { value = "no value" }
        if isDecision { value += " (a decision)" }
        let mark = siblings.isEmpty ? "" : "  [+\(siblings.count) other]"
        let came =
            receivedMilliseconds.map { "received \(Instant(milliseconds: $0).inWholeSeconds)" }
            ?? "recorded here"
        let claimed = Instant(milliseconds: provenance.claimedMilliseconds).inWholeSeconds
        let since = Instant(milliseconds: sinceMilliseconds).inWholeSeconds
        var lines = [
            "\(name)  \(value)\(mark)",
            "\(margin)by \(TextTable.printable(provenance.who)) at \(claimed)",
            "\(margin)\(came)" + (since == claimed ? "" : ", shown since \(since)"),
        ]
        for (index, other) in replaced.enumerated() {
            lines.append(margin + (index == 0 ? "instead of " : "and of     ") + other.valueAndWho)
        }
        for other in siblings { lines.append(margin + "beside     " + other.valueAndWho) }
        return lines
    }

    var json: JSONValue {
        .object([
            ("column", .string(column.name)), ("value", .string(text)),
            ("resolution", .bool(isDecision)),
            ("device", .string(provenance.device)), ("person", .string(provenance.person)),
            ("claimed", .time(provenance.claimedMilliseconds)),
            ("recorded", .time(provenance.time.milliseconds)),
            ("received", receivedMilliseconds.map(JSONValue.time) ?? .null),
            ("since", .time(sinceMilliseconds)), ("others", .integer(Int64(siblings.count))),
            ("beside", .array(siblings.map(\.json))), ("replaced", .array(replaced.map(\.json))),
            ("dot", .string(provenance.dot.description)),
        ])
    }
}
