import Foundation
import Testing

/// What reports tell, in every format, held against what was recorded by other programs: Python's csv, html.parser and
/// openpyxl, poppler and zbar.
@Suite struct StoriesOfReports {
    /// Prints the tables of a file as JSON: a list of lists of rows, each row a list of texts. Numbers as integers
    /// have them, times as ISO 8601 without a zone, nothing as an empty text.
    private static let reader = #"""
        import csv, html.parser, json, sys
        path = sys.argv[1]
        if path.endswith(".csv"):
            tables = [list(csv.reader(open(path, encoding="utf-8-sig", newline="")))]
        elif path.endswith(".xlsx"):
            import openpyxl
            def text(cell):
                if cell.value is None: return ""
                assert cell.data_type in "sn" or cell.is_date, (cell.coordinate, cell.data_type)
                if cell.is_date: return cell.value.replace(microsecond=0).isoformat(sep=" ")
                return str(int(cell.value)) if cell.data_type == "n" else cell.value
            tables = []
            for sheet in openpyxl.load_workbook(path).worksheets:
                rows = [[text(c) for c in row] for row in sheet.iter_rows()]
                # Above the titles stand lines, and then an empty one.
                while any(all(c == "" for c in r) for r in rows):
                    rows = rows[next(i for i, r in enumerate(rows) if all(c == "" for c in r)) + 1:]
                tables.append([sheet.title, len(sheet._charts)] + rows)
        else:
            class Reader(html.parser.HTMLParser):
                tables, cell = [], None
                def handle_starttag(self, tag, attributes):
                    if tag in ("script", "img", "link", "iframe", "object"): raise SystemExit("holds " + tag)
                    if any(name.startswith("on") for name, _ in attributes): raise SystemExit("has a handler")
                    if tag == "table": self.tables.append([])
                    if tag == "tr": self.tables[-1].append([])
                    if tag in ("td", "th"): self.cell = ""
                def handle_endtag(self, tag):
                    if tag in ("td", "th"):
                        self.tables[-1][-1].append(self.cell)
                        self.cell = None
                def handle_data(self, data):
                    if self.cell is not None: self.cell += data
            reader = Reader()
            reader.feed(open(path, encoding="utf-8").read())
            tables = reader.tables
        json.dump(tables, sys.stdout)
        """#

    private func tables(_ forum: Forum, _ file: String) throws -> [[Any]] {
        let finished = try Programs.run(
            "/usr/bin/python3", ["-c", Self.reader, file], in: forum.directory)
        try #require(finished.status == 0, "\(finished.errors)")
        return try #require(
            try JSONSerialization.jsonObject(with: Data(finished.output.utf8)) as? [[Any]])
    }

    private func report(_ forum: Forum, _ laptop: String, _ arguments: String...) throws -> [String:
        Any]
    {
        let finished = try Programs.run(
            "karvan", ["report"] + arguments + ["--json"], in: forum.directory,
            environment: ["KARVAN_REPLICA": "\(laptop).sqlite"])
        try #require(finished.status == 0, "\(finished.errors)")
        return finished.json
    }

    private func rows(_ report: [String: Any], _ section: String) throws -> [[String: Any]] {
        let sections = try #require(report["sections"] as? [String: Any])
        return try #require(sections[section] as? [[String: Any]], "\(section)")
    }

    /// As the files have it: a number, or the ends of what nobody has decided.
    private func shown(_ value: Any?) -> String {
        guard let range = value as? [String: Any], let least = range["least"],
            let most = range["most"]
        else { return value.map { "\($0)" } ?? "" }
        return "\(least)–\(most) (unresolved)"
    }

    private func most(_ value: Any?) -> Int? {
        (value as? [String: Any])?["most"] as? Int ?? value as? Int
    }

    private func least(_ value: Any?) -> Int? {
        (value as? [String: Any])?["least"] as? Int ?? value as? Int
    }

    /// A day with check-ins, an excuse that clashes, a void, two arrivals and two counters.
    private func day() throws -> Forum {
        let forum = try Forum(prepared: ["L1", "L2"])
        try forum.connect("L1", "L2")
        try forum.must("L1", ["attend", "P07", "AZ-001", "AZ-002", "TR-001", "--at", "09:02"])
        try forum.must("L2", "attend", "P07", "AZ-001", "--at", "09:05")
        try forum.must("L2", ["attend", "P07", "KZ-001", "KZ-002", "--absent", "--roll-call"])
        try forum.must("L1", "attend", "P07", "KZ-002", "--at", "09:20")
        try forum.must("L1", "attend", "P07", "HU-001", "--excused", "hospital")
        try forum.must("L2", "attend", "P07", "HU-001", "--at", "09:30")
        try forum.must("L1", "attend", "P07", "UZ-001")
        try forum.must("L1", "attend", "P07", "UZ-001", "--undo")
        try forum.must("L1", "attend", "V12", "KZ-003", "--at", "11:30")
        try forum.must("L1", "attend", "V12", "KZ-003", "--out", "--at", "12:10")
        try forum.must("L1", "tally", "P07", "A", "+41")
        try forum.must("L2", "tally", "P07", "A", "+43")
        for (laptop, who, arrival, heads) in [
            ("L1", "Leyla", "10:10", "14"), ("L2", "Murad", "10:25", "16"),
        ] {
            try forum.must(
                laptop, "visit", "V12", "KZ", "--arrived", arrival, "--headcount", heads, "--as",
                who)
        }
        try forum.must("L1", "visit", "V12", "TR", "--arrived", "11:00", "--headcount", "9")
        for laptop in ["L1", "L2", "L1"] { try forum.must(laptop, "sync") }
        return forum
    }

    @Test func `attendance has the same totals in every format, and marks what is unresolved`()
        throws
    {
        let forum = try day()
        let report = try report(forum, "L1", "attendance")
        let item = try #require(try rows(report, "item").first { $0["item"] as? String == "P07" })
        let counts = [
            "expected", "attended", "in", "out", "excused", "absent", "unknown", "unresolved",
        ]
        // AZ-001, AZ-002, TR-001, KZ-002, HU-001 came; KZ-001 is absent; UZ-001 was a mistake.
        // HU-001 was seen by one and excused by another.
        let few = "4–5 (unresolved)"
        #expect(
            counts.map { shown(item[$0]) } == [
                "520", few, few, "0", "0–1 (unresolved)", "1", "514", "1",
            ])
        let tally = try #require(item["tally"] as? [String: Any])
        #expect(tally["least"] as? Int == 41 && tally["most"] as? Int == 43)
        let visit = try #require(try rows(report, "item").first { $0["item"] as? String == "V12" })
        #expect(counts.map { visit[$0] as? Int } == [520, 1, 0, 1, 0, 0, 519, 0])
        let days = try rows(report, "day")
        #expect(days.map { $0["day"] as? String } == ["2025-11-24", "2025-11-25", "2025-11-26"])
        #expect(days.map { shown($0["attendances"]) } == ["0", few, "1"])
        let delegations = try rows(report, "delegation")
        let codes = delegations.map { $0["delegation"] as? String ?? "" }
        #expect(codes == codes.sorted() && codes.count == 8)
        #expect(delegations.reduce(0) { $0 + (most($1["seen"]) ?? 0) } == 6)
        #expect(delegations.reduce(0) { $0 + ($1["people"] as? Int ?? 0) } == 520)
        // The numbers are those of the view, item by item.
        let view =
            try forum.json("L1", "list", "attendance_summary")["rows"] as? [[String: Any]] ?? []
        #expect(view.count == 35)
        for row in view {
            let told = try #require(
                try rows(report, "item").first { $0["item"] as? String == row["item"] as? String })
            for name in ["expected", "in", "out", "absent", "unknown"] {
                #expect(most(told[name]).map { "\($0)" } == row[name] as? String, "\(row) \(name)")
            }
            #expect(least(told["excused"]).map { "\($0)" } == row["excused"] as? String, "\(row)")
        }
        let person = try rows(report, "person").first { $0["badge"] as? String == "HU-001" }
        #expect((person?["state"] as? [String: Any])?["values"] as? String == "in or excused")
        let first = try rows(report, "person").first { $0["badge"] as? String == "AZ-001" }
        #expect(first?["first_in"] as? String == "2025-11-25T09:02:00+04:00")
        #expect(try rows(report, "unresolved").count == 2)
        try expectSameEverywhere(forum, report)
    }

    /// The tables of files hold what `--json` tells.
    private func expectSameEverywhere(_ forum: Forum, _ report: [String: Any]) throws {
        let told = try rows(report, "delegation").map { row in
            [
                "delegation", "name", "people", "seen", "not_seen", "attendances", "excuses",
                "absences",
                "unresolved",
            ].map { shown(row[$0]) }
        }
        try forum.must("L1", ["report", "attendance", "--by", "delegation", "-o", "a.csv"])
        let csv = try tables(forum, "a.csv")[0].compactMap { $0 as? [String] }
        #expect(Array(csv.dropFirst()) == told)
        try forum.must("L1", ["report", "attendance", "-o", "a.html"])
        let html = try tables(forum, "a.html")
        #expect(html.contains { $0.dropFirst().compactMap { $0 as? [String] } == told })
        try forum.must("L1", ["report", "attendance", "-o", "a.xlsx"])
        let sheets = try tables(forum, "a.xlsx")
        let sheet = try #require(sheets.first { $0[0] as? String == "By delegation" })
        #expect(sheet.dropFirst(3).compactMap { $0 as? [String] } == told)
        #expect(sheet[1] as? Int == 1, "a chart")
        let people = try #require(sheets.first { $0[0] as? String == "Person by person" })
        let person = people.dropFirst(2).compactMap { $0 as? [String] }.first {
            $0.contains("AZ-001")
        }
        #expect(person?.contains("2025-11-25 09:02:00") == true, "\(person ?? [])")
        try forum.must("L1", ["report", "attendance", "-o", "a.pdf"])
        let text = try Programs.run(
            "/usr/bin/pdftotext", ["-layout", "a.pdf", "-"], in: forum.directory)
        #expect(text.status == 0)
        for words in [
            "Attendance", "41–43 (unresolved)", "2 conflicts are unresolved",
            "karvan conflicts show",
            report["state_hash"] as? String ?? "?", "Kazakhstan",
        ] {
            // Words may stand in two lines of a cell.
            let isThere = words.split(separator: " ").allSatisfy { text.output.contains($0) }
            #expect(isThere, "\(words)")
        }
        let pictured = try Programs.run(
            "/usr/bin/pdftoppm", ["-r", "40", "-png", "a.pdf", "page"], in: forum.directory)
        #expect(pictured.status == 0)
        let page = try Data(contentsOf: forum.path("page-1.png"))
        #expect(page.count > 5_000, "the first page has \(page.count) bytes")
    }

    @Test func `visits tell each value and who gave it where nobody has decided`() throws {
        let forum = try day()
        let before = try report(forum, "L1", "visits")
        let visits = try rows(before, "visit")
        #expect(visits.map { $0["delegation"] as? String } == ["KZ", "TR"])
        let arrival = try #require(visits[0]["arrival"] as? [String: Any])
        #expect(
            arrival["values"] as? String
                == "2025-11-26T10:10:00+04:00 (Leyla on L1) or 2025-11-26T10:25:00+04:00 (Murad on L2)"
        )
        #expect(visits[1]["arrival"] as? String == "2025-11-26T11:00:00+04:00")
        #expect(visits[0]["attended"] as? Int == 1)
        let day = try #require(try rows(before, "day").first)
        let heads = try #require(day["headcount"] as? [String: Any])
        #expect(heads["least"] as? Int == 23 && heads["most"] as? Int == 25, "never one of them")
        let text = try forum.must("L1", "report", "visits")
        #expect(text.contains("unresolved: 14 (Leyla on L1) or 16 (Murad on L2)"))
        for conflict in try forum.conflicts("L1") where conflict.subject.hasPrefix("visit") {
            try forum.must(
                "L1", "conflicts", "resolve", conflict.id, "--take", "A", "--reason", "the bus log")
        }
        let after = try report(forum, "L1", "visits")
        #expect(try rows(after, "unresolved").isEmpty)
        #expect(try rows(after, "day").first?["headcount"] as? Int == 23)
        #expect(
            try rows(after, "visit").first?["arrival"] as? String == "2025-11-26T10:10:00+04:00")
    }

    @Test func `a report comes out the same a year later, and on another laptop`() throws {
        let forum = try day()
        let formats = ["html", "csv", "xlsx", "pdf"]
        for format in formats {
            try forum.must("L1", ["report", "attendance", "-o", "a.\(format)"])
        }
        let first = try report(forum, "L1", "attendance")
        let vector = try #require(first["vector"] as? String)
        // What was in it changes, is decided, and goes.
        try forum.must(
            "L1", "set", "item", "P07", "title_en=Renamed", "planned_start=2025-11-25T20:00+04:00")
        try forum.must("L1", ["attend", "P07", "UZ-002", "UZ-003"])
        try forum.must("L1", "delete", "person", "AZ-002")
        for conflict in try forum.conflicts("L1") where conflict.conflictClass == 2 {
            try forum.must(
                "L1", "conflicts", "resolve", conflict.id, "--take", "A", "--reason", "so")
        }
        for laptop in ["L1", "L2"] { try forum.must(laptop, "sync") }
        let now = try report(forum, "L1", "attendance")
        #expect(now["state_hash"] as? String != first["state_hash"] as? String)
        for laptop in ["L1", "L2"] {
            let again = try report(forum, laptop, "attendance", "--vector", vector)
            #expect(again["state_hash"] as? String == first["state_hash"] as? String)
            #expect(
                NSDictionary(dictionary: again["sections"] as? [String: Any] ?? [:])
                    == NSDictionary(dictionary: first["sections"] as? [String: Any] ?? [:]),
                "\(laptop)")
            for format in formats {
                let file = "\(laptop).again.\(format)"
                let finished = try Programs.run(
                    "/usr/bin/faketime",
                    [
                        "-f", "+1y", Programs.path("karvan"), "report", "attendance", "-o", file,
                        "--vector", vector,
                    ],
                    in: forum.directory, environment: ["KARVAN_REPLICA": "\(laptop).sqlite"])
                #expect(finished.status == 0, "\(finished.errors)")
                #expect(
                    try Data(contentsOf: forum.path(file))
                        == Data(contentsOf: forum.path("a.\(format)")),
                    "\(file)")
            }
        }
        let unknown = try Programs.run(
            "karvan", ["report", "attendance", "--vector", String(vector.dropLast(9))],
            in: forum.directory, environment: ["KARVAN_REPLICA": "L1.sqlite"])
        #expect(
            unknown.status == 65 && unknown.errors.contains("no version vector"),
            "\(unknown.errors)")
        let fresh = try Forum(prepared: ["L1"])
        let lacking = try Programs.run(
            "karvan", ["report", "attendance", "--vector", vector], in: fresh.directory,
            environment: ["KARVAN_REPLICA": "L1.sqlite"])
        #expect(
            lacking.status == 65 && lacking.errors.contains("sync, and try again"),
            "\(lacking.errors)")
    }

    @Test func `a name is never a formula or a tag, and no file is written over`() throws {
        let forum = try Forum(prepared: ["L1"])
        let names = [
            "=HYPERLINK(\"http://x\")", "<script>alert(1)</script>", "a,\"b\"\r\nc", "+1", "-1",
            "@x",
        ]
        for (index, name) in names.enumerated() {
            try forum.must("L1", "set", "person", "AZ-00\(index + 1)", "name_native=\(name)")
            try forum.must("L1", "attend", "P07", "AZ-00\(index + 1)")
        }
        for format in ["csv", "html", "xlsx"] {
            try forum.must("L1", ["report", "attendance", "--by", "person", "-o", "n.\(format)"])
        }
        let csv = try tables(forum, "n.csv")[0].compactMap { ($0 as? [String])?[2] }
        #expect(
            Array(csv.dropFirst()) == [
                "'=HYPERLINK(\"http://x\")", names[1], names[2], "'+1", "'-1", "'@x",
            ])
        let html = try tables(forum, "n.html")
        #expect(html.contains { $0.contains { ($0 as? [String])?.contains(names[1]) == true } })
        let sheets = try tables(forum, "n.xlsx")
        let people = try #require(sheets.first { $0[0] as? String == "Person by person" })
        #expect(people.contains { ($0 as? [String])?.contains(names[0]) == true })
        let kept = try Data(contentsOf: forum.path("n.csv"))
        let before = try forum.verified("L1")
        for (arguments, status, words) in [
            (["-o", "n.csv"], 65, "n.csv exists already"),
            (["-o", "L1.sqlite", "--format", "csv"], 65, "exists"),
            (["-o", "n.doc"], 64, "--format"),
            (["-o", "L1.sqlite", "--format", "csv", "--replace"], 65, "belongs to the replica"),
            (["-o", "-"], 64, "no file"),
            (["-o", "n.xlsx", "--format", "csv"], 64, "ends as xlsx"),
            (["--format", "xlsx"], 64, "--output"),
            (["-o", "nowhere/n.csv"], 74, "nowhere/n.csv"),
            (["--by", "bus"], 64, "item-delegation"),
            (["--item", "X99"], 65, "no item X99"), (["--day", "2025-12-01"], 65, "2025-11-24"),
            (["--language", "xx"], 65, "languages are"), (["-o", "n.pdf"], 78, "weasyprint"),
            (["--by", "item", "--by", "day", "--format", "csv"], 64, "one table"),
        ] {
            let finished = try Programs.run(
                "karvan", ["report", "attendance"] + arguments, in: forum.directory,
                environment: ["KARVAN_REPLICA": "L1.sqlite", "PATH": "/nowhere"])
            #expect(
                finished.status == status && finished.errors.contains(words),
                "\(arguments): \(finished)")
        }
        #expect(try Data(contentsOf: forum.path("n.csv")) == kept)
        #expect(try forum.verified("L1") == before)
        let files = try FileManager.default.contentsOfDirectory(atPath: forum.directory.path)
        #expect(!files.contains { $0.hasPrefix(".karvan-") || $0 == "n.pdf" })
        try forum.must("L1", ["report", "attendance", "-o", "n.csv", "--replace", "--by", "day"])
        #expect(try Data(contentsOf: forum.path("n.csv")) != kept)
    }

    @Test func `roll calls and badges are printed, and a scanner reads the badges`() throws {
        let forum = try Forum(prepared: ["L1"])
        try forum.must("L1", "attend", "V12", "KZ-002", "--at", "11:20")
        try forum.must("L1", ["report", "roll-call", "V12", "--delegation", "KZ", "-o", "r.pdf"])
        let text = try Programs.run(
            "/usr/bin/pdftotext", ["-layout", "r.pdf", "-"], in: forum.directory)
        for words in ["KZ Kazakhstan", "V12", "KZ-070", "in 11:20:00", "karvan attend V12"] {
            #expect(text.output.contains(words), "\(words)")
        }
        try forum.must("L1", ["report", "badges", "HU-003", "AZ-014", "TR-031", "-o", "b.pdf"])
        #expect(
            try Programs.run(
                "/usr/bin/pdftoppm", ["-r", "110", "-png", "b.pdf", "b"], in: forum.directory
            ).status == 0)
        let read = try Programs.run(
            "/usr/bin/timeout",
            ["60", "zbarimg", "--quiet", "--raw", "-Sdisable", "-Sqrcode.enable", "b-1.png"],
            in: forum.directory)
        let codes = read.output.split(separator: "\n").map(String.init)
        #expect(codes.sorted() == ["AZ-014", "HU-003", "TR-031"])
        let none = try Programs.run(
            "karvan", ["report", "badges", "ZZ-999"], in: forum.directory,
            environment: ["KARVAN_REPLICA": "L1.sqlite"])
        #expect(none.status == 65 && none.errors.contains("ZZ-999"))
        // All of a delegation, ten on a page, each whole where it is cut out.
        try forum.must("L1", ["report", "badges", "--delegation", "HU", "-o", "hu.pdf"])
        let facts = try Programs.run("/usr/bin/pdfinfo", ["hu.pdf"], in: forum.directory)
        #expect(facts.output.contains("Pages:           3\n"), "\(facts.output)")
        for number in 0..<10 {
            // 110 dots to an inch: margins of 12 and 14 mm, badges of 90 by 52 mm.
            let (left, top) = (52 + number % 2 * 390, 61 + number / 2 * 225)
            let cut = ["-x", left, "-y", top, "-W", 390, "-H", 225].map { "\($0)" }
            _ = try Programs.run(
                "/usr/bin/pdftoppm",
                ["-r", "110", "-png", "-singlefile"] + cut + ["hu.pdf", "one"], in: forum.directory)
            let read = try Programs.run(
                "/usr/bin/timeout",
                ["60", "zbarimg", "--quiet", "--raw", "-Sdisable", "-Sqrcode.enable", "one.png"],
                in: forum.directory)
            #expect(read.output == "HU-0\(number < 9 ? "0" : "")\(number + 1)\n")
        }
    }
}
