package import Causality
internal import Foundation

/// What the replica at this place wrote last: the file `REPLICA.install`, beside the replica and
/// never in it.
///
/// A copy of the replica lies beside no such file, or beside another's; an older copy that was put
/// back holds fewer changes or runs than it names. It is written after each commit that the disk has kept,
/// so that it is never ahead of the replica, and synced before a run leaves. It holds one record of
/// ``byteCount`` bytes, always written whole.
package final class InstallFile {
    /// A stream, its last changeset, the last that lies in a run, and what else the file has kept: of a hub
    /// how many runs, of a laptop what it has written in other scopes.
    package struct Mark: Equatable {
        package var stream: StreamID
        package var head: UInt64
        package var sealed: UInt64
        package var kept: UInt64

        package init(stream: StreamID, head: UInt64, sealed: UInt64 = 0, kept: UInt64 = 0) {
            (self.stream, self.head, self.sealed, self.kept) = (stream, head, sealed, kept)
        }

        init(_ record: StreamRecord, kept: UInt64) {
            self.init(
                stream: record.stream, head: record.head, sealed: record.sealed, kept: kept)
        }

        /// Whether a file that stands at `record` holds all that this tells of. One that has the
        /// changesets and not the run would seal them anew, behind other deps maybe: another run
        /// under the same numbers.
        func isHeld(by record: StreamRecord, kept count: UInt64) -> Bool {
            stream == record.stream && head <= record.head && sealed <= record.sealed
                && kept <= count
        }

        /// In their order.
        fileprivate var numbers: [UInt64] { kept > 0 ? [head, sealed, kept] : [head, sealed] }

    }

    package static func path(replica: String) -> String { replica + ".install" }

    private let path: String
    private var descriptor: Int32 = -1
    /// What stands in the file, as far as this process wrote or read it.
    private var written: Mark?
    /// What is on the disk, in the file of this number.
    private var durable: (mark: Mark, inode: UInt64)?

    private static let heading = Array("karvan install 1\n".utf8)
    private static let space = UInt8(ascii: " ")
    private static let byteCount = 128
    /// The record that was made last: what follows differs in a few digits.
    private var record = InstallFile.emptyRecord

    package init(replica: String) { path = Self.path(replica: replica) }

    deinit { if descriptor >= 0 { close(descriptor) } }

    /// What the file says; `nil` without a file, or for one that doesn't hold a record.
    func read() -> Mark? {
        // Another may lie there by now.
        if descriptor >= 0 { close(descriptor) }
        (descriptor, written) = (-1, nil)
        guard open(making: false) else { return nil }
        let bytes = [UInt8](unsafeUninitializedCapacity: Self.byteCount) { buffer, count in
            count = max(pread(descriptor, buffer.baseAddress, buffer.count, 0), 0)
        }
        written = Self.parse(bytes)
        return written
    }

    /// Makes the file unless there is one, and syncs it with its folder. A new one names nothing.
    func reserve() throws(StoreError) {
        if open(making: false) { return }
        guard open(making: true), write(Array(repeating: Self.space, count: Self.byteCount)),
            fsync(descriptor) == 0
        else { throw StoreError.system(path) }
        written = nil
        try FileSwap.syncFolder(of: path)
    }

    /// Notes what the replica has kept. Without an error: what stands there is older then, which is
    /// less to compare with, and never wrong.
    package func note(_ mark: Mark) {
        guard mark != written, open(making: false) else { return }
        Self.put(mark, into: &record)
        guard write(record) else { return }
        written = mark
    }

    /// Brings `mark` to the disk.
    func sync(_ mark: Mark) throws(StoreError) {
        guard open(making: false), let inode else { throw StoreError.system(path) }
        if let durable, durable == (mark, inode), written == mark { return }
        guard write(Self.record(mark)), fdatasync(descriptor) == 0 else {
            throw StoreError.system(path)
        }
        (written, durable) = (mark, (mark, inode))
    }

    private func open(making: Bool) -> Bool {
        if descriptor < 0 {
            let flags = O_RDWR | O_CLOEXEC | (making ? O_CREAT : 0)
            descriptor = Foundation.open(path, flags, 0o600)
        }
        return descriptor >= 0
    }

    private var inode: UInt64? {
        var facts = stat()
        return fstat(descriptor, &facts) == 0 ? UInt64(facts.st_ino) : nil
    }

    private func write(_ bytes: [UInt8]) -> Bool {
        bytes.withUnsafeBytes { pwrite(descriptor, $0.baseAddress, $0.count, 0) } == bytes.count
    }

    private static let emptyRecord =
        heading + Array(repeating: space, count: byteCount - heading.count - 1)
        + [UInt8(ascii: "\n")]

    /// The heading, then stream, head, sealed head, what else was kept if anything, and check in hexadecimal
    /// digits, then spaces.
    private static func record(_ mark: Mark) -> [UInt8] {
        var record = emptyRecord
        put(mark, into: &record)
        return record
    }

    private static func put(_ mark: Mark, into record: inout [UInt8]) {
        let stream = mark.stream.identifier
        record.withUnsafeMutableBytes { bytes in
            write(stream.high, to: bytes, at: heading.count)
            var place = heading.count + 16
            write(stream.low, to: bytes, at: place)
            for word in mark.numbers + [check(mark)] {
                place += 17
                write(word, to: bytes, at: place)
            }
        }
    }

    private static func write(
        _ number: UInt64, to record: UnsafeMutableRawBufferPointer, at place: Int
    ) {
        let digits = (digits(UInt32(number >> 32)), digits(UInt32(truncatingIfNeeded: number)))
        record.storeBytes(of: digits.0.bigEndian, toByteOffset: place, as: UInt64.self)
        record.storeBytes(of: digits.1.bigEndian, toByteOffset: place + 8, as: UInt64.self)
    }

    /// Eight hexadecimal digits, the highest in the highest byte: each half moves away from the
    /// other until every byte has four bits, and all bytes become letters at once.
    private static func digits(_ number: UInt32) -> UInt64 {
        var bits = UInt64(number)
        bits = (bits & 0xffff_0000) << 16 | bits & 0xffff
        bits = (bits & 0xff00_0000_ff00) << 8 | bits & 0xff_0000_00ff
        bits = (bits & 0xf0_00f0_00f0_00f0) << 4 | bits & 0xf_000f_000f_000f
        let letters = (bits + 0x0606_0606_0606_0606) >> 4 & 0x0101_0101_0101_0101
        return bits + 0x3030_3030_3030_3030 + letters * 0x27
    }

    /// FNV-1a over the words: against a torn or damaged record.
    private static func check(_ mark: Mark) -> UInt64 {
        var hash: UInt64 = 0xcbf2_9ce4_8422_2325
        let stream = mark.stream.identifier
        for word in [stream.high, stream.low] + mark.numbers {
            for shift in stride(from: 56, through: 0, by: -8) {
                hash = (hash ^ (word >> UInt64(shift) & 0xff)) &* 0x100_0000_01b3
            }
        }
        return hash
    }

    private static func parse(_ bytes: [UInt8]) -> Mark? {
        guard bytes.count == byteCount, bytes.starts(with: heading) else { return nil }
        let words = String(decoding: bytes.dropFirst(heading.count), as: UTF8.self)
            .split(whereSeparator: \.isWhitespace)
        let numbers = words.dropFirst().compactMap { UInt64($0, radix: 16) }
        guard (4...5).contains(words.count), numbers.count == words.count - 1,
            let stream = Identifier(hexadecimal: words[0])
        else { return nil }
        let mark = Mark(
            stream: StreamID(stream), head: numbers[0], sealed: numbers[1],
            kept: words.count == 5 ? numbers[2] : 0)
        return record(mark) == bytes ? mark : nil
    }
}
