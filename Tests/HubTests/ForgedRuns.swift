import Causality
import FieldRecords
import Hub
import Merge
import RecordSchema
import ReplicaStore
import SyncProtocol
import TestSupport
import Testing

/// Runs that are not as their device signed them, or that it may not write: nothing becomes of them, they
/// are told in words, and what is honest gets through behind them.
@Suite("Forged runs", .timeLimit(.minutes(20)))
struct ForgedRuns {
    private let forum: TrustedForum
    private let author: TrustedLaptop
    private let reader: TrustedLaptop

    init() throws {
        forum = try TrustedForum()
        (author, reader) = (try forum.member("L1"), try forum.member("L2"))
    }

    /// A run of each kind: the first of its stream, and one that refers to it.
    private func runs() throws -> [SealedRun] {
        for text in ["first", "first again"] { try author.note(text) }
        try author.write(Forum.site)
        let first = try author.seal()
        try author.note("first again")
        return [first, try author.seal()]
    }

    /// All that one changed bit makes of a run, as far as it can be read at all.
    private func variants(of run: SealedRun) -> (readable: [SealedRun], unreadableCount: Int) {
        let parts = [run.headerBytes, run.signature, run.body]
        var readable: [SealedRun] = []
        var unreadableCount = 0
        for part in parts.indices {
            for place in parts[part].indices {
                for bit in 0..<UInt8(8) {
                    var changed = parts
                    changed[part][place] ^= 1 << bit
                    let variant = try? SealedRun(
                        headerBytes: changed[0], signature: changed[1], body: changed[2])
                    if let variant {
                        readable.append(variant)
                    } else {
                        unreadableCount += 1
                    }
                }
            }
        }
        return (readable, unreadableCount)
    }

    @Test func `every bit of a run is signed, at a laptop and at the hub`() throws {
        let runs = try runs()
        let replicas = [reader.replica, forum.hub.replica]
        for run in runs {
            let (readable, unreadableCount) = variants(of: run)
            #expect(
                readable.count + unreadableCount
                    == 8 * (run.headerBytes.count + run.signature.count + run.body.count))
            #expect(readable.count > 8 * (run.signature.count + run.body.count))
            for replica in replicas {
                let before = try replica.stateHash()
                let results = try replica.ingest(readable)
                for (variant, result) in zip(readable, results) {
                    guard case .refused(let refusal) = result else {
                        Issue.record("a changed run is \(result)")
                        continue
                    }
                    // A person is told what is wrong with it.
                    #expect(refusal.explanation.contains(" "), "\(variant.header): \(refusal)")
                }
                #expect(try replica.stateHash() == before)
                // Nothing of that is in the way of the honest one, and behind it neither.
                guard case .applied = try replica.ingest([run])[0] else {
                    Issue.record("the honest run is not taken")
                    return
                }
                let again = try replica.ingest(readable)
                let after = try replica.stateHash()
                for (variant, result) in zip(readable, again) {
                    switch result {
                    case .refused: continue
                    // By its header it is the one that is held, which stays as it is.
                    case .duplicate where variant.headerBytes == run.headerBytes: continue
                    default: Issue.record("a changed run is \(result)")
                    }
                }
                #expect(try replica.stateHash() == after)
                #expect(try replica.run(RunStub(run)) == run)
            }
        }
        #expect(try reader.replica.verify().problems.isEmpty)
    }

    @Test func `nobody signs in another's name`() throws {
        let runs = try runs()
        let thief = try forum.member("L3")
        let key = try thief.replica.key()
        for (index, run) in runs.enumerated() {
            let signed = SealedRun(signing: run.header, body: run.body, key: key)
            // In a stream of his own, the run names its own device.
            var stolen = run.header
            if let origin = run.header.origin {
                stolen.origin = StreamOrigin(
                    publicKey: key.publicKey, scope: origin.scope, incarnation: origin.incarnation)
            }
            let other = SealedRun(signing: stolen, body: run.body, key: key)
            let results = try forum.exchange(thief, [signed]).rejections
            #expect(results.map(\.refusal.code) == [index == 0 ? .poison : .gap])
            if index == 0 {
                // The stream's name is a hash of whose it is.
                #expect(
                    throws: CBORError.self,
                    performing: {
                        try SealedRun(
                            headerBytes: other.headerBytes, signature: other.signature,
                            body: other.body)
                    })
            }
        }
        #expect(try forum.hub.replica.rowCount(of: Forum.note) == 0)
        #expect(try forum.exchange(author, runs).rejections.isEmpty)
        // And in the place behind them.
        var next = runs[1].header
        next.firstSeq = runs[1].header.lastSeq + 1
        next.previous = runs[1].hash
        next.origin = nil
        let behind = SealedRun(signing: next, body: runs[1].body, key: key)
        let rejections = try forum.exchange(thief, [behind]).rejections
        #expect(rejections.map(\.refusal.code) == [.poison])
        #expect(rejections[0].refusal.explanation.contains("signature is not its device's"))
    }

    @Test func `a run that was cut and put together anew is none`() throws {
        let runs = try runs()
        let mixed = [
            SealedRun(signing: runs[0].header, body: runs[1].body, key: try author.replica.key()),
            try SealedRun(
                headerBytes: runs[0].headerBytes, signature: runs[1].signature, body: runs[0].body),
            try SealedRun(
                headerBytes: runs[0].headerBytes, signature: runs[0].signature,
                body: runs[0].body + [0]),
            try SealedRun(
                headerBytes: runs[0].headerBytes, signature: runs[0].signature + [0],
                body: runs[0].body),
        ]
        for replica in [reader.replica, forum.hub.replica] {
            for result in try replica.ingest(mixed) {
                guard case .refused(let refusal) = result, refusal.code == .poison else {
                    Issue.record("it is \(result)")
                    continue
                }
            }
        }
        // Backwards, and twice.
        for result in try reader.replica.ingest([runs[1]]) {
            guard case .refused(let refusal) = result, refusal.code == .gap else {
                Issue.record("it is \(result)")
                continue
            }
        }
        _ = try reader.replica.ingest(runs)
        let hash = try reader.replica.stateHash()
        for result in try reader.replica.ingest(runs + runs.reversed()) {
            guard case .duplicate = result else {
                Issue.record("it is \(result)")
                continue
            }
        }
        #expect(try reader.replica.stateHash() == hash)
    }

    @Test func `an expired certificate keeps nobody's work out`() throws {
        try author.note("before")
        // Longer than any certificate, and it has never synced meanwhile.
        forum.pass(90 * 86_400_000)
        try author.note("much later")
        #expect(try forum.sync(author).isEmpty)
        try forum.sync(reader)
        #expect(try reader.replica.rowCount(of: Forum.note) == 2)
    }

    @Test func `a viewer's laptop writes nowhere, whatever it signs`() throws {
        let viewer = try forum.laptop("L4")
        try forum.enrol(viewer, as: "viewer")
        for table in Forum.schema.tables where table.dividedBy != "delegation" {
            try viewer.write(table, key: 9)
        }
        let run = try viewer.seal()
        for carrier in [viewer, author] {
            let rejections = try forum.exchange(carrier, [run]).rejections
            #expect(rejections.map(\.refusal.code) == [.scope])
        }
        // By hand, to one that knows its certificate and to one that doesn't.
        try forum.sync(reader)
        for laptop in [reader, author] {
            guard case .refused(let refusal) = try laptop.replica.ingest([run])[0] else {
                Issue.record("a laptop took it")
                continue
            }
            #expect([.scope, .gap].contains(refusal.code))
        }
        for replica in [forum.hub.replica, reader.replica, author.replica] {
            #expect(replica.versionVector()[viewer.replica.stream] == 0)
        }
    }
}
