internal import ArgumentParser
internal import FieldRecords
internal import Foundation
internal import ProgramOutput
internal import ReplicaStore

/// Writes a copy of the replica that can be restored.
struct Backup: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Write a copy of the replica to one new file, with the device's key.",
        discussion: """
            Others may go on recording meanwhile. The copy is checked before it gets its name, and \
            an existing file is never overwritten.

            Photos are copied into a folder beside it, FILE-blobs: keep both together. A folder that is there already \
            gets what is new.

            The file holds the device's private key: whoever has it can write in this laptop's \
            name. Only its owner may read it; keep it as you keep the laptop.

              karvan backup /media/stick/l1-monday.karvan
            """)

    @OptionGroup var common: CommonOptions
    @Argument(help: "The new file.")
    var file: String

    func run() throws {
        let replica = try common.open("backup")
        defer { replica.close() }
        let backup = try replica.backUp(to: file)
        try common.print(
            "\(file) holds \(backup.text), and the device's key: keep it safe."
                + backup.photoText(file),
            .object(
                [("backup", .string(file))] + backup.facts + [
                    ("photos", .integer(Int64(backup.blobCount))),
                    ("damaged_photos", .integer(Int64(backup.damagedBlobCount))),
                ]))
    }
}

extension ReplicaStore.Backup {
    /// `120 changes of L1 desk up to 2025-11-26T11:10:00+04:00, 3 of them not sent`
    var text: String {
        let count = ItemCount.text(changesets, "change")
        var text = "\(count) of \(TextTable.printable(name))"
        if let lastMilliseconds {
            let time = Instant(milliseconds: lastMilliseconds).inWholeSeconds
            text += " up to \(time)"
        }
        return text + (unsent == 0 ? ", all sent" : ", \(unsent) of them not sent")
    }

    var facts: [(String, JSONValue)] {
        func time(_ milliseconds: Int64) -> JSONValue {
            .string(Instant(milliseconds: milliseconds).formatted())
        }
        return [
            ("name", .string(name)), ("changes", .integer(Int64(changesets))),
            ("up_to", lastMilliseconds.map(time) ?? .null),
            ("unsent", .integer(Int64(clamping: unsent))), ("made", time(madeMilliseconds)),
        ]
    }

    func photoText(_ file: String) -> String {
        var text = ""
        if blobCount > 0 {
            let count = ItemCount.text(blobCount, "photo")
            text =
                "\nIn \(file)-blobs \(blobCount == 1 ? "is" : "are") \(count) (\(ByteCount.text(blobBytes)))."
        }
        if damagedBlobCount > 0 {
            text +=
                "\n\(ItemCount.text(damagedBlobCount, "photo")) on this disk can't be read "
                + "any more, and \(damagedBlobCount == 1 ? "is" : "are") not in it: see `karvan verify`."
        }
        return text
    }
}
