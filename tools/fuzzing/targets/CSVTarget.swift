import FieldRecords
import Merge
import RecordSchema

/// A file to import: a byte that picks what it lists, and the file.
struct CSVTarget: FuzzTarget {
    let inputLimit = 4_096
    let allocationLimit = 16

    func offer(_ bytes: [UInt8]) throws(Violation) -> Bool {
        guard let first = bytes.first else { return false }
        let kind = ImportKind.allCases[Int(first) % ImportKind.allCases.count]
        let file = Array(bytes.dropFirst())
        let last = Self.lineCount(file)
        let read: ImportFile
        do throws(ImportErrors) {
            read = try ImportFile.read(bytes: file, kind: kind, name: "list")
        } catch {
            try hold(!error.problems.isEmpty, "a file is refused for nothing")
            try hold(
                error.problems.allSatisfy { (1...last).contains($0.line) }
                    && zip(error.problems, error.problems.dropFirst())
                        .allSatisfy { $0.line <= $1.line },
                "a problem on a line that isn't there, or out of order")
            return false
        }
        try check(read, lastLine: last)
        try checkFrame(read, file)
        return true
    }

    private static func lineCount(_ file: [UInt8]) -> Int {
        var count = 1
        for (index, byte) in file.enumerated() {
            let isPair = byte == 0x0d && index + 1 < file.count && file[index + 1] == 0x0a
            if byte == 0x0a || byte == 0x0d, !isPair { count += 1 }
        }
        return count
    }

    private func check(_ read: ImportFile, lastLine: Int) throws(Violation) {
        try hold(!read.rows.isEmpty, "a file without rows is taken")
        let table = read.kind.table
        let keys = read.rows.filter { $0.table.id == table.id }.map(\.key)
        try hold(Set(keys).count == keys.count, "two records of one key")
        for row in read.rows + read.emptied {
            try hold((1...lastLine).contains(row.line), "a row on a line that isn't there")
            let columns = row.registers.map(\.column.id) + row.emptyColumns.map(\.id)
            try hold(Set(columns).count == columns.count, "a column twice in a row")
        }
        for reference in read.references {
            try hold(
                Forum.naturalKey(in: reference.table, named: reference.key) == reference.key,
                "a key is not its own normal form")
        }
    }

    /// A mark in front and a line's end behind change nothing.
    private func checkFrame(_ read: ImportFile, _ file: [UInt8]) throws(Violation) {
        let mark: [UInt8] = [0xef, 0xbb, 0xbf]
        let marked = file.starts(with: mark) ? file : mark + file
        let framed = try must("a file with a mark and a last line's end is refused") {
            try ImportFile.read(bytes: marked + [0x0a], kind: read.kind, name: "list")
        }
        try hold(framed == read, "a file with a mark and a last line's end reads otherwise")
    }
}
