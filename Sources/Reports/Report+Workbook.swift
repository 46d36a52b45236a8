internal import FieldRecords
public import Spreadsheets

extension Report {
    /// All sections, a sheet for each, and what they are made from on the first one.
    public var workbook: Workbook {
        // Of the last change, so that the same changes give the same file.
        var workbook = Workbook(
            "Karvan: \(title)", createdSeconds: (basis.last?.milliseconds ?? 0) / 1_000)
        var about = Workbook.Sheet(
            "About",
            columns: [Workbook.Column("What", width: 24), Workbook.Column("Value", width: 90)])
        about.rows = aboutLines.map { [.text($0.name), .text($0.value)] }
        workbook.sheets = [about] + (sections + [basis.section]).map(sheet)
        return workbook
    }

    private func sheet(_ section: ReportSection) -> Workbook.Sheet {
        var sheet = Workbook.Sheet(
            String(section.title.filter { !"[]:*?/\\".contains($0) }.prefix(31)),
            columns: section.columns.enumerated().map { index, column in
                Workbook.Column(column.title, width: width(section, index))
            })
        sheet.lines =
            [
                title + (limits.isEmpty ? "" : ": " + limits.joined(separator: ", ")),
                basis.completeText,
            ]
            + warnings + [section.note].compactMap { $0 }
        sheet.rows = section.rows.map { $0.map(Self.cell) }
        sheet.chart = section.chart.flatMap { chart in
            guard let names = section.columns.firstIndex(where: { $0.name == chart.names }) else {
                return nil
            }
            return Workbook.Chart(
                chart.title, names: names,
                series: chart.series.compactMap { series in
                    section.columns.firstIndex { $0.name == series.column }.map {
                        Workbook.Chart.Series(column: $0, colour: series.colour)
                    }
                })
        }
        return sheet
    }

    private func width(_ section: ReportSection, _ index: Int) -> Int {
        if section.columns[index].kind == .time { return 19 }
        let longest = section.rows.lazy.map { $0[index].text.count }.max() ?? 0
        return min(48, max(8, section.columns[index].title.count + 3, longest + 1))
    }

    private static func cell(_ cell: ReportCell) -> Workbook.Cell {
        switch cell {
        case .empty, .text(""): .empty
        case .text(let text): .text(text)
        case .number(let number): .number(Double(number))
        case .open(let number): .flagged(Double(number))
        case .time(let time): .time(days(time))
        case .range, .unresolved: .warning(cell.text)
        }
    }

    /// Days since 30 December 1899 at the forum.
    private static func days(_ time: Instant) -> Double {
        let local = Double(time.milliseconds) / 1_000 + Double(UTCOffset.forum.minutes) * 60
        return (local / 86_400) + 25_569
    }
}
