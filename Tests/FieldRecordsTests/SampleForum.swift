import FieldRecords
import Foundation
import Merge
import RecordSchema
import Testing

@Suite struct `The sample forum` {
    static func read(_ kind: ImportKind) throws -> ImportFile {
        let root = URL(filePath: #filePath).deletingLastPathComponent()
            .deletingLastPathComponent().deletingLastPathComponent()
        let file = root.appending(path: "tools/sample/\(kind.rawValue).csv")
        return try ImportFile.read(
            bytes: Array(try Data(contentsOf: file)), kind: kind, name: file.lastPathComponent)
    }

    @Test(
        arguments: [(.delegations, 8), (.people, 520), (.sites, 24), (.programme, 35)]
            as [(ImportKind, Int)])
    func `every file of it imports`(kind: ImportKind, count: Int) throws {
        let file = try Self.read(kind)
        #expect(file.rows.count { $0.table == kind.table } == count)
        for row in file.rows {
            #expect(Forum.schema.table(named: row.table.name) == row.table)
            #expect(
                row.registers.count { row.table.naturalKey.contains($0.column.name) }
                    == row.table.naturalKey.count)
            for register in row.registers { #expect(register.column.keeps(register.value)) }
            for set in row.elements { #expect(set.values.allSatisfy(set.column.accepts)) }
        }
    }

    @Test func `what it refers to is in it`() throws {
        var known: Set<String> = []
        var references: [ImportReference] = []
        for kind in ImportKind.allCases {
            let file = try Self.read(kind)
            for row in file.rows {
                if case .text(let key) = row.key[0] { known.insert("\(row.table.name) \(key)") }
            }
            references += file.references
        }
        #expect(references.count == 520 + 35)
        for reference in references {
            #expect(known.contains("\(reference.table.name) \(reference.key)"))
        }
    }
}
