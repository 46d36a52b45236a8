internal import ArgumentParser
internal import Causality
internal import FieldRecords
internal import ProgramOutput
internal import Recording
internal import ReplicaStore

/// Records a delegation's visit.
struct Visit: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "visit",
        abstract: "Record a delegation's visit: arrival, departure, outcome, a note.",
        discussion: "Example: karvan visit V12 KZ --arrived 11:20 --headcount 14")

    @OptionGroup var common: CommonOptions
    @Argument(help: "The item's code.")
    var item: String
    @Argument(help: "The delegation's code.")
    var delegation: String
    @Option(help: "When they arrived: a time, or a bare 10:10 of the item's day.")
    var arrived: String?
    @Option(help: "When they left.")
    var departed: String?
    @Option(help: "What came of it.")
    var outcome: String?
    @Option(help: "planned, cancelled or done.")
    var status: String?
    @Option(help: "How many came.")
    var headcount: Int64?
    @Option(help: "A remark, kept beside the visit.")
    var note: String?

    func run() throws {
        let records = try common.records("visit")
        defer { records.replica.close() }
        var entry = VisitEntry()
        entry.arrivedMilliseconds = try arrived.map {
            try records.instant($0, for: item).milliseconds
        }
        entry.departedMilliseconds = try departed.map {
            try records.instant($0, for: item).milliseconds
        }
        if let status {
            guard ItemStatus(rawValue: status) != nil else {
                let all = ItemStatus.allCases.map(\.rawValue).joined(separator: ", ")
                throw RecordError("a visit's status is one of \(all), not '\(status)'")
            }
            entry.status = status
        }
        guard headcount ?? 0 >= 0 else {
            throw RecordError("--headcount counts people; it can't be \(headcount ?? 0)")
        }
        entry.outcome = outcome
        entry.headcount = headcount
        entry.note = note
        let (visit, receipt) = try records.visit(
            item, delegation, entry, author: common.author)
        let text =
            receipt.dots.isEmpty
            ? "visit \(item)/\(delegation): nothing new" : "visit \(item)/\(delegation) recorded"
        try common.print(
            text,
            .object([
                ("visit", .string(visit.description)), ("item", .string(item)),
                ("delegation", .string(delegation)), ("changes", receipt.json),
            ]))
    }
}
