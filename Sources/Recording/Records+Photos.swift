public import Causality
internal import FieldRecords
internal import Merge
internal import RecordSchema
public import ReplicaStore
public import SyncProtocol

/// A photo as people see it.
public struct Photo: Sendable {
    public var id: RowID
    public var name: BlobName
    /// What it is of: the kind of the record, and what people call that.
    public var subject: (kind: String, name: String)
    public var caption: String
    public var author: String
    /// `nil` where its bytes lie elsewhere.
    public var size: UInt64?
    /// The hub is known to hold its bytes.
    public var isSent: Bool
    /// It was of somebody who has been erased: its bytes are nowhere.
    public var isErased: Bool
}

/// A photo that was just added.
public struct AddedPhoto: Sendable {
    public var file: String
    public var id: RowID
    public var digest: Digest
    /// In bytes.
    public var size: UInt64
}

extension Records {
    /// Keeps pictures with a record. They are on the disk before the record says so.
    ///
    /// All of them, or none: a file that is no picture is told before anything is kept.
    ///
    /// - Parameters:
    ///   - key: names the record, as ``row(in:_:)`` takes it.
    ///   - caption: of each; `nil` leaves what stands.
    public func addPhotos(
        to tableName: String, _ key: String, files: [String], caption: String?, author: String
    ) throws -> (photos: [AddedPhoto], receipt: WriteReceipt) {
        let subjectTable = try table(tableName)
        // A visit begins with whatever is recorded of it first.
        let visit = subjectTable == Forum.visit ? try naturalRow(in: subjectTable, key) : nil
        let visitKey = try visit.map { _ in try naturalKey(subjectTable, key) }
        let subject = try visit ?? row(in: subjectTable, key)
        guard try !replica.isAboutErased(subjectTable, subject) else {
            throw RecordError(
                "\(key) was erased: nothing more is kept about them. Add the photo to a visit, an item or a site"
            )
        }
        let kinds = PictureKind.allCases.map(\.fileExtension).joined(separator: ", ")
        for file in files where PictureKind(file: file) == nil {
            guard BlobFolder.head(ofFile: file, count: 1) != nil else {
                throw RecordError("\(file) can't be read. No photo was added")
            }
            throw RecordError(
                "\(file) is no picture that is known here (\(kinds)). No photo was added")
        }
        let scope = try replica.scope(dividedBy: subject) ?? Replica.scope
        var kept: [(file: String, digest: Digest, size: UInt64)] = []
        for file in files {
            let (digest, size) = try replica.blobs.add(file: file, scope: scope)
            kept.append((file, digest, size))
        }
        let values: [(Column, Value)] =
            [(Forum.photo.declared("author"), .text(author))]
            + (caption.map { [(Forum.photo.declared("caption"), .text($0))] } ?? [])
        let (photos, receipt) = try replica.write(author: author) { transaction in
            if let visitKey { try transaction.upsert(Forum.visit, key: visitKey, []) }
            return try kept.map { file, digest, size in
                let key: [Value] = [
                    .integer(Int64(subjectTable.id)), .blob(subject.identifier.bytes),
                    .blob(digest.bytes),
                ]
                let id = try transaction.upsert(Forum.photo, key: key, values).id
                return AddedPhoto(file: file, id: id, digest: digest, size: size)
            }
        }
        return (photos, receipt)
    }

    /// Photos in the order of their subjects.
    ///
    /// - Parameters:
    ///   - tableName: only those of its records; `nil` for all.
    ///   - key: only those of this record.
    public func photos(of tableName: String?, _ key: String?) throws -> [Photo] {
        try replica.read {
            var filter = ""
            if let tableName {
                let table = try table(tableName)
                filter = " WHERE subject_table = \(table.id)"
                if let key {
                    let row = try row(in: table, key)
                    filter += " AND subject = x'\(row.identifier.hexadecimal)'"
                }
            }
            let found = try replica.query(
                """
                SELECT id, subject_table, subject, digest, author, caption FROM photo\(filter)
                ORDER BY subject_table, subject, id
                """)
            return try found.compactMap { try photo($0) }
        }
    }

    /// A photo by the start of its id, or of its SHA-256.
    public func photo(_ text: String) throws -> Photo {
        let all = try photos(of: nil, nil)
        let wanted = text.lowercased()
        let found = all.filter {
            $0.id.description.hasPrefix(wanted) || $0.name.digest.description.hasPrefix(wanted)
        }
        guard wanted.count >= 4, let photo = found.first else {
            throw RecordError("there is no photo \(text). Look with `karvan photo list`")
        }
        guard found.count == 1 else {
            throw RecordError("more than one photo starts with \(text); give more")
        }
        return photo
    }

    private func photo(_ row: [Value]) throws -> Photo? {
        guard case .blob(let idBytes) = row[0], let id = Identifier(idBytes).map({ RowID($0) }),
            case .integer(let number) = row[1], case .blob(let subjectBytes) = row[2],
            let subject = Identifier(subjectBytes).map({ RowID($0) }),
            case .blob(let bytes) = row[3], let digest = Digest(bytes)
        else { return nil }
        let name = BlobName(
            scope: try replica.scope(of: id, in: Forum.photo.id), digest: digest)
        let table = UInt32(exactly: number).flatMap(replica.schema.table(id:))
        let entry = replica.blobs.entry(name)
        return Photo(
            id: id, name: name,
            subject: try table.map { try self.subject($0, subject) } ?? ("?", "\(subject)"),
            caption: Self.plain(row[5]), author: Self.plain(row[4]),
            size: entry.flatMap { $0.isWhole ? $0.size : nil }, isSent: entry?.isSent ?? false,
            isErased: try replica.isAboutErased(Forum.photo, id))
    }

    /// Writes a photo's bytes to a new file.
    ///
    /// - Parameter path: the file, or a folder in which it gets a name; it is there whole or not at all.
    /// - Returns: the file.
    public func save(_ photo: Photo, to path: String) throws -> String {
        guard let source = replica.blobs.file(holding: photo.name) else {
            throw RecordError(
                "photo \(photo.id.description.prefix(12)) isn't on this laptop: `karvan sync --photos all` "
                    + "fetches what the hub has")
        }
        var target = path
        if BlobFolder.isFolder(path) {
            let suffix = PictureKind(file: source).map { ".\($0.fileExtension)" } ?? ""
            target = path + "/" + photo.fileName + suffix
        }
        try replica.blobs.write(photo.name, to: target)
        return target
    }
}

extension Photo {
    /// `visit-V12-KZ-3f2a91bc`: what it is of, with what may stand in a file's name.
    fileprivate var fileName: String {
        let words = "\(subject.kind)-\(subject.name)".map { character in
            character.isASCII && (character.isLetter || character.isNumber) ? character : "-"
        }
        return String(words.prefix(60)) + "-" + id.description.prefix(8)
    }
}
