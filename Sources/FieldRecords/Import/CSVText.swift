/// The text of a CSV file, cut into the lines that editors count.
struct CSVText {
    /// With their ends.
    let lines: [ArraySlice<UInt8>]
    let delimiter: UInt8

    private static let mark: [UInt8] = [0xEF, 0xBB, 0xBF]
    private static let lineFeed = UInt8(ascii: "\n")
    private static let carriageReturn = UInt8(ascii: "\r")

    /// Notes every line that isn't text; `nil` then, and for a file that is empty.
    init?(_ bytes: [UInt8], problems: inout ImportProblems) {
        if bytes.starts(with: [0xFF, 0xFE]) || bytes.starts(with: [0xFE, 0xFF]) {
            problems.append(
                ImportProblem(line: 1, "the file is UTF-16: save it as “CSV UTF-8” and try again"))
            return nil
        }
        lines = Self.split(bytes.dropFirst(bytes.starts(with: Self.mark) ? 3 : 0))
        guard let header = lines.first(where: { !Self.isBlank($0) }) else {
            problems.append(
                ImportProblem(line: 1, "the file is empty: its first line must name the columns"))
            return nil
        }
        delimiter = Self.delimiter(of: header)
        let count = problems.count
        var isQuoted = false
        for (index, line) in lines.enumerated() {
            if let message = Self.fault(of: line, &isQuoted) {
                problems.append(ImportProblem(line: index + 1, message))
            }
        }
        guard problems.count == count else { return nil }
    }

    static func isBlank(_ line: ArraySlice<UInt8>) -> Bool {
        line.allSatisfy { $0 == lineFeed || $0 == carriageReturn }
    }

    /// A line ends with LF, CRLF or a lone CR.
    private static func split(_ bytes: ArraySlice<UInt8>) -> [ArraySlice<UInt8>] {
        var lines: [ArraySlice<UInt8>] = []
        var start = bytes.startIndex
        for index in bytes.indices {
            let next = index + 1 < bytes.endIndex ? bytes[index + 1] : nil
            guard bytes[index] == lineFeed || bytes[index] == carriageReturn && next != lineFeed
            else { continue }
            lines.append(bytes[start...index])
            start = index + 1
        }
        if start < bytes.endIndex { lines.append(bytes[start...]) }
        return lines
    }

    /// What the first line has most of outside of quotes; a comma where nothing decides.
    private static func delimiter(of header: ArraySlice<UInt8>) -> UInt8 {
        var counts = [UInt8(ascii: ","): 0, UInt8(ascii: ";"): 0, UInt8(ascii: "\t"): 0]
        var isQuoted = false
        for byte in header {
            if byte == UInt8(ascii: "\"") {
                isQuoted.toggle()
            } else if !isQuoted {
                counts[byte]? += 1
            }
        }
        var best = UInt8(ascii: ",")
        for candidate in [UInt8(ascii: ";"), UInt8(ascii: "\t")]
        where counts[candidate, default: 0] > counts[best, default: 0] {
            best = candidate
        }
        return best
    }

    /// A NUL between quotes is part of a value; elsewhere it tells of UTF-16 or of a damaged disk.
    ///
    /// - Parameter isQuoted: whether a quote is open where the line starts, and then where it ends.
    private static func fault(of line: ArraySlice<UInt8>, _ isQuoted: inout Bool) -> String? {
        for byte in line {
            if byte == UInt8(ascii: "\"") {
                isQuoted.toggle()
            } else if byte == 0, !isQuoted {
                return
                    "the line has a NUL byte outside of quotes, so the file is damaged or no text:"
                    + " export it again"
            }
        }
        guard String(validating: line, as: UTF8.self) == nil else { return nil }
        return "the line is not UTF-8: save the file as “CSV UTF-8” and try again"
    }
}
