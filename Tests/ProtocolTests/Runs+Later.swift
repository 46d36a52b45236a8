import Causality
import Merge
import SyncProtocol

/// Runs of builds to come: whoever can't read them knows where they lie, and no more.
extension RunVectors {
    private static let now: UInt64 = 1_764_000_000_000

    /// A header of a later format, with what one may have behind key 5 and nothing else.
    private static func ofLaterFormat(
        _ draft: RunDraft, _ extra: [(UInt64, [UInt8])] = []
    ) -> RunDraft {
        draft.changed {
            $0.format = 2
            $0.omitted = [6, 7, 8, 9, 10, 11]
            $0.extra = extra
        }
    }

    private static let ofLaterEncoding = first.changed {
        $0.encoding = 4
        $0.furtherItems = [[0xf6], [0x81, 0x61, 0x78]]
    }

    private static func later(_ name: String, _ draft: RunDraft) throws -> Vector {
        let vector = try Vector(
            "a header of a later build: \(name)", given: ["header": .bytes(draft.header)],
            when: "header", by: .runs)
        guard vector.expect["later"] != nil else {
            throw VectorError("\(name): found \(vector.expect.document)")
        }
        return vector
    }

    private static func refused(
        _ name: String, _ header: [UInt8], _ reason: String
    ) throws -> Vector {
        try Vector(
            "a header of a later build: \(name)", given: ["header": .bytes(header)],
            when: "header", expect: ["reject": .string(reason)], by: .runs)
    }

    static func laterHeaders() throws -> [Vector] {
        let strange: [(UInt64, [UInt8])] = [
            (6, [0xf6]), (8, [0x61, 0x78]), (9, [0xf5]), (12, [0x40]), (300, [0xa0]),
        ]
        let deep = [UInt8](repeating: 0x81, count: 8) + [0x00]
        return try [
            later("format 2", first.changed { $0.format = 2 }),
            later("the greatest format", first.changed { $0.format = .max }),
            later("format 2, the second of a stream", second.changed { $0.format = 2 }),
            later("format 2, keys 1 to 5 alone", ofLaterFormat(first)),
            later("format 2, the second with keys 1 to 5 alone", ofLaterFormat(second)),
            later("format 2, other items under the other keys", ofLaterFormat(first, strange)),
            later(
                "format 2, what would be another stream",
                first.changed {
                    ($0.format, $0.incarnation) = (2, 9)
                }),
            later(
                "format 2, 1024 changesets and the greatest last seq",
                ofLaterFormat(second).changed {
                    ($0.firstSeq, $0.count) = (1 << 63 - 1_024, 1_024)
                }),
            later("encoding 4", first.changed { $0.encoding = 4 }),
            later("the greatest encoding", first.changed { $0.encoding = .max }),
            later("encoding 4 with further items", ofLaterEncoding),
            later(
                "encoding 4 with a size of 2^63",
                first.changed {
                    ($0.encoding, $0.size) = (4, 1 << 63)
                }),
            later("encoding 4, the second of a stream", second.changed { $0.encoding = 4 }),
            later(
                "encoding 4, and origins that are none",
                ofLaterEncoding.changed {
                    $0.replaced = [10: [0x00]]
                    $0.omitted = [9, 11]
                }),
            later("critical key 128", first.changed { $0.extra = [(128, [0x00])] }),
            later(
                "critical key 200 behind others",
                joined.changed { $0.extra = [(13, [0xf6]), (200, [0x81, 0xf5]), (201, [0xa0])] }),
            later("the greatest key", first.changed { $0.extra = [(.max, [0x00])] }),
            later(
                "a critical key, and no deps",
                first.changed {
                    $0.omitted = [6]
                    $0.extra = [(128, [0x00])]
                }),
        ] + wrong(deep)
    }

    /// What is wrong of them for good.
    private static func wrong(_ deep: [UInt8]) throws -> [Vector] {
        let old = ofLaterFormat(first)
        let missing = try [1, 2, 3, 5].map { key in
            try refused(
                "without key \(key)", old.changed { $0.omitted.insert(key) }.header, "missingKey")
        }
        let cases: [(String, RunDraft, String)] = [
            ("a first seq of 0", old.changed { $0.firstSeq = 0 }, "outOfRange"),
            ("1025 changesets", old.changed { $0.count = 1_025 }, "outOfRange"),
            ("a body hash of 31 bytes", old.changed { $0.bodyHash = [1, 2] }, "invalid"),
            (
                "a last seq of 2^63",
                ofLaterFormat(second).changed { ($0.firstSeq, $0.count) = (1 << 63 - 2, 3) },
                "outOfRange"
            ),
            ("a first with a run before", old.changed { $0.previous = second.hash }, "invalid"),
            ("a second without", ofLaterFormat(second).changed { $0.previous = nil }, "invalid"),
            ("keys that descend", ofLaterFormat(first, [(7, [0x00]), (6, [0x00])]), "keyOrder"),
            ("a tag", ofLaterFormat(first, [(6, [0xc0, 0x00])]), "unsupported"),
            ("nine levels", ofLaterFormat(first, [(6, deep)]), "tooDeep"),
            ("encoding 4 alone", first.changed { $0.replaced = [8: [0x81, 0x04]] }, "invalid"),
            (
                "encoding 4, and deps that are null",
                ofLaterEncoding.changed { $0.replaced = [6: [0xf6]] }, "unexpectedType"
            ),
            (
                "a critical key, and an encoding with a further item",
                first.changed {
                    $0.furtherItems = [[0x00]]
                    $0.extra = [(128, [0x00])]
                }, "invalid"
            ),
            (
                "a critical key, and checks of 4 bytes",
                first.changed { $0.extra = [(12, [0x44, 1, 2, 3, 4]), (128, [0x00])] }, "invalid"
            ),
        ]
        return try missing + cases.map { try refused($0, $1.header, $2) } + [
            try refused("a byte too many", old.header + [0], "trailing"),
            try refused("a byte too few", Array(old.header.dropLast()), "truncated"),
            try refused(
                "196609 bytes",
                first.changed {
                    $0.format = 2
                    $0.extra = [(13, padding(first, to: 196_609))]
                }.header, "tooLong"),
        ]
    }

    // MARK: Offers

    static func laterOffers() throws -> [Vector] {
        let behind = second.changed { $0.encoding = 4 }
        let flipped = RunParts(
            header: behind.header, signature: [UInt8](repeating: 0, count: 64), body: behind.body)
        return [
            try offer("a run of format 2", first.changed { $0.format = 2 }, "UPGRADE"),
            try offer("a run of encoding 4", ofLaterEncoding, "UPGRADE"),
            try offer(
                "a run with a critical key", first.changed { $0.extra = [(200, [0xf6])] },
                "UPGRADE"),
            try offer("a run of a later build behind what is held", behind, to: [first], "UPGRADE"),
            try offer("a run of a later build behind what is missing", behind, "UPGRADE"),
            try offer(
                "a run of a later build with deps that are missing",
                joined.changed { $0.encoding = 9 }, to: [first], "UPGRADE"),
            try offer(
                "a run of a later build with another signature", flipped, to: [first], "UPGRADE"),
            try offer(
                "a run behind one of a later build",
                RunDraft(after: behind, body: note("c", at: now + 2)), to: [first], "GAP"),
            try offer(
                "a run beside one of a later build", second, to: [first]),
        ]
    }
}
