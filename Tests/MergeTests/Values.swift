import Merge
import Testing

/// Values are their bytes: what looks alike differs, and what is written alike is equal.
@Suite struct Values {
    private static let numbers = (0..<40).map { Int64($0) }
    private static let kinds: [[Value]] = [
        numbers.map { .integer($0) },
        numbers.map { .real(Double($0)) } + [.real(-0.0), .real(.nan), .real(-.nan)],
        numbers.map { .text("t\($0)") } + [.text("é"), .text("e\u{301}"), .text(""), .text("\0")],
        numbers.map { .blob([1, UInt8($0)]) } + [.blob([]), .blob([1])],
        numbers.map { .composite([.integer(1), .integer($0)]) } + [.composite([])],
    ]

    @Test func `a value equals itself and nothing else`() {
        let all = [.null] + Self.kinds.flatMap { $0 }
        for (i, a) in all.enumerated() {
            for (j, b) in all.enumerated() {
                #expect((a == b) == (i == j), "\(a) and \(b)")
            }
        }
        #expect(Value.real(.nan) == .real(.nan))
    }

    @Test(arguments: kinds) func `values that differ fall apart in a hash table`(kind: [Value]) {
        #expect(Set(kind.map(\.hashValue)).count > kind.count - 3)
        for value in kind {
            let again = value
            #expect(value.hashValue == again.hashValue)
        }
    }
}
