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
        let ending = output.map { URL(filePath: $0).pathExtension.lowercased() }
        let named = format ?? ending.flatMap(ReportFormat.init(rawValue:))
        if format == nil, let output, named == nil {
            throw CommandFailure(
                .usage,
                "\(output) has no ending that tells a format: name it with --format "
                    + formats.map(\.rawValue).joined(separator: "|"))
        }
        let chosen = named ?? formats[0]
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

    /// Writes the file whole, or leaves what was there.
    func write(_ path: String, _ make: (_ partial: String) throws -> Void) throws {
        guard replace || access(path, F_OK) != 0 else {
            throw CommandFailure(
                .badInput,
                "\(path) exists already: give another name, or --replace it. Nothing was written")
        }
        let partial = path + ".partial"
        unlink(partial)
        defer { unlink(partial) }
        try make(partial)
        guard rename(partial, path) == 0 else {
            throw CommandFailure(
                .disk, "\(path) can't be written (\(String(cString: strerror(errno))))")
        }
    }

    static func put(_ text: String, to path: String) throws {
        do {
            try Data(text.utf8).write(to: URL(filePath: path))
        } catch {
            throw CommandFailure(.disk, "\(path) can't be written (\(error.localizedDescription))")
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
                try Report.attendance(records, options.limits, scopes: scopes)
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
                try Report.visits(records, options.limits, scopes: scopes)
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
            let page = try PrintSheets.rollCall(records, item: item, limits)
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
            let page = try PrintSheets.badges(records, badges: badges, limits)
            try PagePrinter(common, output).print(page, facts: [])
        }
    }
}
