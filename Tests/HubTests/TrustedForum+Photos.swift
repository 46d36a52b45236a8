import Causality
import FieldRecords
import Foundation
import Merge
import RecordSchema
import ReplicaStore
import SyncProtocol

/// Photos of a forum, with what they are about.
extension TrustedForum {
    static func delegation(_ code: String) -> RowID {
        Forum.schema.rowID(in: Forum.delegation, key: [.text(code)])
    }

    static func person(_ badge: String) -> RowID {
        Forum.schema.rowID(in: Forum.person, key: [.text(badge)])
    }

    static func visit(_ code: String) -> RowID {
        let item = Forum.schema.rowID(in: Forum.item, key: [.text("V1")])
        return Forum.schema.rowID(
            in: Forum.visit,
            key: [.blob(item.identifier.bytes), .blob(delegation(code).identifier.bytes)])
    }

    /// A coordinator that has told everybody of two delegations, a visit of each, and a person.
    func office() throws -> TrustedLaptop {
        let office = try member("HQ", for: [])
        try office.replica.write { transaction in
            let item = try transaction.upsert(Forum.item, key: [.text("V1")], []).id
            for code in ["KZ", "UZ"] {
                let division = try transaction.upsert(Forum.delegation, key: [.text(code)], []).id
                try transaction.upsert(
                    Forum.visit,
                    key: [.blob(item.identifier.bytes), .blob(division.identifier.bytes)],
                    [(Forum.visit.declared("outcome"), .text("\(code) came"))])
            }
            try transaction.upsert(
                Forum.person, key: [.text("KZ-001")],
                [(Forum.person.declared("name_latin"), .text("Aida"))])
        }
        try sync(office)
        return office
    }

    static func photo(_ size: Int, _ first: UInt8) -> [UInt8] {
        (0..<size).map { UInt8(truncatingIfNeeded: $0 >> 8 &+ $0) ^ first }
    }

    /// Records a photo, and keeps its bytes beside the replica.
    @discardableResult
    func add(
        _ bytes: [UInt8], to table: RecordSchema.Table, _ subject: RowID, at laptop: TrustedLaptop
    ) throws -> (name: BlobName, row: RowID) {
        let file = folder.file("picture")
        try Data(bytes).write(to: URL(filePath: file))
        let scope = try laptop.replica.scope(dividedBy: subject) ?? Forum.scope
        let digest = try laptop.replica.blobs.add(file: file, scope: scope).digest
        let row = try laptop.replica.write { transaction in
            try transaction.upsert(
                Forum.photo,
                key: [
                    .integer(Int64(table.id)), .blob(subject.identifier.bytes), .blob(digest.bytes),
                ], []
            ).id
        }.result
        return (BlobName(scope: scope, digest: digest), row)
    }
}
