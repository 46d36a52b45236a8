import Causality
import FieldRecords
import RecordSchema
import Testing

@Suite struct `The forum's schema` {
    /// What replicas in the field hold: a number that changes its meaning here loses their data.
    static let numbers = """
        1 delegation: 1 code, 2 contact, 11 name_az, 12 name_tr, 13 name_kk, 14 name_uz, \
        15 name_ky, 16 name_tk, 17 name_hu, 18 name_en, 19 name_ru
        2 person: 1 badge, 2 name_native, 3 name_latin, 4 role, 5 languages, 6 delegation, \
        7 merged_into
        3 contact: 1 person, 2 delegation, 3 phone, 4 email, 5 notes
        4 site: 1 code, 2 position, 11 name_az, 12 name_tr, 13 name_kk, 14 name_uz, 15 name_ky, \
        16 name_tk, 17 name_hu, 18 name_en, 19 name_ru
        5 item: 1 code, 2 kind, 3 site, 4 planned_start, 5 planned_end, 6 status, 11 title_az, \
        12 title_tr, 13 title_kk, 14 title_uz, 15 title_ky, 16 title_tk, 17 title_hu, \
        18 title_en, 19 title_ru
        6 visit: 1 item, 2 delegation, 3 status, 4 actual_arrival, 5 actual_departure, 6 outcome, \
        7 headcount
        7 observation: 1 item, 2 person, 3 kind, 4 method, 5 claimed_at, 6 door, 7 reason, \
        8 voids, 9 seen
        8 tally: 1 item, 2 zone, 3 session, 5 method
        9 note: 1 subject_table, 2 subject, 3 author, 4 text
        10 photo: 1 subject_table, 2 subject, 3 digest, 4 author, 5 caption, 6 state
        11 resolution: 1 subject_table, 2 subject, 3 subject_column, 4 facts, 5 value, 6 reason, \
        7 recorded_by
        12 device: 1 device, 2 name, 3 role, 4 scopes
        """

    @Test func `numbers stay what they are`() {
        let tables = Forum.schema.tables.map { table in
            "\(table.id) \(table.name): "
                + table.columns.map { "\($0.id) \($0.name)" }.joined(separator: ", ")
        }
        #expect(tables.joined(separator: "\n") == Self.numbers)
    }

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
                == "f28304dbbe4e64f1b6a00bee12d55be2")
    }
}
