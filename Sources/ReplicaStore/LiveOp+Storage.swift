internal import Causality
internal import Merge
internal import SyncProtocol

/// How a live op lies in `sy_live`: its kind as a number, and the rest as CBOR.
///
/// | kind | val |
/// | --- | --- |
/// | 0 put | value |
/// | 1 resolve | [value, [stream, seq, …]] |
/// | 2 retract | nothing |
/// | 3 delete | [[column, element, stream, seq], …] |
extension Action {
    var storedKind: Int64 {
        switch self {
        case .put: 0
        case .resolve: 1
        case .retract: 2
        case .delete: 3
        }
    }

    var storedValue: [UInt8] {
        var encoder = CBOREncoder()
        switch self {
        case .put(let value): encoder.value(value)
        case .retract: break
        case .resolve(let value, let covers):
            encoder.array(2)
            encoder.value(value)
            encoder.array(covers.count * 2)
            for dot in covers {
                encoder.blob(dot.stream.identifier.bytes)
                encoder.unsigned(dot.seq)
            }
        case .delete(let covers):
            encoder.array(covers.count)
            for cover in covers {
                encoder.array(4)
                encoder.unsigned(UInt64(cover.cell.column))
                encoder.blob(cover.cell.element)
                encoder.blob(cover.dot.stream.identifier.bytes)
                encoder.unsigned(cover.dot.seq)
            }
        }
        return encoder.bytes
    }

    init(storedKind kind: Int64, value bytes: [UInt8]) throws(CBORError) {
        var decoder = CBORDecoder(bytes)
        switch kind {
        case 0: self = .put(try decoder.value())
        case 1:
            try decoder.array(count: 2)
            let value = try decoder.value()
            var covers: [Dot] = []
            for _ in 0..<(try decoder.array()) / 2 { covers.append(try decoder.storedDot()) }
            self = .resolve(value, covers: covers)
        case 2: self = .retract
        case 3:
            var covers: [CellDot] = []
            for _ in 0..<(try decoder.array()) {
                try decoder.array(count: 4)
                let cell = CellKey(try decoder.unsigned32(), element: try decoder.blob())
                covers.append(CellDot(cell, try decoder.storedDot()))
            }
            self = .delete(covers: covers)
        default: throw decoder.error(.outOfRange)
        }
        try decoder.finish()
    }
}

extension CBORDecoder {
    fileprivate mutating func storedDot() throws(CBORError) -> Dot {
        Dot(StreamID(Identifier(try blob(count: 16))!), try unsigned())
    }
}
