internal import ArgumentParser
internal import BundleReports
internal import Causality
internal import Hub
internal import ProgramOutput
internal import ReplicaStore
internal import ReplicaSync
internal import SyncProtocol

/// What reaches the hub by hand.
struct BundleCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "bundle",
        abstract: "Take in what laptops have sent on a stick, and give back what they lack.",
        discussion: """
            The hub may go on serving meanwhile. A laptop's changes count as sent, and say so there, once a bundle \
            of the hub has told it that they arrived: make one for it when you have imported its own.

              karvan-hub bundle import /media/stick/*.karvan
              karvan-hub bundle export /media/stick/back.karvan --for "L3 bus"
            """,
        subcommands: [HubBundleExport.self, HubBundleImport.self, HubBundleShow.self])
}

struct HubBundleExport: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "export",
        abstract:
            "Write what a laptop lacks, and what of its changes has arrived, into a new file.",
        discussion: """
            Example: karvan-hub bundle export /media/stick/back.karvan --for "L3 bus"

            What it lacks is told by the last bundle that came from it; --all leaves out nothing that it may read. \
            It also tells the laptop which of its photos have arrived; those of others go along with --photos all.
            """)

    @OptionGroup var common: CommonOptions
    @Argument(help: "The new file.")
    var file: String
    @Option(
        name: .customLong("for"),
        help: "The laptop's name, or the first digits of its device, as `device list` says.")
    var recipient: String
    @Flag(help: "All that the laptop may read.")
    var all = false
    @Option(
        name: .customLong("part-size"),
        help: "The most bytes for one file; what has no room goes into further files")
    var partSize = Limits.bundleBytes
    @Option(help: "Which photos go along: all (that the laptop may read), none.")
    var photos = HubPhotoExtent.none

    func validate() throws {
        guard partSize >= 1 << 20 else {
            throw ValidationError("--part-size is at least 1048576")
        }
    }

    func run() throws {
        let store = try common.openStore("bundle export")
        defer { store.close() }
        let recipient = try store.bundleRecipient(named: recipient)
        let written = try BundleExchange(store.replica).write(
            to: file, for: recipient, all ? .everything : .news,
            blobs: photos == .all ? .all : .none, limitBytes: partSize,
            epoch: try store.replica.feedEnd().epoch)
        try common.print(
            written.text(for: recipient, isByHub: true), written.json(for: recipient))
    }
}

/// Which photos the hub gives along.
enum HubPhotoExtent: String, ExpressibleByArgument, CaseIterable {
    case all
    case none
}

struct HubBundleImport: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "import",
        abstract: "Take in what laptops have written into files.",
        discussion: """
            Example: karvan-hub bundle import /media/stick/*.karvan

            Each file is read whole before anything of it is taken in. What a revoked laptop brings is kept aside.
            """)

    @OptionGroup var common: CommonOptions
    @Argument(help: "The files.")
    var files: [String]

    func run() throws {
        let store = try common.openStore("bundle import")
        defer { store.close() }
        try BundleReport.importing(
            files, isJSON: common.json, program: "karvan-hub", store.replica,
            failure: { CommandFailure(describing: $0) }
        ) { path in
            let taken = try BundleExchange(store.replica).read(
                path, take: { try store.take($0) }, wanted: { try store.wantedBlobs() })
            try store.decide(after: taken.list)
            return taken
        }
    }
}

struct HubBundleShow: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "show", abstract: "Look at a file, and take nothing in.",
        discussion: """
            Example: karvan-hub bundle show /media/stick/monday.karvan
            """)

    @OptionGroup var common: CommonOptions
    @Argument(help: "The file.")
    var file: String

    func run() throws {
        let store = try common.openStore("bundle show")
        defer { store.close() }
        let shown = try BundleExchange(store.replica).show(file)
        let text = try BundleReport.lines(of: shown, file, store.replica).joined(separator: "\n")
        let facts = try BundleReport.json(of: shown, file, store.replica)
        try common.print(text, facts)
    }
}
