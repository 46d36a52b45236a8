/// Stacked bars as SVG, a bar for each row of a section that has anything to draw.
struct BarChart {
    private let chart: ReportChart
    private var bars: [(name: String, parts: [Int64])] = []
    private var titles: [String] = []
    private var omittedCount = 0
    private var barHeight: Int { bars.count > Self.roomyCount ? 11 : 16 }
    private var gap: Int { bars.count > Self.roomyCount ? 3 : 5 }

    private static let labelWidth = 90
    private static let barWidth = 640
    /// What has more bars than this is drawn closer, so that it fits on a page.
    private static let roomyCount = 24
    private static let legendHeight = 24
    /// More bars are no picture any more.
    private static let barLimit = 60

    init(_ section: ReportSection, _ chart: ReportChart) {
        self.chart = chart
        let names = section.columns.firstIndex { $0.name == chart.names } ?? 0
        let columns = chart.series.compactMap { series in
            section.columns.firstIndex { $0.name == series.column }
        }
        titles = columns.map { section.columns[$0].title }
        omittedCount = max(0, section.rows.count - Self.barLimit)
        for row in section.rows.prefix(Self.barLimit) {
            let parts = columns.map { column in
                switch row[column] {
                case .number(let number), .open(let number): max(0, number)
                // What is sure; the table has the rest.
                case .range(let range): max(0, range.lowerBound)
                default: Int64(0)
                }
            }
            let name = row[names].text
            bars.append((name.count > 12 ? name.prefix(11) + "…" : name, parts))
        }
    }

    var svg: String {
        let most = bars.map { $0.parts.reduce(0, Self.sum) }.max() ?? 0
        guard most > 0 else { return "" }
        let height = Self.legendHeight + bars.count * (barHeight + gap) + gap
        let width = Self.labelWidth + Self.barWidth + 60
        var text =
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 \(width) \(height)\" width=\"\(width)\" "
            + "height=\"\(height)\" role=\"img\" font-family=\"DejaVu Sans, Noto Sans, sans-serif\" font-size=\"11\">"
            + "<title>\(HTML.text(chart.title))</title>"
        var left = Self.labelWidth
        for (title, series) in zip(titles, chart.series) {
            text += rectangle(left, 4, 11, 11, series.colour)
            text += label(left + 16, 14, title, anchor: "start")
            left += 34 + title.count * 8
        }
        if omittedCount > 0 {
            text += label(left + 16, 14, "and \(omittedCount) more, in the table", anchor: "start")
        }
        for (index, bar) in bars.enumerated() {
            let top = Self.legendHeight + index * (barHeight + gap)
            text += label(Self.labelWidth - 8, top + barHeight - 3, bar.name, anchor: "end")
            var sum: Int64 = 0
            for (part, series) in zip(bar.parts, chart.series) where part > 0 {
                let start = Self.place(sum, of: most)
                sum = Self.sum(sum, part)
                let end = Self.place(sum, of: most)
                text += rectangle(
                    Self.labelWidth + start, top, end - start, barHeight, series.colour)
                // A number that doesn't fit is in the table.
                guard end - start >= 10 + String(part).count * 7 else { continue }
                text +=
                    "<text x=\"\(Self.labelWidth + (start + end) / 2)\" y=\"\(top + barHeight - 3)\" text-anchor=\"middle\" "
                    + "fill=\"\(Self.isDark(series.colour) ? "#fff" : "#16211f")\">\(part)</text>"
            }
        }
        return text + "</svg>"
    }

    private static func place(_ value: Int64, of most: Int64) -> Int {
        Int(Double(value) / Double(most) * Double(barWidth))
    }

    private static func sum(_ a: Int64, _ b: Int64) -> Int64 {
        let (result, overflow) = a.addingReportingOverflow(b)
        return overflow ? .max : result
    }

    private static func isDark(_ colour: Int) -> Bool {
        let (red, green, blue) = (colour >> 16 & 255, colour >> 8 & 255, colour & 255)
        return red * 299 + green * 587 + blue * 114 < 140_000
    }

    private func rectangle(_ x: Int, _ y: Int, _ width: Int, _ height: Int, _ colour: Int) -> String
    {
        let digits = String(colour, radix: 16)
        let code = String(repeating: "0", count: max(0, 6 - digits.count)) + digits
        return
            "<rect x=\"\(x)\" y=\"\(y)\" width=\"\(width)\" height=\"\(height)\" fill=\"#\(code)\"/>"
    }

    private func label(_ x: Int, _ y: Int, _ text: String, anchor: String) -> String {
        "<text x=\"\(x)\" y=\"\(y)\" text-anchor=\"\(anchor)\" fill=\"#16211f\">\(HTML.text(text))</text>"
    }
}
