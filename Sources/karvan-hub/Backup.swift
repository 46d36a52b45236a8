internal import ArgumentParser
internal import FieldRecords
internal import Hub
internal import ProgramOutput
internal import ReplicaStore

/// Writes a copy of the hub's store.
struct BackupCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "backup",
        abstract: "Write a copy of the store to one new file, with the hub's keys.",
        discussion: """
            The hub may go on serving meanwhile. The copy is checked before it gets its name, and an existing \
            file is never overwritten.

            Photos are copied into a folder beside it, FILE-blobs: keep both together. A folder that is there already \
            gets what is new.

            The file holds the hub's private key and that of its certificate: whoever has it can pass for the \
            hub. The forum's root key is not in it. A certificate of your own (--tls-cert) is not in it either.

            Example: karvan-hub backup /media/stick/hub-monday.karvan
            """)

    @OptionGroup var common: CommonOptions
    @Argument(help: "The new file.")
    var file: String

    func run() throws {
        let store = try common.openStore("backup")
        defer { store.close() }
        let backup = try store.backUp(to: file)
        try common.print(
            "\(file) holds \(backup.text), and the hub's keys: keep it safe.",
            .object(
                [("backup", .string(file))] + backup.facts + [
                    ("photos", .integer(Int64(backup.blobCount))),
                    ("damaged_photos", .integer(Int64(backup.damagedBlobCount))),
                ]))
    }
}

/// Puts a backup in the store's place.
struct RestoreCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "restore",
        abstract: "Put a backup in the store's place; the present file is kept.",
        discussion: """
            End the hub first. The backup is checked, and when the store in its place holds changes that the \
            backup lacks, nothing is done without --replace; with it that file is kept beside, under a name that \
            is told.

            Laptops need nothing: with its next sync each brings back what the hub has lost and it holds, \
            revocations included. Tokens that nobody has used yet let nobody in any more: make new ones.

            Example: karvan-hub restore /media/stick/hub-monday.karvan
            """)

    @OptionGroup var common: CommonOptions
    @Argument(help: "A file that `karvan-hub backup` made.")
    var file: String
    @Flag(help: "Also when the present store holds changes that the backup lacks.")
    var replace = false
    @Flag(help: "Only check the backup, and tell what it and the present store hold.")
    var dryRun = false

    func run() throws {
        let result = try HubStore.restore(
            file, to: common.store, environment: .system(command: "karvan-hub restore"),
            replaces: replace, isDryRun: dryRun)
        try common.print(text(result), json(result))
    }

    private func text(_ result: Restoration) -> String {
        var lines = ["\(file) is whole: \(result.backup.text)."]
        if result.isPresentDamaged {
            lines.append("The store that stood there can't be read.")
        } else if result.lacking > 0 {
            lines.append("The store that stood there holds \(result.lacking) that it lacks.")
        }
        if let name = result.keptAs { lines.append("What stood there is \(name).") }
        if !dryRun {
            lines.append(
                "\(common.store) is restored. Each laptop brings back what it holds with its next sync. "
                    + "Tokens that were not used are void.")
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

extension ReplicaStore.Backup {
    /// `120 changes up to 2025-11-26T11:10:00+04:00`
    fileprivate var text: String {
        let count = ItemCount.text(changesets, "change")
        let last = lastMilliseconds.map { Instant(milliseconds: $0).inWholeSeconds }
        let photos =
            blobCount == 0
            ? "" : ", \(ItemCount.text(blobCount, "photo")) (\(ByteCount.text(blobBytes)))"
        return count + (last.map { " up to \($0)" } ?? "") + photos
    }

    fileprivate var facts: [(String, JSONValue)] {
        func time(_ milliseconds: Int64) -> JSONValue {
            .string(Instant(milliseconds: milliseconds).formatted())
        }
        return [
            ("changes", .integer(Int64(changesets))),
            ("up_to", lastMilliseconds.map(time) ?? .null), ("made", time(madeMilliseconds)),
        ]
    }
}
