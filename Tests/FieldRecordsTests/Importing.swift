import Causality
import FieldRecords
import Merge
import RecordSchema
import Testing

/// One row as text: line, table, scope and what is written.
func outline(_ row: ImportRow) -> String {
    let registers = row.registers.map { "\($0.column.name)=\(outline($0.value))" }
    let elements = row.elements.map {
        "\($0.column.name)+{\($0.values.map(outline).joined(separator: ","))}"
    }
    return (["\(row.line)", row.table.name, row.scope] + registers + elements)
        .joined(separator: " ")
}

func outline(_ value: Value) -> String {
    switch value {
    case .null: return "null"
    case .integer(let number): return "\(number)"
    case .real(let number): return "\(number)"
    case .text(let text): return "'\(text)'"
    case .blob(let bytes): return "#" + Hexadecimal.text(of: bytes).prefix(4)
    case .composite(let parts): return "(" + parts.map(outline).joined(separator: " ") + ")"
    case .sealed: return "sealed"
    case .erased: return "erased"
    }
}

func read(_ text: String, _ kind: ImportKind) throws(ImportErrors) -> ImportFile {
    try ImportFile.read(bytes: Array(text.utf8), kind: kind, name: "list.csv")
}

@Suite struct `Importing CSV` {
    func id(_ table: Table, _ name: String) -> RowID? { Forum.rowID(in: table, named: name) }

    @Test func `a delegation's names go to their columns`() throws {
        let file = try read(
            "code,name_en,name_az,contact\nnc,Northern Cyprus,Şimali Kipr,Desk\n", .delegations)
        #expect(
            file.rows.map(outline) == [
                "2 delegation forum code='NC' contact='Desk' name_az='Şimali Kipr'"
                    + " name_en='Northern Cyprus'"
            ])
        #expect(file.rows[0].key == [.text("NC")])
        #expect(file.references == [])
    }

    @Test func `a person's telephone is a row of its own, in the delegation's scope`() throws {
        let file = try read(
            """
            Badge,name_native,name_latin,role,languages,delegation,phone,email
            az 14,Xəyal,Khayal,delegate,az; RU;az;,az,+994 00,a@example.org
            KZ-001,Гүлшат,,speaker,,KZ,,

            """, .people)
        #expect(file.rows.map(\.table.name) == ["person", "contact", "person"])
        #expect(file.rows.map(\.scope) == ["forum", "delegation/AZ", "forum"])
        #expect(file.rows[0].elements.map(\.values) == [[.text("az"), .text("ru")]])
        #expect(
            file.rows[2].registers.map(\.column.name) == [
                "badge", "name_native", "role", "delegation",
            ])
        let person = try #require(id(Forum.person, "AZ-014"))
        let delegation = try #require(id(Forum.delegation, "AZ"))
        #expect(
            file.rows[1].key == [
                .blob(person.identifier.bytes), .blob(delegation.identifier.bytes),
            ]
        )
        #expect(
            file.rows[1].registers.map(\.column.name) == ["person", "delegation", "phone", "email"])
        #expect(
            file.references.map { "\($0.line) \($0.column) \($0.table.name) \($0.key)" } == [
                "2 delegation delegation AZ", "3 delegation delegation KZ",
            ])
        for row in file.rows {
            for register in row.registers { #expect(register.column.accepts(register.value)) }
        }
    }

    @Test func `a site's position is one value`() throws {
        let file = try read(
            "code;lat;lon;accuracy_m\nA;40.3640;-0;400\nB; 39 ;+45.5;\nC;;;\n", .sites)
        #expect(
            file.rows.map(outline) == [
                "2 site forum code='A' position=(40.364 -0.0 400.0)",
                "3 site forum code='B' position=(39.0 45.5 null)",
                "4 site forum code='C'",
            ])
        for row in file.rows {
            for register in row.registers { #expect(register.column.accepts(register.value)) }
        }
    }

    @Test func `an item has times, a site and words of known lists`() throws {
        let file = try read(
            "code\tkind\ttitle_en\tsite\tplanned_start\tplanned_end\tstatus\n"
                + "v12\tVisit\t“Qarabağlar”\tNAX-X\t2025-11-26T11:15:00+04:00\t"
                + "2025-11-26T12:30:00+04:00\tplanned\n", .programme)
        let site = try #require(id(Forum.site, "NAX-X")).identifier.bytes
        #expect(
            file.rows.map(outline) == [
                "2 item forum code='V12' kind='visit' site=\(outline(.blob(site)))"
                    + " planned_start=1764141300000 planned_end=1764145800000 status='planned'"
                    + " title_en='“Qarabağlar”'"
            ])
        #expect(file.references.map(\.table.name) == ["site"])
    }

    @Test func `a mark and any line ends read alike`() throws {
        let lines = ["code,name_en", "KZ,Kazakhstan", "", "HU,\"Hungary, all\""]
        let expected = try read(lines.joined(separator: "\n"), .delegations)
        #expect(expected.rows.map(\.line) == [2, 4])
        for end in ["\n", "\r\n", "\r"] {
            let text = lines.joined(separator: end)
            #expect(try read(text, .delegations) == expected)
            #expect(try read("\u{FEFF}" + text + end, .delegations) == expected)
        }
    }

    @Test(arguments: [",", ";", "\t"])
    func `the first line shows the separator`(separator: String) throws {
        let file = try read(
            "\"code\"\(separator)contact\nKZ\(separator)\"a,b;c\td\"\n", .delegations)
        #expect(file.rows.map(outline) == ["2 delegation forum code='KZ' contact='a,b;c\td'"])
    }

    @Test func `fields are taken byte by byte`() throws {
        // Spaces, doubled quotes, line ends, and two spellings of é
        let exact = "  a \"b\"\r\nc\rd\n e\u{301} \u{E9}\t "
        let quoted = exact.split(separator: "\"", omittingEmptySubsequences: false)
            .joined(separator: "\"\"")
        let file = try read("code,contact,name_en\nKZ,\"\(quoted)\",  x \t\n", .delegations)
        #expect(
            file.rows[0].registers.map(\.value) == [.text("KZ"), .text(exact), .text("  x \t")])
    }

    @Test(arguments: ["\n", "\r\n", "\r"])
    func `a record that spans lines counts from its first`(end: String) throws {
        let text = [
            "code,name_en,contact", "A,\"one", "two", "\",x", "", "B,,\"", "\"", "C,,", "",
        ].joined(separator: end)
        let file = try read(text, .delegations)
        #expect(file.rows.map(\.line) == [2, 6, 8])
        #expect(file.rows[1].registers.map(\.value) == [.text("B"), .text(end)])
    }

    @Test func `records without any text are passed over`() throws {
        let file = try read("code,contact\nKZ,x\n,\n\"\",\n\n", .delegations)
        #expect(file.rows.count == 1)
    }

    @Test func `a missing column and an empty field write nothing`() throws {
        let file = try read("badge,role\nAZ-1,\nAZ-2,press\n", .people)
        #expect(
            file.rows.map(outline) == [
                "2 person forum badge='AZ-001'", "3 person forum badge='AZ-002' role='press'",
            ])
    }
}
