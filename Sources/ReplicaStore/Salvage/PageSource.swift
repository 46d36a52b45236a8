internal import Foundation

/// The pages of a database as its last commit left them, read from the file and its write-ahead log
/// without SQLite: for files that SQLite refuses.
///
/// The formats are those of SQLite's "Database File Format" and "WAL-mode File Format". Nothing in
/// the bytes is believed further than it can be checked.
struct PageSource {
    private let file: Data
    private let log: Data
    /// By page number: where its last committed content starts in the log.
    private let frames: [UInt32: Int]
    let pageBytes: Int
    /// Bytes of a page that hold content.
    let usableBytes: Int
    let pageCount: UInt32

    /// - Parameter log: of another log than the one beside the file.
    init(database path: String, log name: String? = nil) {
        file = (try? Data(contentsOf: URL(filePath: path), options: .mappedIfSafe)) ?? Data()
        log =
            (try? Data(contentsOf: URL(filePath: name ?? path + "-wal"), options: .mappedIfSafe))
            ?? Data()
        let scan = WALScan(log: log)
        frames = scan.pages
        pageBytes = scan.pageBytes ?? Self.pageBytes(file) ?? 4_096
        usableBytes = pageBytes
        let inLog = frames.keys.max() ?? 0
        pageCount = max(UInt32(clamping: file.count / pageBytes), inLog)
    }

    /// No record is longer.
    var byteCount: UInt64 { UInt64(pageCount) * UInt64(pageBytes) }

    /// What the header says of the size; `nil` when it can't be.
    private static func pageBytes(_ file: Data) -> Int? {
        guard file.count >= 100 else { return nil }
        let size = Int(file[file.startIndex + 16]) << 8 | Int(file[file.startIndex + 17])
        let bytes = size == 1 ? 65_536 : size
        guard bytes >= 512, bytes <= 65_536, bytes & (bytes - 1) == 0,
            file.count == bytes
                * Int(
                    file[file.startIndex + 28..<file.startIndex + 32].reduce(0) {
                        $0 << 8 | UInt32($1)
                    })
        else { return nil }
        return bytes
    }

    /// - Parameter number: from 1.
    func page(_ number: UInt32) -> [UInt8]? {
        guard number >= 1, number <= pageCount else { return nil }
        if let offset = frames[number], offset + pageBytes <= log.count {
            return Array(log[log.startIndex + offset..<log.startIndex + offset + pageBytes])
        }
        let start = (Int(number) - 1) * pageBytes
        guard start + pageBytes <= file.count else { return nil }
        return Array(file[file.startIndex + start..<file.startIndex + start + pageBytes])
    }
}
