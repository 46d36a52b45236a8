internal import ArgumentParser
internal import Causality
internal import FieldRecords
internal import Foundation
internal import ProgramOutput
internal import ReplicaStore
internal import Reports
internal import Recording
internal import SyncProtocol

/// Tells what was recorded, for people who don't look into the replica.
struct ReportCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "report",
        abstract: "Report attendance and visits; print roll calls and badges.",
        discussion: """
            Example: karvan report attendance --output attendance.xlsx

            A report is made from the changes that this replica holds and says so: up to when each \
            laptop's are in it, what nobody has decided, the hash of the state, and the version vector \
            with which the same report can be made again later.
            """,
        subcommands: [Attendance.self, Visits.self, RollCall.self, Badges.self])
}

enum ReportFormat: String, ExpressibleByArgument, CaseIterable {
    case text, csv, xlsx, html, pdf

    /// What a spreadsheet or a renderer makes goes to a file.
    var isBinary: Bool { self == .xlsx || self == .pdf }
}

/// What a report is of, and from when.
struct ReportOptions: ParsableArguments {
    @Option(help: "Only of this item.")
    var item: String?
    @Option(help: "Only of this delegation.")
    var delegation: String?
    @Option(help: "Only of this day of the programme, as in 2025-11-26.")
    var day: String?
    @Option(
        help: ArgumentHelp(
            "Titles and names in this language, where there are any: \(Forum.languages.joined(separator: ", ")).",
            valueName: "code"))
    var language = "en"

    var limits: ReportLimits {
        var limits = ReportLimits()
        limits.item = item
        limits.delegation = delegation
        limits.day = day
        limits.language = language
        return limits
    }
}

/// The replica as it is to be told.
struct ReportPastOptions: ParsableArguments {
    @OptionGroup var past: PastOptions
    @Option(
        help: ArgumentHelp(
            "As of this version vector, which stands in an earlier report: the same report again.",
            valueName: "text"))
    var vector: String?

    func validate() throws {
        guard vector == nil || past.time == nil else {
            throw ValidationError("--at and --vector don't go together.")
        }
    }

    /// What it is of, beside now; `nil` for now.
    func asOf(_ records: Records, item: String?) throws -> String? {
        guard let time = past.time else { return nil }
        let shown = try Instant(milliseconds: records.pastMilliseconds(time, item: item))
            .inWholeSeconds
        return past.isReceived ? "as held here at \(shown)" : "as recorded by \(shown)"
    }

    func records(_ common: CommonOptions, item: String?) throws -> Records {
        let records = try common.records("report")
        let replica = records.replica
        let vector: VersionVector
        if let text = self.vector {
            vector = try VectorText.vector(text)
        } else if let point = try past.point(records, item: item) {
            vector = try replica.vector(at: point)
        } else {
            return records
        }
        defer { replica.close() }
        return Records(try replica.past(vector))
    }
}

/// Where a report goes.
struct ReportOutputOptions: ParsableArguments {
    @Option(help: "text, csv, xlsx, html or pdf; else by the file's ending, else text.")
    var format: ReportFormat?
    @Option(
        name: .shortAndLong,
        help: ArgumentHelp("Write this file; nothing else is written over.", valueName: "file"))
    var output: String?
    @Flag(help: "Replace the file if there is one.")
    var replace = false

    /// - Parameter formats: those that it comes in.
    func format(among formats: [ReportFormat]) throws -> ReportFormat {
        if output == "-" {
            throw CommandFailure(.usage, "without --output it is printed; “-” is no file")
        }
        let ending = output.map { URL(filePath: $0).pathExtension.lowercased() }
        let told = ending.flatMap { $0 == "txt" ? .text : ReportFormat(rawValue: $0) }
        if let format, let told, format != told {
            throw CommandFailure(
                .usage, "\(output ?? "") ends as \(told), and --format says \(format)")
        }
        if format == nil, told == nil, let output {
            throw CommandFailure(
                .usage,
                "\(output) has no ending that tells a format: name it with --format "
                    + formats.map(\.rawValue).joined(separator: "|"))
        }
        let chosen = format ?? told ?? formats[0]
        guard formats.contains(chosen) else {
            throw CommandFailure(
                .usage,
                "this comes as \(formats.map(\.rawValue).joined(separator: ", ")), not as \(chosen)"
            )
        }
        guard !chosen.isBinary || output != nil else {
            throw CommandFailure(
                .usage, "\(chosen) is written to a file: name it with --output FILE")
        }
        return chosen
    }

    /// Writes the file whole, or leaves what was there. Only its owner can read it: it may name people.
    ///
    /// - Parameter replica: what is never written over, nor what lies beside it.
    func write(
        _ path: String, beside replica: String, _ make: (_ partial: String) throws -> Void
    ) throws {
        try checkMayWrite(path, replica)
        let random = String(UInt64.random(in: 0 ... .max), radix: 36)
        let folder = URL(filePath: path).deletingLastPathComponent().path
        let partial = "\(folder)/.karvan-\(random)"
        func failure(_ code: Int32) -> CommandFailure {
            CommandFailure(
                .disk, "\(path) can't be written (\(String(cString: strerror(code))))")
        }
        let descriptor = open(partial, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw failure(errno) }
        defer {
            close(descriptor)
            unlink(partial)
        }
        try make(partial)
        let written = open(partial, O_RDONLY | O_CLOEXEC)
        guard written >= 0 else { throw failure(errno) }
        defer { close(written) }
        guard fchmod(written, 0o600) == 0, fsync(written) == 0 else { throw failure(errno) }
        if replace {
            guard rename(partial, path) == 0 else { throw failure(errno) }
        } else if link(partial, path) != 0 {
            throw errno == EEXIST ? exists(path) : failure(errno)
        }
    }

    private func exists(_ path: String) -> CommandFailure {
        CommandFailure(
            .badInput,
            "\(path) exists already: give another name, or --replace it. Nothing was written")
    }

    private func checkMayWrite(_ path: String, _ replica: String) throws {
        var found = stat()
        guard lstat(path, &found) == 0 else { return }
        guard replace else { throw exists(path) }
        guard found.st_mode & S_IFMT == S_IFREG else {
            throw CommandFailure(
                .badInput, "\(path) is no plain file, and is left as it is: give another name")
        }
        for suffix in ["", "-wal", "-shm", ".key", ".install", ".lock"] {
            var kept = stat()
            guard stat(replica + suffix, &kept) == 0, kept.st_dev == found.st_dev,
                kept.st_ino == found.st_ino
            else { continue }
            throw CommandFailure(
                .badInput, "\(path) belongs to the replica, and is left as it is: give another name"
            )
        }
    }

    static func put(_ text: String, to path: String) throws {
        do {
            try Data(text.utf8).write(to: URL(filePath: path))
        } catch {
            throw CommandFailure(.disk, "the file can't be written (\(error.localizedDescription))")
        }
    }
}

extension ReportCommand {
    struct Attendance: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Who came, by item, delegation, day and person.",
            discussion: """
                Example: karvan report attendance --day 2025-11-26 --output attendance.pdf

                Everyone is expected at every item. CSV holds one table, the first that --by names; \
                XLSX and JSON hold all of them.
                """)

        @OptionGroup var common: CommonOptions
        @OptionGroup var options: ReportOptions
        @OptionGroup var past: ReportPastOptions
        @OptionGroup var output: ReportOutputOptions
        @Option(
            help: ArgumentHelp(
                "item, item-delegation, delegation, day, person, unresolved; may be repeated.",
                valueName: "table"))
        var by: [String] = []

        func run() throws {
            try ReportPrinter(
                common, output, by, standard: ["item", "delegation", "day", "unresolved"]
            ).run(try past.records(common, item: options.item)) { records, scopes in
                var limits = options.limits
                limits.asOf = try past.asOf(records, item: options.item)
                return try Report.attendance(records, limits, scopes: scopes)
            }
        }
    }

    struct Visits: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Which delegation was where and when, and how many came.",
            discussion: """
                Example: karvan report visits --delegation KZ --format csv

                What people recorded differently and nobody has decided is printed as unresolved, with \
                each value and who gave it; sums of it are ranges.
                """)

        @OptionGroup var common: CommonOptions
        @OptionGroup var options: ReportOptions
        @OptionGroup var past: ReportPastOptions
        @OptionGroup var output: ReportOutputOptions
        @Option(
            help: ArgumentHelp(
                "visit, item, delegation, day, unresolved; may be repeated.", valueName: "table"))
        var by: [String] = []

        func run() throws {
            try ReportPrinter(
                common, output, by, standard: ["visit", "delegation", "day", "unresolved"]
            ).run(try past.records(common, item: options.item)) { records, scopes in
                var limits = options.limits
                limits.asOf = try past.asOf(records, item: options.item)
                return try Report.visits(records, limits, scopes: scopes)
            }
        }
    }

    struct RollCall: ParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "roll-call",
            abstract: "A sheet to tick off people at an item, with pen and paper.",
            discussion: """
                Example: karvan report roll-call V12 --delegation KZ --output roll-call.pdf

                What was ticked off is recorded afterwards with `karvan attend V12 BADGE… --at TIME`.
                """)

        @OptionGroup var common: CommonOptions
        @Argument(help: "The item.")
        var item: String
        @Option(help: "Only of this delegation.")
        var delegation: String?
        @Option(
            help: ArgumentHelp(
                "Titles and names in this language, where there are any: \(Forum.languages.joined(separator: ", ")).",
                valueName: "code"))
        var language = "en"
        @OptionGroup var output: ReportOutputOptions

        func run() throws {
            let records = try common.records("report roll-call")
            defer { records.replica.close() }
            var limits = ReportLimits()
            limits.delegation = delegation
            limits.language = language
            let page = try PrintSheets.rollCall(
                records, item: item, limits, scopes: ReportPrinter.scopes(records))
            try PagePrinter(common, output).print(page, facts: [("item", .string(item))])
        }
    }

    struct Badges: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Badges to cut out, each with a QR code for the scanner at the door.",
            discussion: """
                Example: karvan report badges --delegation AZ --output badges.pdf
                """)

        @OptionGroup var common: CommonOptions
        @Argument(help: "Badges; all when none is named.")
        var badges: [String] = []
        @Option(help: "Only of this delegation.")
        var delegation: String?
        @OptionGroup var output: ReportOutputOptions

        func run() throws {
            let records = try common.records("report badges")
            defer { records.replica.close() }
            var limits = ReportLimits()
            limits.delegation = delegation
            let page = try PrintSheets.badges(
                records, badges: badges, limits, scopes: ReportPrinter.scopes(records))
            try PagePrinter(common, output).print(page, facts: [])
        }
    }
}
