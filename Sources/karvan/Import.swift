internal import ArgumentParser
internal import ReplicaStore
internal import FieldRecords
internal import Foundation
internal import ProgramOutput
internal import Recording

/// Reads lists that were made elsewhere.
struct Import: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "import",
        abstract: "Import delegations, people, sites or the programme from a CSV file.",
        discussion: """
            Example: karvan import people people.csv --dry-run

            Nothing is imported when any line is wrong; all problems are named by line. A new \
            version of a list is taken as what it changed: what it says as before is left as it \
            stands here, and what was changed here as well becomes a conflict. What a whole list \
            lacks is proposed for deletion and never deleted. The same file again changes nothing. \
            A long import says how far it is; Ctrl-C ends it with 130, and then nothing is imported.
            """)

    @OptionGroup var common: CommonOptions
    @Argument(help: "delegations, people, sites or programme.")
    var kind: String
    @Argument(help: "A CSV file in UTF-8, with a header line.")
    var file: String
    @Flag(help: "Say what would be done, and do nothing.")
    var dryRun = false
    @Option(help: "What to call the list (default: the file's name).")
    var list: String?
    @Flag(help: "The file is a part of the list: what it lacks means nothing.")
    var partial = false

    func run() throws {
        guard let kind = ImportKind(rawValue: kind) else {
            let kinds = ImportKind.allCases.map(\.rawValue).joined(separator: ", ")
            throw CommandFailure(.badInput, "there is no list of \(kind); lists are \(kinds)")
        }
        StopSignal.install()
        let records = try common.records("import")
        defer { records.replica.close() }
        let parsed = try ImportFile.read(
            bytes: try readFile(file), kind: kind, name: URL(filePath: file).lastPathComponent)
        var line = ProgressLine.standardError(records.replica.environment)
        let (summary, _) = try records.importFile(
            parsed, label: list, isPartial: partial, author: common.author, isDryRun: dryRun
        ) { done, total in
            if !common.json { line.show { ProgressLine.part(done, of: total, "rows") } }
            guard !StopSignal.isStopped else {
                line.end()
                throw CommandFailure(.stopped, "stopped; nothing was imported")
            }
        }
        line.end()
        try common.print(
            text(summary, kind).joined(separator: "\n"),
            .object([
                ("kind", .string(kind.rawValue)), ("file", .string(file)),
                ("dry_run", .bool(dryRun)), ("lines", .integer(Int64(summary.lineCount))),
                ("created", .integer(Int64(summary.createdCount))),
                ("changed", .integer(Int64(summary.changedCount))),
                ("unchanged", .integer(Int64(summary.unchangedCount))),
                ("kept", .integer(Int64(summary.keptCount))),
                ("conflicts", .integer(Int64(summary.conflictCount))),
                ("missing", .integer(Int64(summary.missingCount))),
                ("proposed", .integer(Int64(summary.proposedCount))),
                ("erased", .integer(Int64(summary.erasedCount))),
                ("differences", .array(summary.differences.map(\.json))),
            ]))
    }

    private static func count(_ count: Int, _ what: String) -> String {
        "\(count) \(what)\(count == 1 ? "" : "s")"
    }

    private func text(_ summary: ImportSummary, _ kind: ImportKind) -> [String] {
        var lines = [
            "\(dryRun ? "Would import" : "Imported") \(kind.rawValue) from \(file): "
                + "\(summary.lineCount) lines, \(summary.createdCount) rows new, "
                + "\(summary.changedCount) changed, \(summary.unchangedCount) as before."
        ]
        if summary.keptCount > 0 {
            lines.append("Kept because edited here: \(Self.count(summary.keptCount, "value")).")
        }
        if summary.conflictCount > 0 {
            let hint = dryRun ? "" : " See `karvan conflicts`."
            lines.append("In conflict: \(Self.count(summary.conflictCount, "value")).\(hint)")
        }
        if summary.erasedCount > 0 {
            lines.append(
                "Passed over because erased: \(Self.count(summary.erasedCount, "line")). Nothing "
                    + "personal is taken in of people who are to be forgotten.")
        }
        if summary.missingCount > 0 {
            lines.append(
                "Missing from this list: \(Self.count(summary.missingCount, "row")), "
                    + "\(summary.proposedCount) proposed for deletion now.")
        }
        let shown = summary.differences.filter { dryRun || $0.kind.isForADecision }
        guard !shown.isEmpty else { return lines }
        var table = TextTable(["line", "what", "row", "column", "here", "in the list"])
        for difference in shown {
            table.add([
                difference.line.map(String.init) ?? "", difference.kind.rawValue,
                "\(difference.table) \(difference.name)", difference.column ?? "",
                difference.standing, difference.listed,
            ])
        }
        return lines + [""] + table.lines
    }
}

extension ImportDifference.Kind {
    /// Whether someone should look at it, even when nobody asked for all that differs.
    fileprivate var isForADecision: Bool {
        switch self {
        case .conflict, .missing, .back, .erased: true
        case .created, .changed, .kept: false
        }
    }
}

extension ImportDifference {
    fileprivate var json: JSONValue {
        .object([
            ("kind", .string(kind.rawValue)),
            ("line", line.map { .integer(Int64($0)) } ?? .null), ("table", .string(table)),
            ("name", .string(name)), ("column", column.map(JSONValue.string) ?? .null),
            ("here", .string(standing)), ("listed", .string(listed)),
        ])
    }
}
