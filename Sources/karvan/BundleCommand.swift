internal import ArgumentParser
internal import BundleReports
internal import ProgramOutput
internal import ReplicaStore
internal import ReplicaSync
internal import SyncProtocol

/// Carries changes by hand.
struct BundleCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "bundle",
        abstract: "Carry changes on a stick: to the hub, to another laptop, and back.",
        discussion: """
            A bundle is a file that only those can open whom it is for. It can be copied, sent and brought as often \
            as you like, several in any order: what is there already is not taken twice.

            What is in a bundle counts as sent when the hub says so: in its next answer to `karvan sync`, or in a \
            bundle that it gives back.

              karvan bundle export /media/stick/monday.karvan
              karvan bundle export /media/stick/for-l3.karvan --for "L3 bus"
              karvan bundle import /media/stick/*.karvan
            """,
        subcommands: [BundleExport.self, BundleImport.self, BundleShow.self])
}

struct BundleExport: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "export",
        abstract: "Write what somebody lacks into a new file.",
        discussion: """
            Example: karvan bundle export /media/stick/for-l3.karvan --for "L3 bus"

            Without --for it is for the hub: all that it isn't known to have. For a laptop it is what that one may \
            read and isn't known to hold, by the last bundle that came from it; --all leaves out nothing. The hub \
            can open it too, so whoever passes by there can leave it.
            """)

    @OptionGroup var common: CommonOptions
    @Argument(help: "The new file.")
    var file: String
    @Option(
        name: .customLong("for"),
        help: "Whom it is for: a laptop's name, the first digits of its device, or hub.")
    var recipient = "hub"
    @Option(help: "What lies behind this bundle, whatever is known.")
    var since: String?
    @Flag(help: "All that the recipient may read.")
    var all = false
    @Option(
        name: .customLong("part-size"),
        help: "The most bytes for one file; what has no room goes into further files")
    var partSize = Limits.bundleBytes
    @Option(
        help:
            "Which photos go along: own (those that the hub isn't known to have), all (that are here), none; of what the recipient may read."
    )
    var photos = PhotoExtent.own

    func validate() throws {
        guard !all || since == nil else {
            throw ValidationError("--all and --since don't go together")
        }
        guard partSize >= 1 << 20 else {
            throw ValidationError("--part-size is at least 1048576")
        }
    }

    func run() throws {
        let replica = try common.open("bundle export")
        defer { replica.close() }
        let recipient = try replica.bundleRecipient(named: recipient)
        let hub = try replica.bundleHub()
        let exchange = BundleExchange(replica)
        let extent: BundleExtent =
            if let since { .beyond(try exchange.heads(in: since)) } else {
                all ? .everything : .news
            }
        let written = try exchange.write(
            to: file, for: recipient, and: hub.map { $0 == recipient ? [] : [$0] } ?? [], extent,
            blobs: photos.bundled, limitBytes: partSize)
        try common.print(
            written.text(for: recipient), written.json(for: recipient))
    }
}

struct BundleImport: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "import",
        abstract: "Take in what others have written into files.",
        discussion: """
            Example: karvan bundle import /media/stick/*.karvan

            Each file is read whole before anything of it is taken in. In any order: what needs changes that \
            aren't here yet waits for them.
            """)

    @OptionGroup var common: CommonOptions
    @Argument(help: "The files.")
    var files: [String]

    func run() throws {
        let replica = try common.open("bundle import")
        defer { replica.close() }
        // Whoever is to be forgotten is, whatever else came of this.
        defer { _ = try? replica.emptyFreePages() }
        try BundleReport.importing(
            files, isJSON: common.json, program: "karvan", replica,
            failure: { CommandFailure(describing: $0) }
        ) { try BundleExchange(replica).read($0) }
    }
}

struct BundleShow: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "show",
        abstract: "Look at a file, and take nothing in.",
        discussion: """
            Example: karvan bundle show /media/stick/monday.karvan

            Whom it is by and for everybody may see; what is in it, those whom it is for.
            """)

    @OptionGroup var common: CommonOptions
    @Argument(help: "The file.")
    var file: String

    func run() throws {
        let replica = try common.open("bundle show")
        defer { replica.close() }
        let shown = try BundleExchange(replica).show(file)
        try common.print(
            BundleReport.lines(of: shown, file, replica).joined(separator: "\n"),
            BundleReport.json(of: shown, file, replica))
    }
}
