import SyncProtocol

extension Kind {
    static let cuts = Kind(
        name: "cuts", answer: { try CutKind.answer($0, $1) },
        vectors: { try CutKind.vectors() })
}

enum CutKind {
    static func answer(_ given: JSON, _ when: JSON) throws -> JSON {
        switch try when.string() {
        case "cut": try read(given)
        case "encode": ["bytes": .bytes(try given.member("cut").cut().encode())]
        case "end": try ends(given)
        default: throw VectorError("cuts: an unknown kind \(when.document)")
        }
    }

    private static func read(_ given: JSON) throws -> JSON {
        let bytes = try given.member("bytes").bytes()
        let cut: Cut
        do throws(CBORError) {
            cut = try Cut(decoding: bytes)
        } catch {
            return ItemKind.reject(error)
        }
        // Further items are not written again.
        guard bytes[0] != 0x87 || cut.encode() == bytes else {
            throw VectorError("a cut is written otherwise than it was read")
        }
        return ["cut": .cut(cut)]
    }

    private static func ends(_ given: JSON) throws -> JSON {
        let cuts = try given.items("cuts").map { try $0.cut() }
        let origins = try given.items("streams").map { try $0.origin() }
        let ends = origins.map { origin in cuts.compactMap { $0.end(of: origin) }.min() }
        return ["ends": .array(ends.map { $0.map(JSON.end) ?? .null })]
    }
}

/// Forms of this kind.
extension JSON {
    static func cut(_ cut: Cut) -> JSON {
        [
            "reason": .number(cut.reason.rawValue), "publicKey": .hex(cut.publicKey),
            "streams": .array(cut.streams.map { .cutStream($0) }), "whole": .bool(cut.isWhole),
            "decided": .number(cut.decidedMilliseconds), "note": .text(cut.note),
        ]
    }

    private static func cutStream(_ stream: Cut.Stream) -> JSON {
        .members(
            ["scope": .text(stream.scope), "incarnation": .number(stream.incarnation)],
            and: .end(stream.end))
    }

    static func end(_ end: StreamEnd) -> JSON {
        ["last": .number(end.lastSeq), "run": end.run.map(JSON.hash) ?? .null]
    }

    func cut() throws -> Cut {
        Cut(
            Cut.Reason(rawValue: try number("reason")), of: try member("publicKey").hex(),
            at: try items("streams").map { try $0.cutStream() },
            isWhole: try member("whole").bool(), decidedMilliseconds: try number("decided"),
            note: try member("note").text())
    }

    private func cutStream() throws -> Cut.Stream {
        Cut.Stream(
            scope: try member("scope").text(), incarnation: try number("incarnation"),
            end: try end())
    }

    private func end() throws -> StreamEnd {
        let run = try optional("run") { try $0.hash() }
        guard let end = StreamEnd(lastSeq: try number("last"), run: run) else {
            throw VectorError("\(document) is no end")
        }
        return end
    }
}
