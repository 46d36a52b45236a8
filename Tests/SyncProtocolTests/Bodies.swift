import Causality
import Merge
import SyncProtocol
import Testing

@Suite struct Bodies {
    private func readAll(_ reader: BodyReader) throws -> [Changeset] {
        var reader = reader
        var changesets: [Changeset] = []
        while let changeset = try reader.next() { changesets.append(changeset) }
        return changesets
    }

    @Test func `changesets of every shape read as they were written`() throws {
        for seed in 1...600 {
            var sampler = Sampler(
                seed: UInt64(seed), previousRun: seed % 2 == 0 ? Digest(sha256: []) : nil)
            var writer = sampler.writer()
            var expected: [Changeset] = []
            var body: [UInt8] = []
            var pieces: [(bytes: [UInt8], streams: [StreamID])] = []
            for _ in 0..<6 {
                let written = sampler.write(sampler.draft(), to: &writer)
                expected.append(written.changeset)
                body += written.bytes
                pieces.append((written.bytes, written.newStreams))
            }
            let found = try readAll(sampler.reader(body, streams: writer.streams))
            #expect(found == expected, "seed \(seed)")
            // A changeset at a time, as the tail is kept.
            var reader = sampler.reader([], streams: [])
            for (piece, changeset) in zip(pieces, expected) {
                reader.append(piece.bytes, newStreams: piece.streams)
                #expect(try reader.next() == changeset)
                #expect(try reader.next() == nil)
            }
            #expect(reader.streams == writer.streams)
        }
    }

    @Test func `an abandoned changeset leaves no trace`() {
        for seed in 1...200 {
            var sampler = Sampler(seed: UInt64(seed))
            var writer = sampler.writer()
            for _ in 0..<3 { _ = sampler.write(sampler.draft(), to: &writer) }
            let wanted = sampler.draft()
            var plain = writer
            let expected = sampler.write(wanted, to: &plain)
            // Something else is begun, and given up: by word, or by beginning again.
            var other = Sampler(seed: UInt64(seed) + 1_000, stream: sampler.stream)
            let garbage = other.draft()
            writer.begin(seq: wanted.changeset.dot.seq, time: wanted.changeset.time)
            for row in garbage.rows {
                _ = writer.makeRowID()
                writer.row(
                    table: 1, id: row.change.row, name: row.name,
                    itemCount: row.change.operations.reduce(0) { $0 + BodyWriter.itemCount($1) })
                for (operation, wire) in zip(row.change.operations, row.wires) {
                    writer.write(operation, as: wire)
                }
            }
            if seed % 2 == 0 { writer.abandon() }
            let found = sampler.write(wanted, to: &writer)
            #expect(found.bytes == expected.bytes)
            #expect(found.changeset == expected.changeset)
            #expect(found.newStreams == expected.newStreams)
            #expect(writer.streams == plain.streams)
        }
    }

    @Test func `a writer that takes over a stored tail goes on as the first would have`() throws {
        for seed in 1...200 {
            var sampler = Sampler(seed: UInt64(seed))
            var writer = sampler.writer()
            var body: [UInt8] = []
            for _ in 0..<4 { body += sampler.write(sampler.draft(), to: &writer).bytes }
            var reader = sampler.reader(body, streams: writer.streams)
            while try reader.next() != nil {}
            var resumed = sampler.writer()
            resumed.resume(reader)
            for _ in 0..<4 {
                let draft = sampler.draft()
                let expected = sampler.write(draft, to: &writer)
                let found = sampler.write(draft, to: &resumed)
                #expect(found.bytes == expected.bytes)
                #expect(found.changeset == expected.changeset)
                #expect(found.newStreams == expected.newStreams)
            }
        }
    }

    @Test func `a body that ends early is refused or holds fewer changesets`() throws {
        for seed in 1...20 {
            var sampler = Sampler(seed: UInt64(seed))
            var writer = sampler.writer()
            var (body, ends): ([UInt8], Set<Int>) = ([], [0])
            for _ in 0..<4 {
                body += sampler.write(sampler.draft(), to: &writer).bytes
                ends.insert(body.count)
            }
            for count in 0..<body.count {
                let reader = sampler.reader(Array(body[..<count]), streams: writer.streams)
                if ends.contains(count) {
                    #expect(try readAll(reader).count < 4)
                } else {
                    #expect(throws: CBORError.self) { try readAll(reader) }
                }
            }
        }
    }

    @Test func `ids of new rows come from their changeset, in its order, and never twice`() {
        let sampler = Sampler(seed: 1)
        var writer = sampler.writer()
        var all: Set<RowID> = []
        for seq in 1...50 as ClosedRange<UInt64> {
            let time = HybridTime(rawValue: 1_764_000_000_000 << 16 | seq)
            writer.begin(seq: seq, time: time)
            var last: RowID?
            for _ in 0..<20 {
                guard let id = writer.makeRowID() else {
                    Issue.record("no id")
                    return
                }
                if let last { #expect(last < id) }
                last = id
                #expect(all.insert(id).inserted)
                #expect(id.identifier.high >> 16 == 1_764_000_000_000)
                writer.row(table: 1, id: id, name: .new, itemCount: BodyWriter.putItemCount)
                writer.put(column: 1, .plain(.integer(1)))
            }
            _ = writer.finish(author: "", claimedMilliseconds: 0, action: nil)
        }
        writer.begin(seq: 51, time: HybridTime(milliseconds: 1_764_000_000_001))
        for _ in 0..<NewRowIDs.limit { #expect(writer.makeRowID() != nil) }
        #expect(writer.makeRowID() == nil)
    }

    /// Bytes that break one rule each.
    @Test func `what no writer makes is refused`() throws {
        let sampler = Sampler(seed: 1)
        let faults: [(String, (inout CBOREncoder) -> Void)] = [
            ("no items", { $0.array(0) }),
            (
                "no rows' list, only a time",
                {
                    $0.array(1); $0.unsigned(2)
                }
            ),
            (
                "a time of 0",
                {
                    $0.array(2); $0.unsigned(0); $0.null()
                }
            ),
            (
                "a counter of 0",
                {
                    $0.array(3); $0.unsigned(3); $0.unsigned(0); $0.null()
                }
            ),
            (
                "a counter too large",
                {
                    $0.array(3); $0.unsigned(3); $0.unsigned(65_536); $0.null()
                }
            ),
            (
                "a time beyond 48 bits",
                {
                    $0.array(2); $0.unsigned(1 << 49); $0.null()
                }
            ),
            (
                "a row without ops",
                {
                    head(&$0); $0.array(2); $0.unsigned(1); $0.null()
                }
            ),
            (
                "an unknown shape",
                {
                    row(&$0, 4); $0.unsigned(1 << 4 | 8); $0.null()
                }
            ),
            (
                "a put without a value",
                {
                    row(&$0, 3); $0.unsigned(1 << 4)
                }
            ),
            (
                "a put of the row itself",
                {
                    row(&$0, 4); $0.unsigned(0); $0.null()
                }
            ),
            (
                "a delete of a column",
                {
                    row(&$0, 5); $0.unsigned(1 << 4 | 4); $0.array(0); $0.array(0)
                }
            ),
            (
                "two ops of a cell",
                {
                    row(&$0, 6)
                    for _ in 0..<2 { $0.unsigned(1 << 4); $0.null() }
                }
            ),
            (
                "a dot of itself",
                {
                    row(&$0, 4); $0.unsigned(1 << 4 | 3); $0.array(1); $0.unsigned(0)
                }
            ),
            (
                "a dot before the first",
                {
                    row(&$0, 4); $0.unsigned(1 << 4 | 3); $0.array(1); $0.unsigned(2)
                }
            ),
            (
                "a dot of no stream",
                {
                    row(&$0, 4); $0.unsigned(1 << 4 | 3); $0.array(2); $0.unsigned(1);
                    $0.unsigned(1)
                }
            ),
            (
                "half a dot",
                {
                    row(&$0, 4); $0.unsigned(1 << 4 | 3); $0.array(1); $0.unsigned(1)
                }
            ),
            (
                "a row of no number",
                {
                    head(&$0); $0.array(4); $0.unsigned(1); $0.unsigned(9)
                }
            ),
            (
                "a short id",
                {
                    head(&$0); $0.array(4); $0.unsigned(1); $0.blob([1, 2, 3])
                }
            ),
            (
                "a column over 32 bits",
                {
                    row(&$0, 4); $0.unsigned(1 << 60); $0.null()
                }
            ),
            (
                "an empty list for a value",
                {
                    row(&$0, 4); $0.unsigned(1 << 4); $0.array(0)
                }
            ),
            (
                "a composite in a composite",
                {
                    row(&$0, 4)
                    $0.unsigned(1 << 4)
                    $0.array(2)
                    $0.unsigned(0)
                    $0.array(1)
                    $0.unsigned(0)
                }
            ),
            (
                "a value over its limit",
                {
                    row(&$0, 4)
                    $0.unsigned(1 << 4)
                    $0.blob([UInt8](repeating: 0, count: Limits.valueBytes + 1))
                }
            ),
        ]
        func head(_ encoder: inout CBOREncoder) {
            encoder.array(3)
            encoder.unsigned(2)
            encoder.null()
        }
        func row(_ encoder: inout CBOREncoder, _ count: Int) {
            head(&encoder)
            encoder.array(count)
            encoder.unsigned(1)
            encoder.null()
        }
        for (name, make) in faults {
            var encoder = CBOREncoder()
            make(&encoder)
            #expect(throws: CBORError.self, "\(name)") {
                try readAll(sampler.reader(encoder.bytes, streams: []))
            }
        }
        var encoder = CBOREncoder()
        row(&encoder, 4)
        encoder.unsigned(1 << 4)
        encoder.null()
        #expect(try readAll(sampler.reader(encoder.bytes, streams: [])).count == 1)
    }

    @Test(arguments: [2, 16, 17, 40_000])
    func `a row of many ops is read in time, and a cell that comes twice is found`(
        count: Int
    ) throws {
        let sampler = Sampler(seed: 1)
        for isDoubled in [false, true] {
            var encoder = CBOREncoder()
            encoder.array(3)
            encoder.unsigned(2)
            encoder.null()
            encoder.array(2 + 2 * count)
            encoder.unsigned(1)
            encoder.null()
            for number in 0..<count {
                encoder.unsigned(1 << 4 | 5)
                encoder.integer(Int64(isDoubled && number == count - 1 ? 0 : number))
            }
            let reader = sampler.reader(encoder.bytes, streams: [])
            if isDoubled {
                #expect(throws: CBORError.self) { try readAll(reader) }
            } else {
                #expect(try readAll(reader)[0].rows[0].operations.count == count)
            }
        }
    }

    @Test func `a changeset that names a cell twice, in two rows of one name, is refused`() throws {
        let sampler = Sampler(seed: 1)
        var writer = sampler.writer()
        writer.begin(seq: 1, time: HybridTime(milliseconds: 1))
        let id = RowID(Identifier(high: 1, low: 1))
        for number in 0..<2 {
            writer.row(table: 1, id: id, name: .whole, itemCount: BodyWriter.putItemCount)
            writer.put(column: 1, .plain(.integer(Int64(number))))
        }
        let body = writer.finish(author: "", claimedMilliseconds: 1, action: nil).bytes
        #expect(throws: CBORError.self) { try readAll(sampler.reader(body, streams: [])) }
    }

    @Test(arguments: [2, 3])
    func `a changeset may name a row again, for other cells`(columnCount: UInt32) throws {
        let sampler = Sampler(seed: 1)
        var writer = sampler.writer()
        writer.begin(seq: 1, time: HybridTime(milliseconds: 1))
        let id = RowID(Identifier(high: 1, low: 1))
        for column in 1...columnCount {
            writer.row(table: 1, id: id, name: .whole, itemCount: BodyWriter.putItemCount)
            writer.put(column: column, .plain(.null))
        }
        let body = writer.finish(author: "", claimedMilliseconds: 1, action: nil).bytes
        #expect(
            try readAll(sampler.reader(body, streams: []))[0].rows.count == Int(columnCount))
    }

    @Test func `a cell named by the first and the third entry of its row is refused`() throws {
        let sampler = Sampler(seed: 1)
        var writer = sampler.writer()
        writer.begin(seq: 1, time: HybridTime(milliseconds: 1))
        let id = RowID(Identifier(high: 1, low: 1))
        for column: UInt32 in [1, 2, 1] {
            writer.row(table: 1, id: id, name: .whole, itemCount: BodyWriter.putItemCount)
            writer.put(column: column, .plain(.null))
        }
        let body = writer.finish(author: "", claimedMilliseconds: 1, action: nil).bytes
        #expect(throws: CBORError.self) { try readAll(sampler.reader(body, streams: [])) }
    }
}
