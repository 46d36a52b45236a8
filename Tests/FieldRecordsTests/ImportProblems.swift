import FieldRecords
import Testing

@Suite struct `Files that can't be imported` {
    /// Everything that is wrong with a file, one text for each.
    func problems(_ bytes: [UInt8], _ kind: ImportKind) -> [String] {
        do throws(ImportErrors) {
            _ = try ImportFile.read(bytes: bytes, kind: kind, name: "list.csv")
            return []
        } catch {
            #expect(error.name == "list.csv")
            return error.problems.map(\.description)
        }
    }

    func problems(_ text: String, _ kind: ImportKind) -> [String] {
        problems(Array(text.utf8), kind)
    }

    /// A list of people, of whom the one on line 300 is written as given.
    func list(line300: String) -> String {
        let lines = (2...400).map { line in
            line == 300 ? line300 : "AZ-\(line),\"Name, \(line)\",delegate"
        }
        return "badge,name_native,role\n" + lines.joined(separator: "\n") + "\n"
    }

    @Test func `a quote that is never closed is found where it opens`() {
        let open = problems(
            "badge,name_native,role\n"
                + (2...400).map { $0 == 300 ? "AZ-300,\"Name,x" : "AZ-\($0),Name,x" }
                .joined(separator: "\n"), .people)
        #expect(
            open == [
                "line 300: the quote that opens in field 2 is never closed: close it, or write a"
                    + " quote inside of a field twice"
            ])
    }

    @Test func `a quote that closes in a later field is found where it opens`() {
        #expect(
            problems(list(line300: "AZ-300,\"Name,delegate"), .people) == [
                "line 300: field 2, which runs to line 301, has a quote in the wrong place: put the"
                    + " whole field in quotes and write each quote inside of it twice"
            ])
        #expect(
            problems(list(line300: "AZ-300,Na\"me,delegate"), .people) == [
                "line 300: field 2 has a quote in the wrong place: put the whole field in quotes"
                    + " and write each quote inside of it twice"
            ])
    }

    @Test func `a record with too few fields names itself and how far it runs`() {
        #expect(
            problems("badge,role\nAZ-1\nAZ-2,\"a\nb\",c\nAZ-3,x\n", .people) == [
                "line 2: the record has 1 fields and not 2: quote fields that contain the"
                    + " separator",
                "line 3: the record has 3 fields and not 2: the record runs to line 4, so look for"
                    + " a quote too few or too many",
            ])
    }

    @Test func `bytes that aren't UTF-8 are named by line`() {
        var bytes = Array("\u{FEFF}code,contact\nAZ,ok\n".utf8)
        bytes += Array("HU,".utf8) + [0xE9, 0x0A] + Array("KZ,\"ok\n".utf8) + [0xC3, 0x28]
        bytes += Array("\"\nTR,\u{0}\n".utf8)
        #expect(
            problems(bytes, .delegations) == [
                "line 3: the line is not UTF-8: save the file as “CSV UTF-8” and try again",
                "line 5: the line is not UTF-8: save the file as “CSV UTF-8” and try again",
                "line 6: the line has a NUL byte outside of quotes, so the file is damaged or no text:"
                    + " export it again",
            ])
        #expect(
            problems([0xFF, 0xFE, 0x63, 0x00], .delegations) == [
                "line 1: the file is UTF-16: save it as “CSV UTF-8” and try again"
            ])
    }

    @Test func `a file without records is refused`() {
        for text in ["", "\n\r\n", "\u{FEFF}"] {
            #expect(
                problems(text, .sites) == [
                    "line 1: the file is empty: its first line must name the columns"
                ])
        }
        #expect(
            problems("code\n", .sites) == ["line 1: no records follow the names of the columns"])
    }

    @Test func `a badge that stands twice names both lines`() {
        #expect(
            problems("badge,role\naz 14,x\nAZ-15,x\nАZ-014,y\nAZ14,z\n", .people) == [
                "line 4, badge: AZ-014 stands already on line 2: keep one",
                "line 5, badge: AZ-014 stands already on line 2: keep one",
            ])
    }

    @Test func `the names of the columns are checked`() {
        #expect(
            problems("name_en,nmae_az,NAME_EN\nx,y,z\n", .sites) == [
                "line 1: there is no column “nmae_az” in sites: rename it to one of code, lat, lon,"
                    + " accuracy_m, name_az, name_tr, name_kk, name_uz, name_ky, name_tk, name_hu,"
                    + " name_en, name_ru, or remove it",
                "line 1, name_en: fields 1 and 3 have the same name: remove one",
                "line 1, code: the column is missing: without it nothing says which row is meant",
            ])
    }

    @Test func `of very many problems the first thousand are told, and how many there are`() throws
    {
        let commas = String(repeating: ",", count: 50_000)
        let error = #expect(throws: ImportErrors.self) {
            _ = try read("badge\(commas)\nAZ-1\n", .people)
        }
        // One for each column without a name, and one for the record.
        #expect(error?.problems.count == 1_000)
        #expect(error?.omittedCount == 49_001)
        #expect(error?.problems.first?.message.hasPrefix("there is no column “”") == true)
    }

    @Test func `all that is wrong is told at once, in order`() {
        let found = problems(
            """
            badge,languages,delegation,phone
            ,az,AZ,
            nobody,az;russian,AZ,
            AZ-3,az,A Z,+994
            AZ-4,az,,+994
            AZ-5
            AZ-6,, ,1

            """, .people)
        #expect(
            found == [
                "line 2, badge: the field is empty: without it nothing says which row is meant",
                "line 3, badge: “nobody” is not a badge: write letters and a number, like AZ-014",
                "line 3, languages: “russian” is not a language: write codes such as az;tr;ru, with"
                    + " semicolons between them",
                "line 4, delegation: “A Z” is not a code: use Latin letters, digits and hyphens,"
                    + " like NAX-UNI",
                "line 5, phone: fill in the delegation too: it says who may read how to reach a"
                    + " person",
                "line 6: the record has 1 fields and not 4: quote fields that contain the"
                    + " separator",
                "line 7, phone: fill in the delegation too: it says who may read how to reach a"
                    + " person",
            ])
    }

    @Test(
        arguments: [
            ("91,0,", "lat: 91 is out of range: write -90 to 90"),
            ("0,-180.5,", "lon: -180.5 is out of range: write -180 to 180"),
            ("0,0,-1", "accuracy_m: -1 is out of range: write 0 to 1000000"),
            ("\"39,2\",0,", "lat: “39,2” is not a number: write a point and no comma, like 39.2"),
            ("nan,0,", "lat: “nan” is not a number: write it like 39.2"),
            ("0x10,0,", "lat: “0x10” is not a number: write it like 39.2"),
            ("1.,0,", "lat: “1.” is not a number: write it like 39.2"),
            ("--1,0,", "lat: “--1” is not a number: write it like 39.2"),
            ("1e1,0,", "lat: “1e1” is not a number: write it like 39.2"),
            (",1,", "lat: there is a lon and no lat: fill in both or neither"),
            ("1,,", "lon: there is a lat and no lon: fill in both or neither"),
            (",,5", "accuracy_m: an accuracy needs a place: fill in lat and lon, or clear it"),
        ])
    func `a place must lie on the earth`(fields: String, problem: String) {
        #expect(
            problems("code,lat,lon,accuracy_m\nX,\(fields)\n", .sites) == ["line 2, \(problem)"])
    }

    @Test func `times and words of the programme are checked`() {
        let found = problems(
            """
            code,kind,site,planned_start,planned_end,status
            V1,party,NAX UNI,2025-11-26T09:00,26.11.2025,maybe
            V2,visit,NAX-UNI,2025-11-26T10:00Z,2025-11-26T09:00Z,done

            """, .programme)
        #expect(
            found == [
                "line 2, kind: “party” is unknown: write panel, ceremony, visit, cultural",
                "line 2, site: “NAX UNI” is not a code: use Latin letters, digits and hyphens, like"
                    + " NAX-UNI",
                "line 2, planned_start: “2025-11-26T09:00” does not say how far from UTC: add"
                    + " +04:00, or Z for UTC",
                "line 2, planned_end: “26.11.2025” is not a time: write it like"
                    + " 2025-11-26T10:10:00+04:00",
                "line 2, status: “maybe” is unknown: write planned, cancelled, done",
                "line 3, planned_end: the item ends before it starts: correct one of the two times",
            ])
    }

    @Test func `a damaged file is refused or read, and never more than that`() {
        let whole = Array("badge,name_native,phone\r\nAZ-1,\"a\"\"b\nç\",1\nKZ-2,x,\n".utf8)
        let bytes = Array("\",;\t\r\n\u{0}A1ç".utf8)
        // A linear congruence: the same damage in every run.
        var state: UInt64 = 7
        func next(_ bound: Int) -> Int {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return Int(state >> 33) % bound
        }
        for _ in 0..<5_000 {
            var damaged = whole
            for _ in 0...next(4) {
                let index = next(damaged.count)
                switch next(3) {
                case 0: damaged[index] = bytes[next(bytes.count)]
                case 1: damaged.insert(bytes[next(bytes.count)], at: index)
                default: damaged.remove(at: index)
                }
            }
            let lines = damaged.count { $0 == 0x0A || $0 == 0x0D } + 1
            for kind in ImportKind.allCases {
                guard
                    case .failure(let error) = Result(catching: { () throws(ImportErrors) in
                        try ImportFile.read(bytes: damaged, kind: kind, name: "x")
                    })
                else { continue }
                if error.problems.isEmpty
                    || !error.problems.allSatisfy({ (1...lines).contains($0.line) })
                {
                    Issue.record("\(damaged): \(error)")
                }
            }
        }
    }

    @Test func `a value has a limit`() {
        let fits = String(repeating: "x", count: 65_536)
        #expect(problems("code,contact\nA,\(fits)\n", .delegations) == [])
        #expect(
            problems("code,contact\nA,\(fits)x\n", .delegations) == [
                "line 2, contact: the field has 65537 bytes and may have 65536: shorten it, or look"
                    + " for a missing quote"
            ])
        #expect(
            problems("code\n\(fits)x\n", .delegations) == [
                "line 2, code: the field has 65537 bytes and may have 65536: shorten it, or look"
                    + " for a missing quote"
            ])
    }
}
