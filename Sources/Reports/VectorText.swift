public import Causality
internal import Foundation
internal import SyncProtocol

/// A version vector as text, so that a report can be asked for again: `kv1.` and, in base64url (RFC 4648 §5, without
/// padding), for each stream in order its 16 bytes and its `seq` in LEB128, and behind them four bytes of the SHA-256 of that.
public enum VectorText {
    private static let mark = "kv1."
    private static let checkBytes = 4

    private static func check(_ bytes: ArraySlice<UInt8>) -> [UInt8] {
        Array(Digest(sha256: Array(bytes)).bytes.prefix(checkBytes))
    }

    public static func text(of vector: VersionVector) -> String {
        var bytes: [UInt8] = []
        for (stream, seq) in vector.entries {
            bytes += stream.identifier.bytes
            var rest = seq
            repeat {
                let low = UInt8(rest & 0x7f)
                rest >>= 7
                bytes.append(rest == 0 ? low : low | 0x80)
            } while rest > 0
        }
        let coded = Data(bytes + check(bytes[...])).base64EncodedString()
        return mark
            + coded.replacing("+", with: "-").replacing("/", with: "_").prefix { $0 != "=" }
    }

    /// - Throws: ``ReportError`` for what is none.
    public static func vector(_ text: String) throws(ReportError) -> VersionVector {
        guard text.hasPrefix(mark) else { throw invalid("it starts with \(mark)") }
        var coded = text.dropFirst(mark.count).replacing("-", with: "+").replacing("_", with: "/")
        coded += String(repeating: "=", count: (4 - coded.utf8.count % 4) % 4)
        guard let data = Data(base64Encoded: String(coded)) else {
            throw invalid("a part is missing, or too much")
        }
        var bytes = Array(data)[...]
        guard bytes.count >= checkBytes,
            Array(bytes.suffix(checkBytes)) == check(bytes.dropLast(checkBytes))
        else { throw invalid("a part is missing, or was changed") }
        bytes = bytes.dropLast(checkBytes)
        var pairs: [(StreamID, UInt64)] = []
        while !bytes.isEmpty {
            guard let identifier = Identifier(Array(bytes.prefix(16))) else {
                throw invalid("its end is missing")
            }
            bytes = bytes.dropFirst(16)
            pairs.append((StreamID(identifier), try number(&bytes)))
        }
        let vector = VersionVector(pairs)
        guard vector.entries.count == pairs.count else {
            throw invalid("it names a stream twice, or nothing of one")
        }
        return vector
    }

    private static func number(_ bytes: inout ArraySlice<UInt8>) throws(ReportError) -> UInt64 {
        var number: UInt64 = 0
        for shift in stride(from: 0, to: 63, by: 7) {
            guard let byte = bytes.popFirst() else { throw invalid("its end is missing") }
            number |= UInt64(byte & 0x7f) << UInt64(shift)
            if byte < 0x80 { return number }
        }
        throw invalid("a number is too large")
    }

    private static func invalid(_ detail: String) -> ReportError {
        ReportError(
            "that is no version vector (\(detail)): copy it whole from “About” in an earlier report"
        )
    }
}
