import Causality
import FieldRecords
import RecordSchema
import Testing

@Suite struct `The forum's schema` {
    @Test func `references lead to tables, and keys never to sets`() {
        for table in Forum.schema.tables {
            for column in table.columns {
                guard case .register(.reference(let number)) = column.shape else { continue }
                #expect(Forum.schema.table(id: number) != nil, "\(table.name).\(column.name)")
            }
            #expect(table.keyColumns.allSatisfy { $0.sqlColumns.count == 1 && !$0.isSet })
        }
    }

    @Test func `a badge keeps its row id`() {
        #expect(
            Forum.rowID(in: Forum.person, named: "AZ-014")?.description
                == "5bbe309c7dd9c3beb4590c56e2518ff0")
    }
}
