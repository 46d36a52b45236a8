internal import Foundation

/// Looks for committed work behind a damaged place of a write-ahead log.
///
/// When SQLite opens a file it reads the log up to the first frame whose checksum is wrong and drops
/// what follows, without a word; of a log whose header is damaged it drops all. Frames that follow
/// with the salts of this log and the mark of a commit were once a transaction; frames without that
/// mark are what a killed process left, and are no loss. Neither is a last one whose page doesn't
/// fit its sum: SQLite writes a frame's header and its page one after the other, and whoever is
/// killed between them has told nobody. If it was told, and damaged since, the file beside the
/// replica names a change more than it holds. The format is that of SQLite's "WAL-mode File Format".
struct WALScan {
    /// Commits that SQLite won't read any more.
    private(set) var lostCommits = 0
    /// By page number: where in the log its last whole content starts, also behind damaged places.
    private(set) var pages: [UInt32: Int] = [:]
    private(set) var pageBytes: Int?

    /// - Parameter path: of the database; its log lies beside it. Nobody may be writing to it.
    init(database path: String) {
        let log = try? Data(contentsOf: URL(filePath: path + "-wal"), options: .mappedIfSafe)
        self.init(log: log ?? Data(), database: path)
    }

    /// - Parameter path: of the database, to tell a log that was carried over from one that was lost.
    init(log: Data, database path: String? = nil) {
        log.withUnsafeBytes { scan($0, path) }
    }

    private static let headerBytes = 32
    private static let frameHeaderBytes = 24

    private struct Header {
        var isBigEndian: Bool
        var pageBytes: Int
        var salts: (UInt32, UInt32)
        /// Whether SQLite takes it for one.
        var isWhole: Bool
    }

    private mutating func scan(_ log: UnsafeRawBufferPointer, _ path: String?) {
        guard let header = Self.header(log) else { return }
        pageBytes = header.pageBytes
        var isRead = header.isWhole
        var isTorn = false
        var previous = Self.headerBytes - 8
        var uncommitted: [UInt32: Int] = [:]
        var offset = Self.headerBytes
        let frameBytes = Self.frameHeaderBytes + header.pageBytes
        while offset + frameBytes <= log.count {
            // Frames with other salts are of an earlier log, or damaged themselves.
            let isOfLog =
                Self.word(log, offset + 8) == header.salts.0
                && Self.word(log, offset + 12) == header.salts.1
            let isWhole = isOfLog && Self.isWhole(log, offset, after: previous, header)
            let isCommit = Self.word(log, offset + 4) != 0
            isRead = isRead && isWhole
            if isWhole { uncommitted[Self.word(log, offset)] = offset + Self.frameHeaderBytes }
            if isWhole, isCommit {
                pages.merge(uncommitted) { $1 }
                uncommitted = [:]
            }
            if isOfLog {
                let isLost = !isRead && isCommit
                if isTorn { lostCommits += 1 }
                if isLost, isWhole { lostCommits += 1 }
                isTorn = isLost && !isWhole
            }
            previous = offset + 16
            offset += frameBytes
        }
        if !header.isWhole, let path, isCarriedOver(log, path, header.pageBytes) { lostCommits = 0 }
    }

    /// Each frame's sum goes on from the one before, wherever that is damaged.
    private static func isWhole(
        _ log: UnsafeRawBufferPointer, _ offset: Int, after previous: Int, _ header: Header
    ) -> Bool {
        var sum = Checksum(
            isBigEndian: header.isBigEndian, first: word(log, previous),
            second: word(log, previous + 4))
        sum.add(log, offset..<offset + 8)
        let start = offset + frameHeaderBytes
        sum.add(log, start..<start + header.pageBytes)
        return sum.matches(log, at: offset + 16)
    }

    /// The header, or what it must have been by its first frame.
    private static func header(_ log: UnsafeRawBufferPointer) -> Header? {
        guard log.count >= headerBytes + frameHeaderBytes else { return nil }
        let (magic, pageBytes) = (word(log, 0), Int(word(log, 8)))
        var header = Header(
            isBigEndian: magic & 1 == 1, pageBytes: pageBytes,
            salts: (word(log, 16), word(log, 20)), isWhole: false)
        if magic & 0xffff_fffe == 0x377f_0682, (512...65_536).contains(pageBytes),
            pageBytes & (pageBytes - 1) == 0
        {
            var sum = Checksum(isBigEndian: header.isBigEndian)
            sum.add(log, 0..<24)
            header.isWhole = sum.matches(log, at: 24)
            if header.isWhole { return header }
        }
        // A new log may have been begun when the machine stopped: then its frames are older ones.
        header.salts = (word(log, headerBytes + 8), word(log, headerBytes + 12))
        for size in [pageBytes, 4_096, 1_024, 8_192, 16_384, 32_768, 65_536] {
            let isSize = (512...65_536).contains(size) && size & (size - 1) == 0
            for isBigEndian in [false, true] where isSize {
                (header.pageBytes, header.isBigEndian) = (size, isBigEndian)
                let second = headerBytes + frameHeaderBytes + size
                guard second + frameHeaderBytes + size <= log.count else {
                    continue
                }
                if isWhole(log, second, after: headerBytes + 16, header) { return header }
            }
        }
        header.pageBytes = 4_096
        return header
    }

    /// Whether the file holds all that the log holds: then nothing is lost with the log.
    private func isCarriedOver(
        _ log: UnsafeRawBufferPointer, _ path: String, _ pageBytes: Int
    ) -> Bool {
        guard !pages.isEmpty,
            let file = try? Data(contentsOf: URL(filePath: path), options: .mappedIfSafe)
        else { return false }
        return pages.allSatisfy { number, offset in
            let start = (Int(number) - 1) * pageBytes
            guard start >= 0, start + pageBytes <= file.count else { return false }
            return file[file.startIndex + start..<file.startIndex + start + pageBytes]
                .elementsEqual(log[offset..<offset + pageBytes])
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
