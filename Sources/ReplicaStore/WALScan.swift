internal import Foundation

/// Looks for committed work behind a damaged frame of a write-ahead log.
///
/// When SQLite opens a file it reads the log up to the first frame whose checksum is wrong and drops
/// what follows, without a word. Frames that follow with the salts of this log and the mark of a
/// commit were once a transaction; frames without that mark are what a killed process left, and are
/// no loss. The format is that of SQLite's "WAL-mode File Format".
struct WALScan {
    /// Commits that can't be read any more.
    private(set) var lostCommits = 0

    /// - Parameter path: of the database; its log lies beside it. Nobody may be writing to it.
    init(database path: String) {
        guard let log = try? Data(contentsOf: URL(filePath: path + "-wal"), options: .mappedIfSafe)
        else { return }
        log.withUnsafeBytes { scan($0) }
    }

    private static let headerBytes = 32
    private static let frameHeaderBytes = 24

    private mutating func scan(_ log: UnsafeRawBufferPointer) {
        guard log.count >= Self.headerBytes else { return }
        let magic = Self.word(log, 0)
        guard magic & 0xffff_fffe == 0x377f_0682 else { return }
        let isBigEndian = magic & 1 == 1
        let pageBytes = Int(Self.word(log, 8))
        guard pageBytes >= 512, pageBytes <= 65_536 else { return }
        let salts = (Self.word(log, 16), Self.word(log, 20))
        var sum = Checksum(isBigEndian: isBigEndian)
        sum.add(log, 0..<24)
        guard sum.matches(log, at: 24) else { return }
        var isWhole = true
        var offset = Self.headerBytes
        while offset + Self.frameHeaderBytes + pageBytes <= log.count {
            // Frames with other salts are of an earlier log, or damaged themselves.
            let isOfLog = (Self.word(log, offset + 8), Self.word(log, offset + 12)) == salts
            if !isOfLog { isWhole = false }
            if isWhole {
                sum.add(log, offset..<offset + 8)
                sum.add(
                    log, offset + Self.frameHeaderBytes..<offset + Self.frameHeaderBytes + pageBytes
                )
                isWhole = sum.matches(log, at: offset + 16)
            }
            // The size of the database stands in a frame that ends a transaction.
            if isOfLog, !isWhole, Self.word(log, offset + 4) != 0 { lostCommits += 1 }
            offset += Self.frameHeaderBytes + pageBytes
        }
    }

    private static func word(_ log: UnsafeRawBufferPointer, _ offset: Int) -> UInt32 {
        UInt32(bigEndian: log.loadUnaligned(fromByteOffset: offset, as: UInt32.self))
    }

    /// The running checksum of a log: over pairs of words, in the byte order that the log names.
    private struct Checksum {
        let isBigEndian: Bool
        var first: UInt32 = 0
        var second: UInt32 = 0

        mutating func add(_ log: UnsafeRawBufferPointer, _ range: Range<Int>) {
            for offset in stride(from: range.lowerBound, to: range.upperBound, by: 8) {
                first &+= word(log, offset) &+ second
                second &+= word(log, offset + 4) &+ first
            }
        }

        private func word(_ log: UnsafeRawBufferPointer, _ offset: Int) -> UInt32 {
            let raw = log.loadUnaligned(fromByteOffset: offset, as: UInt32.self)
            return isBigEndian ? UInt32(bigEndian: raw) : UInt32(littleEndian: raw)
        }

        func matches(_ log: UnsafeRawBufferPointer, at offset: Int) -> Bool {
            WALScan.word(log, offset) == first && WALScan.word(log, offset + 4) == second
        }
    }
}
