import Foundation
import ReplicaStore
import StoreTestSupport
import Testing

/// A new file is the same whether its tables are made one by one or copied.
@Suite struct LaidOutFiles {
    private func schema(of path: String) throws -> [String] {
        let connection = try Connection(path: path, isWritable: false)
        defer { connection.close() }
        return try connection.rows(
            "SELECT type, name, tbl_name, sql FROM sqlite_schema ORDER BY type, name"
        ).map { "\($0)" }
    }

    @Test func `the first file of a process and the next ones have one schema`() throws {
        let bench = try Bench()
        var schemas: [[String]] = []
        // In between one of another schema, so that the first is made anew.
        for number in 0..<3 {
            let replica = try bench.create("\(number)")
            replica.close()
            schemas.append(try schema(of: bench.path("\(number)")))
            let other = try Replica.create(
                at: bench.path("other-\(number)"), name: "other", schema: Fleet.schema,
                environment: bench.environment)
            #expect(try other.verify().problems.isEmpty)
            other.close()
            #expect(try schema(of: bench.path("other-\(number)")) != schemas[0])
        }
        for number in 3..<6 {
            try bench.create("\(number)").close()
            schemas.append(try schema(of: bench.path("\(number)")))
        }
        #expect(schemas[0].count > 50)
        #expect(schemas.allSatisfy { $0 == schemas[0] })
    }
}
