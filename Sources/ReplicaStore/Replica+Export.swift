internal import Causality
internal import Merge
internal import RecordSchema
internal import SyncProtocol

extension Replica {
    /// Writes all that this replica holds as lines of JSON, without their ends, for a judge that
    /// shares no code with it: `Protocol/oracle.py`.
    ///
    /// First the schema as far as folds need it; then where streams end, if any do; then every
    /// changeset in full, stream by stream; then each row that is shown, with the values of its SQL columns; then each open conflict;
    /// last the state hash and the counts. All of one state of the file. `Protocol/06-export.md`
    /// says it line by line.
    ///
    /// - Parameter write: takes one line.
    /// - Throws: ``StoreError``, or what `write` throws.
    public func export(_ write: (String) throws -> Void) throws {
        try read {
            try write(schemaLine())
            if let ends = endsLine() { try write(ends) }
            var changesets: Int64 = 0
            try forEachChangeset { changeset, received in
                changesets += 1
                var line = ExportLine()
                line.changeset(changeset, received: received)
                try write(line.text)
            }
            var rows: Int64 = 0
            for table in schema.tables { rows += try exportRows(table, write) }
            let open = try openConflicts()
            for conflict in open {
                try write(
                    "{\"open\":{\"table\":\(conflict.table),\"row\":\"\(conflict.row)\","
                        + "\"column\":\(conflict.column)}}")
            }
            try write(
                "{\"end\":{\"stateHash\":\"\(try stateHash())\",\"changesets\":\(changesets),"
                    + "\"shown\":\(rows),\"open\":\(open.count)}}")
        }
    }

    private func schemaLine() -> String {
        var line = ExportLine()
        line.raw("{\"export\":1,\"schema\":")
        line.string(schema.name)
        line.raw(",\"version\":\(schema.version),\"stream\":\"\(stream)\"")
        line.list(schema.tables, ",\"tables\":[", "]}") { line, table in
            line.raw("{\"table\":\(table.id)")
            line.list(table.columns, ",\"columns\":[", "]}") { line, column in
                line.raw("{\"column\":\(column.id),\"shape\":\"\(column.shape.exportName)\"")
                if case .composite(let parts) = column.shape {
                    line.raw(",\"parts\":\(parts.count)")
                }
                if case .earliest(let tolerance) = column.policy {
                    line.raw(",\"policy\":{\"earliest\":")
                    line.number(tolerance)
                    line.raw("}")
                }
                line.raw("}")
            }
        }
        return line.text
    }

    /// Where hubs have ended streams.
    private func endsLine() -> String? {
        let ends = rows.streams.sorted.compactMap { record in
            record.end.map { (record.stream, $0.lastSeq) }
        }
        guard !ends.isEmpty else { return nil }
        var line = ExportLine()
        line.list(ends, "{\"ends\":{", "}}") { line, end in
            line.raw("\"\(end.0)\":")
            line.number(Int64(clamping: end.1))
        }
        return line.text
    }

    /// What the users' table shows, in the order of the rows' ids.
    private func exportRows(_ table: Table, _ write: (String) throws -> Void) throws -> Int64 {
        let names = table.sqlColumns.map(\.name)
        let statement = try connection.prepare(
            "SELECT \((["id"] + names).joined(separator: ", ")) FROM \(table.name) ORDER BY id")
        defer { statement.finalize() }
        var count: Int64 = 0
        while try statement.step() {
            guard let id = statement.identifier(0) else {
                throw rows.damaged("the id of a row of \(table.name)")
            }
            var line = ExportLine()
            line.raw("{\"table\":\(table.id),\"row\":\"\(RowID(id))\"")
            line.list(names.indices, ",\"shown\":[", "]}") {
                $0.value(statement.value(Int32($1 + 1)))
            }
            try write(line.text)
            count += 1
        }
        return count
    }
}

extension ColumnShape {
    /// As `Protocol/04-folds.md` calls it.
    fileprivate var exportName: String {
        switch self {
        case .register: "register"
        case .composite: "composite"
        case .set: "set"
        case .counter: "counter"
        }
    }
}
