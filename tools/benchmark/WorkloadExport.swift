import Causality
import Foundation
import Merge

/// The workload as files, so that any other engine can be measured on the same rows:
///
/// - `schema.sql`: the table and its index, as plain SQLite gets them;
/// - `rows.csv`: a line for each row, with both kinds of ids and all values before and after;
/// - `insert-time.sql`, `update-time.sql`, `merge-a-time.sql`, `merge-b-time.sql`, and the same for
///   random ids: the transactions of (a), (b) and (e), as they are measured.
struct WorkloadExport {
    let workload: Workload
    let settings: Settings
    let directory: URL

    private static let insertColumns =
        "id, visit_id, person_id, status, arrived_at, recorded_by, note"

    func write() throws {
        try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
        try write("schema.sql", [settings.definitions.joined(separator: ";\n") + ";\n"])
        try writeRows()
        for order in IDOrder.allCases { try writeTransactions(order) }
    }

    private func write(_ name: String, _ pieces: some Sequence<String>) throws {
        let file = directory.appending(path: name)
        guard FileManager.default.createFile(atPath: file.path, contents: nil) else {
            throw BenchError("\(file.path) can't be made")
        }
        let handle = try FileHandle(forWritingTo: file)
        for piece in pieces { try handle.write(contentsOf: Data(piece.utf8)) }
        try handle.close()
    }

    private func writeRows() throws {
        let orders = IDOrder.allCases.map { order in
            workload.ids(order, rowsPerTransaction: Bench.insertRows)
        }
        let (byA, byB) = (workload.changedByA, workload.changedByB)
        let after = workload.withOtherStatus
        let head = [
            "id_time", "id_random", "visit_id", "person_id", "status", "arrived_at", "recorded_by",
            "note", "status_updated", "status_by_a", "note_by_a", "status_by_b", "arrived_at_by_b",
        ].joined(separator: ",")
        let lines = workload.rows.indices.lazy.map { index in
            let row = workload.rows[index]
            return
                (orders.map { Self.hexadecimal($0[index].bytes) }
                + [
                    Self.hexadecimal(row.visit), Self.hexadecimal(row.person), row.status,
                    "\(row.arrivedAt)", row.recordedBy, row.note, after[index].status,
                    byA[index].status, byA[index].note, byB[index].status,
                    "\(byB[index].arrivedAt)",
                ]).joined(separator: ",") + "\n"
        }
        try write("rows.csv", [[head + "\n"], Array(lines)].joined())
    }

    private func writeTransactions(_ order: IDOrder) throws {
        let ids = workload.ids(order, rowsPerTransaction: Bench.insertRows).map {
            Self.literal(.blob($0.bytes))
        }
        let inserts = workload.rows.indices.lazy.map { index in
            let values = workload.rows[index].values.map { Self.literal($0 ?? .null) }
            return "INSERT INTO attendance(\(Self.insertColumns)) VALUES("
                + ([ids[index]] + values).joined(separator: ", ") + ");\n"
        }
        func updates(_ rows: some Collection<Attendance>, _ columns: [PlainColumn]) -> [String] {
            zip(ids, rows).map { id, row in
                let list = columns.map { "\($0.rawValue) = \(Self.literal(row.value(of: $0)))" }
                return "UPDATE attendance SET \(list.joined(separator: ", ")) WHERE id = \(id);\n"
            }
        }
        let half = workload.rows.count / 2
        let name = order.rawValue
        try write("insert-\(name).sql", inBatches(Array(inserts), of: Bench.insertRows))
        for (file, statements) in [
            ("update", updates(workload.withOtherStatus, [.status])),
            ("merge-a", updates(workload.changedByA.prefix(half), [.status, .note])),
            ("merge-b", updates(workload.changedByB.prefix(half), [.status, .arrivedAt])),
        ] {
            try write("\(file)-\(name).sql", inBatches(statements, of: Bench.updateRows))
        }
    }

    private func inBatches(_ statements: [String], of count: Int) -> [String] {
        stride(from: 0, to: statements.count, by: count).map { start in
            let batch = statements[start..<min(start + count, statements.count)]
            return "BEGIN IMMEDIATE;\n" + batch.joined() + "COMMIT;\n"
        }
    }

    private static func hexadecimal(_ bytes: [UInt8]) -> String {
        bytes.map { String($0 >> 4, radix: 16) + String($0 & 15, radix: 16) }.joined()
    }

    private static func literal(_ value: Value) -> String {
        switch value {
        case .integer(let number): "\(number)"
        case .text(let text): "'\(text.replacing("'", with: "''"))'"
        case .blob(let bytes): "x'\(hexadecimal(bytes))'"
        default: "NULL"
        }
    }
}
