internal import Causality
internal import FieldRecords
internal import Merge
internal import RecordSchema
internal import ReplicaStore
internal import SyncProtocol

/// People who are to be forgotten: a coordinator asks for it in the records, and the hub decides it in its own
/// stream, so that whoever syncs carries it out, and nothing that is cut off later takes it back.
extension HubStore {
    /// Decides what was asked for, and destroys the keys here.
    func eraseIfAsked() throws {
        let asked = try replica.query(
            "SELECT person, asked_by, reason FROM erasure WHERE person IS NOT NULL ORDER BY id")
        // One that has no certificate nobody believes.
        guard !asked.isEmpty, try replica.membership() != nil else { return }
        let known = try replica.erasedPeople()
        let due = asked.compactMap { row -> (person: RowID, author: String, note: String)? in
            guard case .blob(let bytes) = row[0], let id = Identifier(bytes),
                !known.contains(RowID(id))
            else { return nil }
            return (RowID(id), Self.words(row[1]), Self.words(row[2]))
        }
        guard !due.isEmpty else { return }
        let key = try replica.key()
        try replica.write(seals: true) { transaction in
            let table = Forum.device
            let (row, _) = try transaction.upsert(
                table, key: [.text(replica.device.description)], [])
            for request in due {
                let erasure = Erasure(
                    of: [request.person], decidedMilliseconds: now, author: request.author,
                    note: request.note, key: key)
                try transaction.add(
                    table, row, table.declared("erasures"), [.blob(erasure.encode())])
            }
            try transaction.end()
            try replica.erase()
        }
    }

    /// A text as an erasure has room for it.
    private static func words(_ value: Value) -> String {
        guard case .text(var text) = value else { return "" }
        while text.utf8.count > Limits.nameBytes { text.removeLast() }
        return text
    }
}
