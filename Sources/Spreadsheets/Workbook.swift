internal import CXLSXWriter

/// A spreadsheet file (Office Open XML, ISO/IEC 29500), by libxlsxwriter.
public struct Workbook: Sendable {
    public enum Cell: Hashable, Sendable {
        case empty
        case text(String)
        /// Text that is to be seen at once.
        case warning(String)
        case number(Double)
        /// A number that is to be seen at once.
        case flagged(Double)
        /// Days since 30 December 1899, as spreadsheets count: the date and time of a place, without a zone.
        case time(Double)
    }

    public struct Column: Hashable, Sendable {
        public var title: String
        /// In characters.
        public var width: Int

        public init(_ title: String, width: Int) {
            self.title = title
            self.width = width
        }
    }

    /// Stacked bars: a bar for each line, a colour for each column of numbers.
    public struct Chart: Hashable, Sendable {
        public struct Series: Hashable, Sendable {
            public var column: Int
            /// 0xRRGGBB.
            public var colour: Int

            public init(column: Int, colour: Int) {
                self.column = column
                self.colour = colour
            }
        }

        public var title: String
        /// The column that says what a bar is of.
        public var names: Int
        public var series: [Series]

        public init(_ title: String, names: Int, series: [Series]) {
            self.title = title
            self.names = names
            self.series = series
        }
    }

    public struct Sheet: Sendable {
        /// At most 31 characters, none of `[]:*?/\`.
        public var name: String
        /// Above the table.
        public var lines: [String] = []
        public var columns: [Column]
        public var rows: [[Cell]] = []
        public var chart: Chart?

        public init(_ name: String, columns: [Column]) {
            self.name = name
            self.columns = columns
        }
    }

    public var title: String
    /// What the file says of when it was made, in seconds since 1970: the same content at the same time gives the
    /// same bytes.
    public var createdSeconds: Int64
    public var sheets: [Sheet] = []

    public init(_ title: String, createdSeconds: Int64) {
        self.title = title
        self.createdSeconds = createdSeconds
    }
}

/// Why a workbook was not written.
public enum WorkbookError: Error, Hashable, Sendable {
    /// libxlsxwriter isn't installed.
    case missingLibrary(String)
    case failed(String)
}

extension Workbook {
    /// What a cell of a spreadsheet may hold.
    private static let textLimit = 32_000

    /// Writes the file; one that is there is replaced.
    ///
    /// Texts are written as texts: none is ever a formula.
    public func write(to path: String) throws(WorkbookError) {
        if let problem = karvan_xlsx_problem() {
            throw .missingLibrary(String(cString: problem))
        }
        guard let workbook = karvan_xlsx_workbook_new(path) else { throw .failed("out of memory") }
        karvan_xlsx_workbook_set_title(workbook, title, Int(max(1, createdSeconds)))
        let formats = Formats(workbook)
        var problem: WorkbookError?
        for sheet in sheets where problem == nil {
            do throws(WorkbookError) {
                try write(sheet, formats, in: workbook)
            } catch {
                problem = error
            }
        }
        // Closed in any case: that is what frees it.
        let code = karvan_xlsx_workbook_close(workbook)
        if let problem { throw problem }
        guard code == 0 else { throw Self.failure(code) }
    }

    private struct Formats {
        var title, text, warning, number, time, line: UnsafeMutableRawPointer?

        init(_ workbook: UnsafeMutableRawPointer) {
            title = karvan_xlsx_add_format(workbook, nil, 1, 1, 0xe6eef2)
            text = karvan_xlsx_add_format(workbook, nil, 0, 1, -1)
            warning = karvan_xlsx_add_format(workbook, nil, 0, 1, 0xffe9b8)
            number = karvan_xlsx_add_format(workbook, "0", 0, 1, -1)
            time = karvan_xlsx_add_format(workbook, "yyyy-mm-dd hh:mm:ss", 0, 1, -1)
            line = karvan_xlsx_add_format(workbook, nil, 0, 0, -1)
        }
    }

    private func write(
        _ sheet: Sheet, _ formats: Formats, in workbook: UnsafeMutableRawPointer
    ) throws(WorkbookError) {
        guard let page = karvan_xlsx_add_worksheet(workbook, sheet.name) else {
            throw .failed("“\(sheet.name)” can't be the name of a sheet")
        }
        for (index, line) in sheet.lines.enumerated() {
            try Self.check(
                karvan_xlsx_write_string(page, UInt32(index), 0, Self.clipped(line), formats.line))
        }
        let titles = UInt32(sheet.lines.isEmpty ? 0 : sheet.lines.count + 1)
        for (index, column) in sheet.columns.enumerated() {
            karvan_xlsx_set_width(page, UInt16(index), Double(column.width))
            try Self.check(
                karvan_xlsx_write_string(page, titles, UInt16(index), column.title, formats.title))
        }
        for (index, row) in sheet.rows.enumerated() {
            for (place, cell) in row.enumerated() {
                try Self.write(cell, page, titles + 1 + UInt32(index), UInt16(place), formats)
            }
        }
        let last = titles + UInt32(sheet.rows.count)
        karvan_xlsx_set_page(page)
        if !sheet.rows.isEmpty {
            karvan_xlsx_set_table(page, titles, last, UInt16(sheet.columns.count))
        }
        if let chart = sheet.chart, !sheet.rows.isEmpty {
            let drawn = karvan_xlsx_add_stacked_bars(workbook, chart.title)
            for series in chart.series {
                karvan_xlsx_add_series(
                    drawn, sheet.name, UInt16(chart.names), UInt16(series.column), titles,
                    titles + 1,
                    last, Int32(series.colour))
            }
            karvan_xlsx_insert_chart(page, drawn, titles, UInt16(sheet.columns.count + 1))
        }
    }

    private static func write(
        _ cell: Cell, _ page: UnsafeMutableRawPointer, _ row: UInt32, _ column: UInt16,
        _ formats: Formats
    ) throws(WorkbookError) {
        switch cell {
        case .empty: return
        case .text(let text):
            try check(karvan_xlsx_write_string(page, row, column, clipped(text), formats.text))
        case .warning(let text):
            try check(karvan_xlsx_write_string(page, row, column, clipped(text), formats.warning))
        case .number(let number):
            try check(karvan_xlsx_write_number(page, row, column, number, formats.number))
        case .flagged(let number):
            try check(karvan_xlsx_write_number(page, row, column, number, formats.warning))
        case .time(let days):
            try check(karvan_xlsx_write_number(page, row, column, days, formats.time))
        }
    }

    private static func clipped(_ text: String) -> String {
        guard text.utf16.count > textLimit else { return text }
        var (cut, count) = (String.UnicodeScalarView(), 0)
        for scalar in text.unicodeScalars {
            count += UTF16.width(scalar)
            if count > textLimit { break }
            cut.append(scalar)
        }
        return String(cut) + "…"
    }

    private static func check(_ code: Int32) throws(WorkbookError) {
        guard code == 0 else { throw failure(code) }
    }

    private static func failure(_ code: Int32) -> WorkbookError {
        .failed(String(cString: karvan_xlsx_strerror(lxw_error(UInt32(code)))))
    }
}
