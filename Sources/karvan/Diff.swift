internal import ArgumentParser
internal import Causality
internal import FieldRecords
internal import Foundation
internal import ProgramOutput
internal import RecordSchema
internal import Recording
internal import ReplicaStore
internal import Reports

/// Tells two states of the records apart.
struct Diff: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Show what has changed since a past point, or differs from another replica.",
        discussion: """
            Examples: karvan diff --at 2025-11-26T09:00+04:00 --received
                      karvan diff --with /media/stick/L2.sqlite --table visit

            What is shown is told, row by row: + is new here, - is gone or only there, and else each \
            column with what it was and what it is. Who did it: karvan history.
            """)

    @OptionGroup var common: CommonOptions
    @OptionGroup var past: ReportPastOptions
    @Option(
        name: .customLong("with"),
        help: ArgumentHelp("Another replica, which is only read.", valueName: "file"))
    var other: String?
    @Option(help: "Only of this table.")
    var table: String?

    func validate() throws {
        let count = [past.past.time, past.vector, other].count { $0 != nil }
        guard count == 1 else {
            throw ValidationError("Give one of --at, --vector and --with.")
        }
    }

    func run() throws {
        let records = try common.records("diff")
        defer { records.replica.close() }
        let table = try table.map(records.table)
        let before = try earlier()
        defer { before.replica.close() }
        let found = try records.differences(from: before, in: table)
        let lines = found.flatMap(\.lines)
        let count = ItemCount.text(found.count, "row") + (found.count == 1 ? " differs" : " differ")
        try common.print(
            lines.isEmpty ? "Nothing differs." : (lines + ["", count]).joined(separator: "\n"),
            .object([("rows", .array(found.map(\.json)))]))
    }

    private func earlier() throws -> Records {
        guard let other else { return try past.records(common, item: nil) }
        return Records(
            try Replica.inspect(
                at: other, schema: Forum.schema, environment: .system(command: "karvan diff")))
    }
}

extension RowDifference {
    fileprivate var lines: [String] {
        let mark =
            switch kind {
            case .added: "+ "
            case .removed: "- "
            case .changed: "  "
            }
        let width = cells.map(\.column.count).max() ?? 0
        func shown(_ text: String) -> String {
            text.isEmpty ? "(nothing)" : TextTable.printable(text)
        }
        let values = cells.map { cell in
            let name = cell.column.padding(toLength: width, withPad: " ", startingAt: 0)
            return switch kind {
            case .added: "    \(name)  \(shown(cell.after))"
            case .removed: "    \(name)  \(shown(cell.before))"
            case .changed: "    \(name)  \(shown(cell.before)) → \(shown(cell.after))"
            }
        }
        return ["\(mark)\(table.name) \(TextTable.printable(name))"] + values
    }

    fileprivate var json: JSONValue {
        .object([
            ("table", .string(table.name)), ("row", .string(row.description)),
            ("name", .string(name)), ("kind", .string(kind.rawValue)),
            (
                "columns",
                .array(
                    cells.map { cell in
                        .object([
                            ("column", .string(cell.column)), ("before", .string(cell.before)),
                            ("after", .string(cell.after)),
                        ])
                    })
            ),
        ])
    }
}
