internal import Merge
internal import RecordSchema

extension FieldReader {
    /// A site's latitude, longitude and accuracy, which are one value. The accuracy may be unknown.
    mutating func position() -> Value? {
        let count = problems.count
        let latitude = number("lat", in: -90...90)
        let longitude = number("lon", in: -180...180)
        let accuracy = number("accuracy_m", in: 0...1_000_000)
        guard problems.count == count else { return nil }
        switch (latitude, longitude) {
        case (let latitude?, let longitude?):
            let last: Value = accuracy.map { .real($0) } ?? .null
            return .composite([.real(latitude), .real(longitude), last])
        case (nil, nil):
            if accuracy != nil {
                fail("accuracy_m", "an accuracy needs a place: fill in lat and lon, or clear it")
            }
        case (nil, _?): fail("lat", "there is a lon and no lat: fill in both or neither")
        case (_?, nil): fail("lon", "there is a lat and no lon: fill in both or neither")
        }
        return nil
    }

    private mutating func number(_ column: String, in range: ClosedRange<Double>) -> Double? {
        guard let typed = token(column) else { return nil }
        guard Self.isDecimal(typed), let number = Double(typed) else {
            let isComma = typed.contains(",")
            fail(
                column,
                "“\(ImportText.clipped(typed))” is not a number: "
                    + (isComma ? "write a point and no comma, like 39.2" : "write it like 39.2"))
            return nil
        }
        guard range.contains(number) else {
            let (low, high) = (Int(range.lowerBound), Int(range.upperBound))
            fail(column, "\(ImportText.clipped(typed)) is out of range: write \(low) to \(high)")
            return nil
        }
        return number
    }

    /// A sign, digits, a point and digits; the last two or the first may be missing. `Double` reads
    /// much more, down to `nan` and hexadecimal digits.
    private static func isDecimal(_ text: String) -> Bool {
        let digits = UInt8(ascii: "0")...UInt8(ascii: "9")
        let signs = [UInt8(ascii: "+"), UInt8(ascii: "-")]
        let unsigned = text.utf8.drop { signs.contains($0) }
        let parts = unsigned.split(
            separator: UInt8(ascii: "."), maxSplits: 1, omittingEmptySubsequences: false)
        return text.utf8.count - unsigned.count <= 1
            && parts.allSatisfy { !$0.isEmpty && $0.allSatisfy(digits.contains) }
    }

    /// Notes an item that ends before it starts.
    mutating func checkOrder(_ row: ImportRow) {
        func time(_ name: String) -> Int64? {
            guard
                case .integer(let time)? = row.registers.first(where: { $0.column.name == name })?
                    .value
            else { return nil }
            return time
        }
        if let start = time("planned_start"), let end = time("planned_end"), end < start {
            fail("planned_end", "the item ends before it starts: correct one of the two times")
        }
    }
}
