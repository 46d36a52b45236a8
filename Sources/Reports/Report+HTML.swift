internal import FieldRecords

extension Report {
    /// The sections as a page that needs nothing from outside.
    ///
    /// - Parameter names: of the sections that are to be told, all others are left out.
    public func html(sections names: Set<String>) -> String {
        let told = sections.filter { names.contains($0.name) }
        let heading = title + (limits.isEmpty ? "" : ": " + limits.joined(separator: ", "))
        var body =
            "<h1>\(HTML.text(heading))</h1>\n<p class=\"state\">\(HTML.text(basis.completeText))</p>\n"
        for warning in warnings { body += "<p class=\"open\">\(HTML.text(warning))</p>\n" }
        body += (told + [basis.section]).map(Self.html).joined()
        body += "<h2>About this report</h2>\n<table>\n"
        for line in aboutLines {
            body +=
                "<tr><th>\(HTML.text(line.name))</th><td class=\"\(line.value.contains(" ") ? "" : "long")\">"
                + "\(HTML.text(line.value))</td></tr>\n"
        }
        return HTML.page(title: "Karvan: \(heading)", body + "</table>")
    }

    private static func html(_ section: ReportSection) -> String {
        var text = "<h2>\(HTML.text(section.title))</h2>\n"
        if let note = section.note { text += "<p class=\"quiet\">\(HTML.text(note))</p>\n" }
        guard !section.rows.isEmpty else {
            return text + "<p>\(HTML.text(section.emptyText))</p>\n"
        }
        if let chart = section.chart {
            text += "<figure>\(BarChart(section, chart).svg)</figure>\n"
        }
        text += "<div class=\"scroll\"><table>\n<thead><tr>"
        for column in section.columns {
            text += "<th class=\"\(style(column))\">\(HTML.text(column.title))</th>"
        }
        text += "</tr></thead>\n<tbody>\n"
        for row in section.rows {
            text += "<tr>"
            for (column, cell) in zip(section.columns, row) {
                let classes = style(column) + (cell.isUnresolved ? " open" : "")
                text += "<td class=\"\(classes)\">\(HTML.text(Self.shown(cell)))</td>"
            }
            text += "</tr>\n"
        }
        return text + "</tbody>\n</table></div>\n"
    }

    private static func style(_ column: ReportColumn) -> String {
        switch column.kind {
        case .text: "text"
        case .number: "number"
        case .time: "time"
        }
    }

    /// Without the forum's offset, which the report names once.
    private static func shown(_ cell: ReportCell) -> String {
        guard case .time(let time) = cell else { return cell.text }
        return time.withoutOffset
    }
}

extension Instant {
    /// For a page that names the forum's offset once.
    var withoutOffset: String {
        inWholeSeconds.replacing("T", with: " ").replacing("\(UTCOffset.forum)", with: "")
    }
}
