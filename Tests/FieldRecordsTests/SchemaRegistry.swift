import FieldRecords
import Foundation
import Merge
import RecordSchema
import Testing

/// `Protocol/schema-registry.json` says what the numbers of tables and columns stand for. What
/// replicas in the field hold goes by them: a number that changes its meaning loses their data.
@Suite struct SchemaRegistry {
    private static let package = URL(filePath: #filePath)
        .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
    private static let registry = package.appending(path: "Protocol/schema-registry.json")
    private static let prior = package.appending(path: "Protocol/prior")

    @Test func `the registry is what the program declares`() throws {
        let declared = Self.text(of: Forum.schema)
        if ProcessInfo.processInfo.environment["KARVAN_WRITE_REGISTRY"] != nil {
            try Data(declared.utf8).write(to: Self.registry)
        }
        let written = try String(contentsOf: Self.registry, encoding: .utf8)
        #expect(
            written == declared,
            """
            after a change of the schema, raise its version, keep the registry that was under \
            Protocol/prior, and run this test with KARVAN_WRITE_REGISTRY=1
            """)
    }

    @Test func `numbers of earlier schemas keep their names and types`() throws {
        let now = try Self.columns(at: Self.registry)
        let directories = try FileManager.default.contentsOfDirectory(atPath: Self.prior.path)
        let earlier = directories.filter { $0.hasPrefix("schema-") }
        #expect(earlier.count == Int(Forum.schema.version) - 1)
        for directory in earlier {
            let path = Self.prior.appending(path: "\(directory)/schema-registry.json")
            let then = try Self.columns(at: path)
            #expect(then.columns.count > 60)
            #expect(then.version < now.version)
            for (number, column) in then.columns {
                #expect(now.columns[number] == column, "\(number) of \(directory)")
            }
        }
    }

    /// By `table.column`: the names and the type.
    private static func columns(
        at url: URL
    ) throws -> (version: Int, columns: [String: [String]]) {
        let root = try #require(
            try JSONSerialization.jsonObject(with: Data(contentsOf: url)) as? [String: Any])
        var columns: [String: [String]] = [:]
        for table in try #require(root["tables"] as? [[String: Any]]) {
            let id = try #require(table["id"] as? Int)
            let name = try #require(table["name"] as? String)
            for column in try #require(table["columns"] as? [[String: Any]]) {
                let place = "\(id).\(try #require(column["id"] as? Int))"
                let parts = [name] + ["name", "type"].compactMap { column[$0] as? String }
                #expect(columns.updateValue(parts, forKey: place) == nil, "\(place) is doubled")
            }
        }
        return (try #require(root["version"] as? Int), columns)
    }

    private static func text(of schema: Schema) -> String {
        let tables = schema.tables.map { table in
            let key = table.naturalKey.map { "\"\($0)\"" }.joined(separator: ", ")
            let columns = table.columns.map { "        " + line($0) }.joined(separator: ",\n")
            return """
                    {
                      "id": \(table.id), "name": "\(table.name)", "key": [\(key)],\(extent(of: table))
                      "columns": [
                \(columns)
                      ]
                    }
                """
        }
        return """
            {
              "schema": "\(schema.name)",
              "version": \(schema.version),
              "tables": [
            \(tables.joined(separator: ",\n"))
              ]
            }

            """
    }

    /// Whether a table's rows may lie in other scopes than the base one, and whom they are about.
    private static func extent(of table: Table) -> String {
        var members: [String] = []
        if let column = table.dividedBy {
            members.append("\"divided_by\": \"\(column)\"")
        } else if table.isDivided {
            members.append("\"divided\": true")
        }
        if let about = table.about {
            let columns = [about.column] + [about.tableColumn].compactMap { $0 }
            let names = columns.map { "\"\($0)\"" }.joined(separator: ", ")
            members.append("\"about\": [\(names)]")
        }
        if let blob = table.blob { members.append("\"blob\": \"\(blob)\"") }
        return members.isEmpty ? "" : " \(members.joined(separator: ", ")),"
    }

    private static func line(_ column: Column) -> String {
        var members = ["\"id\": \(column.id)", "\"name\": \"\(column.name)\""]
        members.append("\"type\": \"\(type(of: column.shape))\"")
        if case .earliest(let tolerance) = column.policy {
            members.append("\"earliest_within_ms\": \(tolerance)")
        }
        members.append("\"class\": \(column.conflictClass.rawValue)")
        if column.isPersonal { members.append("\"personal\": true") }
        return "{" + members.joined(separator: ", ") + "}"
    }

    private static func type(of shape: ColumnShape) -> String {
        switch shape {
        case .register(let type): name(of: type)
        case .set(let type): "set of \(name(of: type))"
        case .counter: "counter"
        case .composite(let parts):
            "(" + parts.map { "\($0.name) \(name(of: $0.type))" }.joined(separator: ", ") + ")"
        }
    }

    private static func name(of type: ScalarType) -> String {
        switch type {
        case .integer: "integer"
        case .real: "real"
        case .text: "text"
        case .blob: "blob"
        case .time: "time"
        case .reference(let table): "reference to \(table)"
        }
    }
}
