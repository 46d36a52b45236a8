internal import ArgumentParser
internal import ReplicaStore
internal import FieldRecords
internal import Foundation
internal import ProgramOutput
internal import Recording

/// Reads lists that were made elsewhere.
struct Import: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Import delegations, people, sites or the programme from a CSV file.",
        discussion: """
            Nothing is imported when any line is wrong; all problems are named by line. What is
            there already is left alone, so the same file can be imported again.
            """)

    @OptionGroup var common: CommonOptions
    @Argument(help: "delegations, people, sites or programme.")
    var kind: String
    @Argument(help: "A CSV file in UTF-8, with a header line.")
    var file: String
    @Flag(help: "Say what would be done, and do nothing.")
    var dryRun = false

    func run() throws {
        guard let kind = ImportKind(rawValue: kind) else {
            let kinds = ImportKind.allCases.map(\.rawValue).joined(separator: ", ")
            throw CommandFailure(.badInput, "there is no list of \(kind); lists are \(kinds)")
        }
        let records = try common.records("import")
        defer { records.replica.close() }
        let parsed = try ImportFile.read(
            bytes: try readFile(file), kind: kind, name: URL(filePath: file).lastPathComponent)
        let (summary, _) = try records.importFile(
            parsed, author: common.author, isDryRun: dryRun)
        common.print(
            "\(dryRun ? "Would import" : "Imported") \(kind.rawValue) from \(file): "
                + "\(summary.lineCount) lines, \(summary.createdCount) rows new, "
                + "\(summary.changedCount) changed, \(summary.unchangedCount) as before.",
            .object([
                ("kind", .string(kind.rawValue)), ("file", .string(file)),
                ("dry_run", .bool(dryRun)), ("lines", .integer(Int64(summary.lineCount))),
                ("created", .integer(Int64(summary.createdCount))),
                ("changed", .integer(Int64(summary.changedCount))),
                ("unchanged", .integer(Int64(summary.unchangedCount))),
            ]))
    }
}
