internal import Foundation
internal import ProgramOutput
internal import Recording
internal import ReplicaStore
internal import Reports
internal import Spreadsheets
internal import SyncProtocol

/// Puts a report where it was asked for.
struct ReportPrinter {
    private let common: CommonOptions
    private let output: ReportOutputOptions
    private let named: [String]
    private let standard: [String]

    /// - Parameters:
    ///   - named: sections, as they were typed.
    ///   - standard: what is told where none was.
    init(
        _ common: CommonOptions, _ output: ReportOutputOptions, _ named: [String],
        standard: [String]
    ) {
        self.common = common
        self.output = output
        self.named = named
        self.standard = standard
    }

    func run(
        _ records: @autoclosure () throws -> Records,
        _ make: (Records, _ scopes: [String]) throws -> Report
    ) throws {
        let format = try output.format(among: ReportFormat.allCases)
        let records = try records()
        defer { records.replica.close() }
        let scopes = try Self.scopes(records)
        let report = try make(records, scopes)
        let sections = try chosen(of: report)
        guard let path = output.output else {
            var text = try text(report, sections, format)
            // Printing ends the last line.
            if text.hasSuffix("\r\n") { text = String(text.dropLast()) + "\r" }
            return try common.print(text, report.json)
        }
        try output.write(path, beside: common.path) { partial in
            switch format {
            case .text, .csv, .html:
                try ReportOutputOptions.put(try text(report, sections, format), to: partial)
            case .pdf:
                try PDFRenderer.render(
                    report.html(sections: Swift.Set(sections.map(\.name))), to: partial)
            case .xlsx: try write(report.workbook, to: partial)
            }
        }
        try common.print(told(report, path), .object(facts(report, path, format)))
    }

    /// What the replica reads: all, where it is let or belongs to nobody yet.
    static func scopes(_ records: Records) throws -> [String] {
        guard let own = try records.replica.membership()?.own else { return [Grant.anyScope] }
        let readsAll = own.statement.grants.contains { $0.scope == Grant.anyScope }
        return try readsAll ? [Grant.anyScope] : records.replica.readableScopes()
    }

    private func chosen(of report: Report) throws -> [ReportSection] {
        let names = named.isEmpty ? standard : named
        return try names.map { name in
            guard let section = report.sections.first(where: { $0.name == name }) else {
                throw CommandFailure(
                    .usage,
                    "there is no table “\(name)” in it; --by takes "
                        + report.sections.map(\.name).joined(separator: ", "))
            }
            return section
        }
    }

    private func text(_ report: Report, _ sections: [ReportSection], _ format: ReportFormat) throws
        -> String
    {
        let names = Swift.Set(sections.map(\.name))
        switch format {
        case .html: return report.html(sections: names)
        case .csv:
            guard named.count <= 1 else {
                throw CommandFailure(
                    .usage, "CSV holds one table: name one with --by, or write xlsx")
            }
            return report.csv(sections[0])
        default: return report.text(sections: names)
        }
    }

    private func write(_ workbook: Workbook, to path: String) throws {
        do throws(WorkbookError) {
            try workbook.write(to: path)
        } catch {
            switch error {
            case .missingLibrary(let detail):
                throw CommandFailure(
                    .configuration,
                    "XLSX needs libxlsxwriter, which can't be loaded (\(detail)): install the package "
                        + "libxlsxwriter4, or write csv")
            case .failed(let detail):
                throw CommandFailure(.disk, "\(path) can't be written (\(detail))")
            }
        }
    }

    private func told(_ report: Report, _ path: String) -> String {
        let open = report.sections.first { $0.name == "unresolved" }?.rows.count ?? 0
        return [
            "wrote \(path)", report.basis.completeText,
            open == 0
                ? "Nothing is unresolved."
                : "\(ItemCount.text(open, "conflict")) unresolved: see `karvan conflicts`",
            "State hash \(report.basis.stateHash)",
        ].joined(separator: "\n")
    }

    private func facts(_ report: Report, _ path: String, _ format: ReportFormat) -> [(
        String, JSONValue
    )] {
        [
            ("file", .string(path)), ("format", .string(format.rawValue)),
            ("complete", .string(report.basis.completeText)),
            (
                "unresolved",
                .integer(Int64(report.sections.first { $0.name == "unresolved" }?.rows.count ?? 0))
            ),
            ("state_hash", .string(report.basis.stateHash.description)),
            ("vector", .string(VectorText.text(of: report.basis.vector))),
        ]
    }
}

/// Puts a page that is to be printed where it was asked for.
struct PagePrinter {
    private let common: CommonOptions
    private let output: ReportOutputOptions

    init(_ common: CommonOptions, _ output: ReportOutputOptions) {
        self.common = common
        self.output = output
    }

    func print(_ page: String, facts: [(String, JSONValue)]) throws {
        let format = try output.format(among: [.html, .pdf])
        guard let path = output.output else {
            return try common.print(page, .object(facts + [("html", .string(page))]))
        }
        try output.write(path, beside: common.path) { partial in
            if format == .pdf {
                try PDFRenderer.render(page, to: partial)
            } else {
                try ReportOutputOptions.put(page, to: partial)
            }
        }
        try common.print(
            "wrote \(path)",
            .object(facts + [("file", .string(path)), ("format", .string(format.rawValue))]))
    }
}

/// Makes a PDF of a page, with WeasyPrint where that is installed.
enum PDFRenderer {
    private static let program = "weasyprint"

    static func render(_ page: String, to path: String) throws {
        guard let executable = executable() else {
            throw CommandFailure(
                .configuration,
                "PDF needs \(program), which isn't installed here: install it, or write html and print that from a "
                    + "browser")
        }
        let ended = try run(
            executable, ["--quiet", "--encoding", "utf-8", "-", path], reading: page)
        guard ended.status == 0, access(path, F_OK) == 0 else {
            let last = ended.errors.split(separator: "\n").last ?? ""
            throw CommandFailure(
                .disk,
                "\(program) made no PDF (\(last.prefix(300))): write html and print that from a browser"
            )
        }
    }

    /// Runs a program that reads all of its input before it says anything.
    ///
    /// Not through Foundation, whose `Process` never hears of the end where signals are blocked.
    private static func run(
        _ executable: String, _ arguments: [String], reading input: String
    ) throws -> (status: Int32, errors: String) {
        var (give, take): ([Int32], [Int32]) = ([-1, -1], [-1, -1])
        guard pipe(&give) == 0, pipe(&take) == 0 else {
            throw CommandFailure(.fault, "no pipe: \(String(cString: strerror(errno)))")
        }
        // The child is to see the end of its input, and keeps neither end that is the parent's.
        for end in give + take { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_adddup2(&actions, give[0], STDIN_FILENO)
        posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0)
        posix_spawn_file_actions_adddup2(&actions, take[1], STDERR_FILENO)
        var words: [UnsafeMutablePointer<CChar>?] = ([executable] + arguments).map { strdup($0) }
        defer { for word in words { free(word) } }
        words.append(nil)
        // So that one page gives one file: else fonts bear the time, and parts stand in the order of a hash.
        var variables = environmentWithout("SOURCE_DATE_EPOCH", "PYTHONHASHSEED").map { strdup($0) }
        variables += [strdup("SOURCE_DATE_EPOCH=0"), strdup("PYTHONHASHSEED=0"), nil]
        defer { for variable in variables { free(variable) } }
        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        var none = sigset_t()
        sigemptyset(&none)
        posix_spawnattr_setsigmask(&attributes, &none)
        posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGMASK))
        var process = pid_t()
        let code = posix_spawn(&process, executable, &actions, &attributes, words, variables)
        close(give[0])
        close(take[1])
        guard code == 0 else {
            close(give[1])
            close(take[0])
            throw CommandFailure(
                .configuration,
                "\(executable) can't be started (\(String(cString: strerror(code))))")
        }
        // One that ends early is told by its status.
        let before = signal(SIGPIPE, SIG_IGN)
        let writer = FileHandle(fileDescriptor: give[1], closeOnDealloc: false)
        try? writer.write(contentsOf: Data(input.utf8))
        close(give[1])
        signal(SIGPIPE, before)
        let reader = FileHandle(fileDescriptor: take[0], closeOnDealloc: false)
        let said = (try? reader.readToEnd()) ?? Data()
        close(take[0])
        var status: Int32 = 0
        while waitpid(process, &status, 0) < 0 && errno == EINTR {}
        return (status, String(decoding: said, as: UTF8.self))
    }

    private static func environmentWithout(_ names: String...) -> [String] {
        ProcessInfo.processInfo.environment.filter { !names.contains($0.key) }
            .map { "\($0.key)=\($0.value)" }
    }

    private static func executable() -> String? {
        let path = ProcessInfo.processInfo.environment["PATH"] ?? "/usr/local/bin:/usr/bin:/bin"
        return path.split(separator: ":").map { "\($0)/\(program)" }.first { access($0, X_OK) == 0 }
    }
}
