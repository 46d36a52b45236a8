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
        let grants = try records.replica.membership()?.own?.statement.grants ?? []
        let readsAll = grants.contains { $0.scope == Grant.anyScope }
        let scopes = try readsAll ? [Grant.anyScope] : records.replica.readableScopes()
        let report = try make(records, scopes)
        let sections = try chosen(of: report)
        guard let path = output.output else {
            return try common.print(try text(report, sections, format), report.json)
        }
        try output.write(path) { partial in
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
        try output.write(path) { partial in
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
        let process = Process()
        let input = Pipe()
        let errors = Pipe()
        process.executableURL = URL(filePath: executable)
        process.arguments = ["--quiet", "--encoding", "utf-8", "-", path]
        process.standardInput = input
        process.standardOutput = FileHandle.nullDevice
        process.standardError = errors
        do {
            try process.run()
        } catch {
            throw CommandFailure(
                .configuration, "\(executable) can't be started (\(error.localizedDescription))")
        }
        // It reads the page whole before it says anything.
        try? input.fileHandleForWriting.write(contentsOf: Data(page.utf8))
        try? input.fileHandleForWriting.close()
        let said = (try? errors.fileHandleForReading.readToEnd()).flatMap { $0 } ?? Data()
        process.waitUntilExit()
        guard process.terminationStatus == 0, access(path, F_OK) == 0 else {
            let last = String(decoding: said, as: UTF8.self).split(separator: "\n").last ?? ""
            throw CommandFailure(
                .disk,
                "\(program) made no PDF (\(last.prefix(300))): write html and print that from a browser"
            )
        }
    }

    private static func executable() -> String? {
        let path = ProcessInfo.processInfo.environment["PATH"] ?? "/usr/local/bin:/usr/bin:/bin"
        return path.split(separator: ":").map { "\($0)/\(program)" }.first { access($0, X_OK) == 0 }
    }
}
