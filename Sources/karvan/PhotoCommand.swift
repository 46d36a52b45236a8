internal import ArgumentParser
internal import Causality
internal import ProgramOutput
internal import Recording
internal import ReplicaStore
internal import SyncProtocol

/// Photos of records: their bytes lie beside the replica, and travel after the records.
struct PhotoCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "photo",
        abstract: "Keep photos with visits, items, people, any record; list and save them.",
        discussion: """
            The pictures lie in a folder beside the replica, and go to the hub after all records. Those of \
            others come only when they are asked for: karvan sync --photos all
            """,
        subcommands: [PhotoAdd.self, PhotoList.self, PhotoSave.self])
}

struct PhotoAdd: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "add",
        abstract: "Add photos to a record.",
        discussion: """
            Examples: karvan photo add visit V12/KZ bus.jpg hall.jpg
                      karvan photo add site ALLEY gate.heic --caption "The north gate"

            The pictures are copied, byte for byte, with what the camera wrote into them; the files here \
            may go. One picture has at most 32 MiB.
            """)

    @OptionGroup var common: CommonOptions
    @Argument(help: "The record's table.")
    var table: String
    @Argument(help: "The badge, the code, ITEM/DELEGATION, or the start of the id.")
    var key: String
    @Argument(help: "The pictures.")
    var files: [String]
    @Option(help: "What is to be seen.")
    var caption: String?

    func run() throws {
        let records = try common.records("photo add")
        defer { records.replica.close() }
        let (photos, receipt) = try records.addPhotos(
            to: table, key, files: files, caption: caption, author: common.author)
        let bytes = photos.reduce(0) { $0 + $1.size }
        let what = photos.count == 1 ? "1 photo" : "\(photos.count) photos"
        try common.print(
            receipt.dots.isEmpty
                ? "\(what) of \(table) \(key): nothing new"
                : "\(what) of \(table) \(key) added (\(ByteCount.text(bytes))).",
            .object([
                ("table", .string(table)), ("record", .string(key)),
                (
                    "photos",
                    .array(
                        photos.map { photo in
                            .object([
                                ("id", .string(photo.id.description)),
                                ("file", .string(photo.file)),
                                ("sha256", .string(photo.digest.description)),
                                ("bytes", .integer(Int64(photo.size))),
                            ])
                        })
                ),
                ("changes", receipt.json),
            ]))
    }
}

struct PhotoList: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "list",
        abstract: "List photos, and where their bytes are.",
        discussion: "Example: karvan photo list visit V12/KZ")

    @OptionGroup var common: CommonOptions
    @Argument(help: "Only those of this table's records.")
    var table: String?
    @Argument(help: "Only those of this record.")
    var key: String?

    func run() throws {
        let records = try common.records("photo list")
        defer { records.replica.close() }
        let photos = try records.photos(of: table, key)
        var output = TextTable(["photo", "of", "bytes", "where", "caption", "by"])
        for photo in photos {
            output.add([
                String(photo.id.description.prefix(12)),
                "\(photo.subject.kind) \(photo.subject.name)",
                photo.size.map(ByteCount.text) ?? "", photo.place, photo.caption, photo.author,
            ])
        }
        let count = ItemCount.text(photos.count, "photo")
        try common.print(
            ((photos.isEmpty ? [] : output.lines) + [count]).joined(separator: "\n"),
            .object([("photos", .array(photos.map(\.json)))]))
    }
}

extension Photo {
    fileprivate var place: String {
        if isErased { return "(erased)" }
        guard size != nil else { return "not on this laptop" }
        return isSent ? "here and on the hub" : "here, waits to be sent"
    }

    fileprivate var json: JSONValue {
        .object([
            ("id", .string(id.description)), ("sha256", .string(name.digest.description)),
            ("table", .string(subject.kind)), ("record", .string(subject.name)),
            ("bytes", size.map { .integer(Int64($0)) } ?? .null), ("here", .bool(size != nil)),
            ("sent", .bool(isSent)), ("erased", .bool(isErased)), ("caption", .string(caption)),
            ("author", .string(author)),
        ])
    }
}

struct PhotoSave: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "save",
        abstract: "Write a photo to a file, to look at it or pass it on.",
        discussion: """
            Examples: karvan photo save 3f2a91bc bus.jpg
                      karvan photo save 3f2a91bc pictures/
            """)

    @OptionGroup var common: CommonOptions
    @Argument(help: "The start of its id, as `karvan photo list` shows it, or of its SHA-256.")
    var photo: String
    @Argument(help: "The new file, or a folder (default: this one).")
    var path: String = "."

    func run() throws {
        let records = try common.records("photo save")
        defer { records.replica.close() }
        let photo = try records.photo(self.photo)
        let file = try records.save(photo, to: path)
        try common.print(
            file,
            .object([
                ("file", .string(file)), ("id", .string(photo.id.description)),
                ("sha256", .string(photo.name.digest.description)),
            ]))
    }
}
