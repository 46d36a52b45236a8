import AntiEntropy
import Causality
import FieldRecords
import Hub
import Merge
import RecordSchema
import ReplicaStore
import StoreTestSupport
import SyncProtocol
import TestSupport

/// A laptop: a replica on a disk that may fail, under a clock that may be wrong, and whoever records
/// with it.
final class Laptop {
    /// What somebody was shown when a form was opened.
    struct Form {
        var row: RowID
        var column: Column
        var basis: [Dot]
        /// What the replica held then.
        var held: VersionVector
        /// What changes were called then.
        var naming: String
    }

    let number: Int
    /// The number of the laptop that it is a copy of; its own for one that is none.
    let original: Int
    let path: String
    let disk: FaultyDisk
    let clock: SimulatedClock
    let ledger: Ledger
    private(set) var replica: Replica
    var forms: [Form] = []
    /// A session that is under way, and what it wants next.
    var session: (session: SyncSession, action: SyncSession.Action)?
    /// What happens to the next message.
    var networkFault: NetworkFault?
    /// What the hub says in place of its next answer, where that is the fault.
    var lie: HubLie?
    /// Where noise hits a message, and what a lie is about.
    var noise = SplitMix64(seed: 0)
    /// A message of the session under way was changed.
    private(set) var isSessionNoisy = false
    /// The session under way has put something aside.
    var hasPutAside = false
    /// What the hub has answered lately.
    private(set) var answers: [[UInt8]] = []
    private(set) var crashCount = 0
    /// The latest that its wall clock has said.
    private(set) var latest: Int64
    /// The scope of a delegation, for a laptop that reads and writes there alone beside the base scope.
    var guestOf: String?
    private var stream: StreamID
    /// Copies of its files, as they lay at some time.
    private(set) var kept: [KeptFiles] = []
    var cursors: [String: Cursor] = [:]
    /// Of the streams that it writes to now, one for each scope.
    private var acknowledgedSeqs: [StreamID: UInt64] = [:]

    init(_ number: Int, path: String, clock: SimulatedClock, ledger: Ledger) throws {
        (self.number, self.path, self.clock, self.ledger) = (number, path, clock, ledger)
        original = number
        disk = try FaultyDisk()
        latest = clock.wallMilliseconds
        replica = try Replica.create(
            at: path, name: "laptop \(number)", schema: Forum.schema,
            environment: clock.environment(on: disk))
        stream = replica.stream
    }

    /// A copy of another one's files, which may be open meanwhile.
    ///
    /// - Parameter wholeDisk: with all that lies beside: nothing tells one from the other.
    init(
        _ number: Int, copyOf other: Laptop, path: String, clock: SimulatedClock, wholeDisk: Bool
    ) throws {
        (self.number, self.path, self.clock, ledger) = (number, path, clock, other.ledger)
        original = other.original
        guestOf = other.guestOf
        disk = try FaultyDisk()
        latest = clock.wallMilliseconds
        try KeptFiles(path: other.path, acknowledgedCount: 0).write(to: path, wholeDisk: wholeDisk)
        replica = try Replica.open(
            at: path, schema: Forum.schema, environment: clock.environment(on: disk))
        stream = replica.stream
    }

    func keepFiles() {
        kept.append(KeptFiles(path: path, acknowledgedCount: ledger.deedCount))
    }

    /// What it held since then is gone, as far as nobody else has it.
    func putBack(_ files: KeptFiles, wholeDisk: Bool) throws {
        session = nil
        forms = []
        cursors = [:]
        acknowledgedSeqs = [:]
        replica.close()
        try disk.restart()
        try files.write(to: path, wholeDisk: wholeDisk)
        try open()
    }

    /// What it may read.
    var scopes: Set<String>? {
        guestOf.map { [Forum.scope, $0] }
    }

    func enrol(at hub: SimulatedHub) throws {
        guard let store = hub.store else { throw Violation("error", "the hub is not open") }
        let token = try store.createToken(
            scopes: guestOf.map { [$0] } ?? [], role: "coordinator",
            lifetimeMilliseconds: 3_600_000,
            pin: Array(repeating: 0, count: 32))
        let reply = try store.enrol(
            EnrolmentRequest(
                secret: token.secret, name: "laptop \(number)", key: try replica.key()))
        try replica.setHubLink(
            HubLink(
                url: "https://hub.invalid", pins: nil, authority: nil,
                publicKey: reply.hub.statement.publicKey, role: "coordinator"),
            membership: try Membership(
                anchor: TrustAnchor(root: token.root), hub: reply.hub, own: reply.device,
                device: replica.publicKey))
    }

    func close() { replica.close() }

    // MARK: Failing

    /// Does what somebody does; what a disk's fault does to it is survived.
    ///
    /// - Returns: what came of it, for the trace.
    func attempt(_ body: (Laptop) throws -> String) throws -> String {
        latest = max(latest, clock.wallMilliseconds)
        // What a checkpoint was told stays there.
        _ = disk.takesEcho()
        var result: String
        do {
            result = try body(self)
        } catch let error as StoreError {
            if case .denied = error, guestOf != nil {
                result = "not let"
            } else if case .invalid(let reason) = error, reason.contains("erased") {
                result = "refused: of somebody who was erased"
            } else if disk.hasFired, let fault = disk.fault {
                result = try survive(fault, error)
            } else if disk.takesEcho() {
                result = try survive(.sync, error)
            } else if case .invalid = error {
                result = "refused"
            } else {
                throw Violation("error", "laptop \(number): \(error)")
            }
        }
        if disk.isDead {
            // It ended after what people were told, while it carried the log over.
            try crash()
            result += ", then ended"
        }
        return result
    }

    private func survive(_ fault: DiskFault, _ error: StoreError) throws -> String {
        switch fault {
        case .kill, .lose, .tear: try crash()
        case .full:
            guard case .full = error else {
                throw Violation("error", "laptop \(number): a full disk is told as \(error)")
            }
            disk.makeRoom()
            disk.arm(.full, at: 0, seed: 0)
        case .sync:
            guard case .disk = error else {
                throw Violation("error", "laptop \(number): a failed sync is told as \(error)")
            }
            // A command ends with the error, and the next one knows nothing of it; a server goes on.
            disk.arm(.sync, at: 0, seed: 0)
            if number.isMultiple(of: 2) { try reopen() }
        }
        return "failed: \(fault)"
    }

    /// The process or the machine ends, and starts again.
    func crash() throws {
        crashCount += 1
        session = nil
        forms = []
        // What a sync brought may be lost with the power, and the cursor with it.
        if disk.fault != .kill { cursors = [:] }
        replica.close()
        try disk.restart()
        try open()
    }

    func reopen() throws {
        session = nil
        replica.close()
        try open()
    }

    private func open() throws {
        do {
            replica = try Replica.open(
                at: path, schema: Forum.schema, environment: clock.environment(on: disk))
        } catch {
            guard disk.hasFired, disk.isDead || disk.fault == .full else {
                throw Violation("error", "laptop \(number) can't be opened: \(error)")
            }
            // The fault came while it was opened; it comes once.
            try disk.restart()
            try open()
        }
        try noteStream(replica.stream)
        let vector = replica.versionVector()
        for (stream, seq) in acknowledgedSeqs.sorted(by: { $0.key < $1.key })
        where vector[stream] < seq {
            throw Violation(
                "I2", "laptop \(number) was told of \(seq) changes, and has \(vector[stream])")
        }
    }

    /// A file that was copied or put back goes on under another name, and no other one does.
    private func noteStream(_ now: StreamID) throws {
        guard now != stream else { return }
        guard ledger.copied.contains(replica.device) else {
            throw Violation("I8", "laptop \(number) goes on as \(now), not \(stream)")
        }
        stream = now
        acknowledgedSeqs = [:]
    }

    func beginSession(_ session: SyncSession, _ action: SyncSession.Action) {
        self.session = (session, action)
        isSessionNoisy = false
        hasPutAside = false
    }

    /// What is said in the session under way need not be so.
    func hearLie() { isSessionNoisy = true }

    func note(answer: [UInt8]) {
        // Large ones take room, and no other path.
        guard answer.count < 100_000 else { return }
        answers.append(answer)
        if answers.count > 8 { answers.removeFirst() }
    }

    /// Flips one bit of a message.
    func damage(_ bytes: inout [UInt8]) {
        isSessionNoisy = true
        guard !bytes.isEmpty else { return }
        bytes[noise.below(bytes.count)] ^= 1 << UInt8(noise.below(8))
    }

    // MARK: Writing

    /// One transaction; what it returns was acknowledged.
    ///
    /// - Parameter form: the form that it is written from.
    func write(
        from form: Form? = nil, _ body: (WriteTransaction) throws -> Void
    ) throws -> String {
        try write(with: replica, from: form, body)
    }

    /// - Parameter replica: the laptop's file, as this or another process has it open.
    func write(
        with replica: Replica, from form: Form? = nil, _ body: (WriteTransaction) throws -> Void
    ) throws -> String {
        let held = replica.versionVector()
        let receipt = try replica.write(author: "laptop \(number)") { try body($0) }.receipt
        for dot in receipt.dots {
            try noteStream(replica.stream)
            guard replica.writes(to: dot.stream) else {
                throw Violation("I8", "laptop \(number) wrote to \(dot.stream), which is not its")
            }
            ledger.acknowledge(dot, by: self)
            ledger.saw(dot, held, form)
            acknowledgedSeqs[dot.stream] = max(acknowledgedSeqs[dot.stream] ?? 0, dot.seq)
        }
        // The process may be gone by now: then what was acknowledged is looked for by its name.
        guard !disk.isDead else { return "wrote \(receipt.dots.count)" }
        var words: [String] = []
        for dot in receipt.dots {
            guard let changeset = try replica.changeset(dot) else {
                throw Violation("I2", "\(dot) was acknowledged, and is not there")
            }
            try ledger.acknowledge(changeset, by: self)
            if !ledger.copied.contains(replica.device) {
                try ledger.checkTime(of: changeset, latest: latest)
            }
            // What it says in full would fill the screen.
            words.append("\(dot.seq)/\(Digest(sha256: Array("\(changeset)".utf8)).short)")
        }
        return words.isEmpty ? "nothing to write" : "wrote \(words.joined(separator: " "))"
    }

    // MARK: Looking

    /// I3: what one transaction wrote is there whole or not at all. I5: the cursor never goes back.
    func check() throws {
        try Self.checkGroups(replica, ledger, "laptop \(number)")
        try noteStream(replica.stream)
        for scope in try replica.syncedScopes() {
            let now = try replica.cursor(in: scope)
            if let cursor = cursors[scope], let now, cursor.epoch == now.epoch,
                now.offset < cursor.offset
            {
                throw Violation(
                    "I5", "laptop \(number)'s cursor went from \(cursor.offset) to \(now.offset)")
            }
            cursors[scope] = now
        }
    }

    static func checkGroups(_ replica: Replica, _ ledger: Ledger, _ who: String) throws {
        guard !ledger.groups.isEmpty else { return }
        let found = try replica.query(
            "SELECT name_en, count(*) FROM site WHERE name_en IS NOT NULL GROUP BY name_en")
        for row in found {
            guard case .text(let nonce) = row[0], case .integer(let count) = row[1] else {
                continue
            }
            guard ledger.groups[nonce].map({ Int64($0) == count }) ?? true else {
                throw Violation("I3", "\(who) shows \(count) of \(nonce)'s rows")
            }
        }
    }
}

extension Digest {
    /// Enough of it to tell one thing from another.
    fileprivate var short: Substring { description.prefix(6) }
}
