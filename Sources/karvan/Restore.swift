internal import ArgumentParser
internal import FieldRecords
internal import ProgramOutput
internal import ReplicaStore

/// Puts a backup in the replica's place.
struct Restore: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Put a backup in the replica's place; the present file is kept.",
        discussion: """
            The backup is checked first. When the replica in its place holds changes that the \
            backup lacks, nothing is done without --replace; with it that file is kept beside, \
            under a name that is told. End other programs that have the replica open first.

            The restored replica goes on as a new incarnation, and the next sync brings back what \
            the hub has.

              karvan restore /media/stick/l1-monday.karvan
              karvan sync
            """)

    @OptionGroup var common: CommonOptions
    @Argument(help: "A file that `karvan backup` made.")
    var file: String
    @Flag(help: "Also when the present replica holds changes that the backup lacks.")
    var replace = false
    @Flag(help: "Only check the backup, and tell what it and the present replica hold.")
    var dryRun = false

    func run() throws {
        let result = try Replica.restore(
            file, to: common.path, schema: Forum.schema,
            environment: .system(command: "karvan restore"), replaces: replace, isDryRun: dryRun)
        try common.print(text(result), json(result))
    }

    private func text(_ result: Restoration) -> String {
        let backup = result.backup
        var lines = ["\(file) is whole: \(backup.text)."]
        if result.lacking > 0 || result.isPresentDamaged {
            lines.append(
                result.isPresentDamaged
                    ? "The replica that stood there can't be read."
                    : "The replica that stood there holds \(result.lacking) that it lacks.")
        }
        if let name = result.keptAs { lines.append("What stood there is \(name).") }
        guard !dryRun else { return lines.joined(separator: "\n") }
        lines.append(
            "\(common.path) is restored. Its next change begins a new incarnation; `karvan sync` "
                + "brings back what the hub has.")
        if backup.unsent > 0 {
            lines.append(
                "What was not sent goes with a sync, or waits for the file that it was copied from: "
                    + "`karvan status` tells, and `karvan adopt` sends it when that one is gone.")
        }
        return lines.joined(separator: "\n")
    }

    private func json(_ result: Restoration) -> JSONValue {
        .object(
            [("dry_run", .bool(dryRun)), ("backup", .string(file))] + result.backup.facts + [
                ("lacking", .integer(Int64(clamping: result.lacking))),
                ("present_damaged", .bool(result.isPresentDamaged)),
                ("kept_as", result.keptAs.map(JSONValue.string) ?? .null),
            ])
    }
}
