internal import Bundles
internal import Causality
internal import FieldRecords
public import ProgramOutput
public import ReplicaStore
public import ReplicaSync
internal import SyncProtocol

extension BundleExchange.Written {
    public func json(for recipient: BundleRecipient) -> JSONValue {
        .object([
            ("files", .array(files.map(\.json))), ("for", .string(recipient.name)),
            ("device", .string("\(recipient.device)")),
            ("changes", .integer(Int64(clamping: changesetCount))),
            ("photos", .integer(Int64(blobCount))),
            ("photo_bytes", .integer(Int64(clamping: blobBytes))),
        ])
    }
}

extension BundleExchange.Written.File {
    fileprivate var json: JSONValue {
        .object([("file", .string(path)), ("bytes", .integer(Int64(clamping: byteCount)))])
    }
}

extension BundleExchange.Taken {
    func json(_ path: String, by sender: String) -> JSONValue {
        .object([
            ("file", .string(path)), ("by", .string(sender)),
            ("made", .string(Instant(milliseconds: summary.head.madeMilliseconds).formatted())),
            ("new", .integer(Int64(clamping: tally.newCount))),
            ("known", .integer(Int64(clamping: tally.knownCount))),
            ("confirmed", .integer(Int64(clamping: tally.confirmedCount))),
            ("aside", .integer(Int64(tally.asideCount))),
            ("waiting", .array(tally.waiting.map(\.json))),
            ("refused", .array(tally.refused.map(\.json))),
            ("photos", blobs.json),
            ("last_part", .bool(summary.isLast)),
        ])
    }
}

extension BundleExchange.BlobTally {
    fileprivate var json: JSONValue {
        .object([
            ("new", .integer(Int64(newCount))), ("new_bytes", .integer(Int64(clamping: newBytes))),
            ("known", .integer(Int64(knownCount))), ("unnamed", .integer(Int64(unnamedCount))),
            ("partial", .integer(Int64(partialCount))), ("refused", .integer(Int64(refusedCount))),
            ("confirmed", .integer(Int64(confirmedCount))),
        ])
    }
}

extension BundleExchange.RejectedRun {
    fileprivate var json: JSONValue {
        .object([
            ("stream", .string("\(run.stream)")),
            ("last_seq", .integer(Int64(clamping: run.lastSeq))),
            ("code", .string(refusal.code.name)), ("explanation", .string(refusal.explanation)),
        ])
    }
}

extension BundleExchange.Shown {
    func json(_ path: String, by sender: String?, for recipients: [String]) -> JSONValue {
        let head = summary.head
        return .object([
            ("file", .string(path)), ("by", sender.map(JSONValue.string) ?? .null),
            ("sender", .string("\(DeviceID(publicKey: head.sender))")),
            ("made", .string(Instant(milliseconds: head.madeMilliseconds).formatted())),
            ("for", .array(recipients.map(JSONValue.string))),
            ("series", .string(head.series.bytes.hexadecimal)),
            ("part", .integer(Int64(clamping: head.part))), ("last_part", .bool(summary.isLast)),
            ("bytes", .integer(Int64(clamping: summary.byteCount))),
            (
                "scopes",
                scopes.map { scopes in
                    .array(
                        scopes.map {
                            .object([
                                ("scope", .string($0.scope)),
                                ("changes", .integer(Int64(clamping: $0.changesetCount))),
                                ("new", .integer(Int64(clamping: $0.newCount))),
                            ])
                        })
                } ?? .null
            ),
            ("photos", scopes == nil ? .null : .integer(Int64(blobs.count))),
            (
                "photo_bytes",
                scopes == nil
                    ? .null : .integer(Int64(clamping: blobs.values.reduce(0) { $0 &+ $1 }))
            ),
            ("new_photos", scopes == nil ? .null : .integer(Int64(newBlobCount))),
        ])
    }
}
