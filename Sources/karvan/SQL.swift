internal import ArgumentParser
internal import Causality
internal import Merge
internal import ProgramOutput
internal import ReplicaStore

/// Asks the replica in SQL.
struct SQL: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "sql", abstract: "Run a SELECT over the replica's tables and views.")

    @OptionGroup var common: CommonOptions
    @Argument(help: "One statement that reads.")
    var statement: String

    func run() throws {
        let replica = try common.open("sql")
        defer { replica.close() }
        let (columns, rows) = try replica.readOnlyQuery(statement)
        var output = TextTable(columns)
        for row in rows { output.add(row.map(text)) }
        common.print(
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
        case .composite: ""
        }
    }

    private func json(_ value: Value) -> JSONValue {
        switch value {
        case .null, .composite: .null
        case .integer(let value): .integer(value)
        case .real(let value): .real(value)
        case .text(let text): .string(text)
        case .blob(let bytes): .string(Hexadecimal.text(of: bytes))
        }
    }
}
