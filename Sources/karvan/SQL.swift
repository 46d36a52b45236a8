internal import ArgumentParser
internal import Causality
internal import Merge
internal import ProgramOutput
internal import ReplicaStore

/// Asks the replica in SQL.
struct SQL: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "sql", abstract: "Run a SELECT over the replica's tables and views.",
        discussion: """
            Example: karvan sql "SELECT badge, role FROM person LIMIT 3"

            A column named \(clockColumn), which holds what the engine knows of a row, is left out \
            of what is printed; name it `AS` something else to see it.
            """)
    private static let clockColumn = "sy_clk"

    @OptionGroup var common: CommonOptions
    @Argument(help: "One statement that reads.")
    var statement: String

    func run() throws {
        let replica = try common.open("sql")
        defer { replica.close() }
        let (names, found) = try replica.readOnlyQuery(statement)
        let places = names.indices.filter { names[$0] != Self.clockColumn }
        let columns = places.map { names[$0] }
        let rows = found.map { row in places.map { row[$0] } }
        var output = TextTable(columns)
        for row in rows { output.add(row.map(text)) }
        try common.print(
            output.lines.joined(separator: "\n"),
            .object([
                (
                    "rows",
                    .array(rows.map { row in .object(zip(columns, row).map { ($0, json($1)) }) })
                )
            ]))
    }

    private func text(_ value: Value) -> String {
        switch value {
        case .null: ""
        case .integer(let value): String(value)
        case .real(let value): "\(value)"
        case .text(let text): text
        case .blob(let bytes): Hexadecimal.text(of: bytes)
        case .composite, .sealed, .erased: ""
        }
    }

    private func json(_ value: Value) -> JSONValue {
        switch value {
        case .null, .composite, .sealed, .erased: .null
        case .integer(let value): .integer(value)
        case .real(let value): .real(value)
        case .text(let text): .string(text)
        case .blob(let bytes): .string(Hexadecimal.text(of: bytes))
        }
    }
}
