public import Causality
internal import Merge
internal import RecordSchema
internal import SyncProtocol

/// The changesets that one transaction made: what may be printed as done.
public struct WriteReceipt: Hashable, Sendable {
    /// In order; empty when nothing had to be written.
    public var dots: [Dot] = []
    public var operationCount = 0

    public init() {}
}

/// The typed writes of one transaction. Valid inside of ``Replica/write(author:claimed:_:)`` only.
///
/// A transaction is one changeset, unless it grows over what a changeset may hold, writes one cell twice
/// or writes in several scopes; then it is several, with a common action id, and still atomic here.
public final class WriteTransaction {
    let replica: Replica
    private let author: String
    private let claimedMilliseconds: Int64?
    private let source: String
    var rows: RowStore { replica.rows }
    /// The changesets under way, one for each scope that was written in, in the order of their begin.
    private var changesets: [OpenChangeset]
    /// The one of the scope that is written in now.
    private var changeset: OpenChangeset
    var lane: Lane { changeset.lane }
    var isOpen: Bool { changeset.isOpen }
    var entry: RowClock.Entry { changeset.entry }
    var dot: Dot { changeset.dot }
    private var action: Identifier?
    var keys: [RowID: [Value]?] = [:]
    /// So far; a changeset under way is not in it.
    package internal(set) var receipt = WriteReceipt()

    /// A changeset is ended once it has grown to this many bytes.
    private static let changesetGoalBytes = Limits.changesetBytes / 2

    init(_ replica: Replica, author: String, claimedMilliseconds: Int64?, source: String = "") {
        self.replica = replica
        self.author = author
        self.claimedMilliseconds = claimedMilliseconds
        self.source = source
        changeset = OpenChangeset(replica.base)
        changesets = [changeset]
    }

    // MARK: Scopes

    /// Goes on in the scope in which a row lies.
    func turn(to row: RowID, in table: UInt32) throws(StoreError) {
        try turn(to: row, in: table, isDivided: rows.access(table)?.isDivided ?? false)
    }

    func turn(to row: RowID, in table: UInt32, isDivided: Bool) throws(StoreError) {
        guard isDivided else {
            if !lane.isBase { try turn(to: Replica.scope) }
            return
        }
        try turn(to: replica.scope(dividedBy: row) ?? Replica.scope)
    }

    /// Goes on in a scope.
    func turn(to scope: String) throws(StoreError) {
        guard lane.record.scope != scope else { return }
        let lane = try replica.lane(in: scope)
        if let known = changesets.first(where: { $0.lane === lane }) {
            changeset = known
        } else {
            changeset = OpenChangeset(lane)
            changesets.append(changeset)
        }
    }

    /// The key to what the changeset under way says of a person.
    func key(for person: RowID) -> PersonalKey {
        changeset.keys.key(for: person, replica.environment.randomBytes)
    }

    // MARK: Changesets

    func begin() throws(StoreError) {
        guard !isOpen else { return }
        if lane.isTailFull { try sealTail() }
        let time = replica.clock.next(wallMilliseconds: replica.environment.wallMilliseconds())
        changeset.keys = PersonalKeys()
        changeset.dot = Dot(lane.record.stream, lane.record.head + 1)
        changeset.entry = RowClock.Entry(sid: lane.record.sid, seq: dot.seq, time: time)
        lane.writer.begin(seq: dot.seq, time: time)
        changeset.isOpen = true
    }

    /// Ends the changesets under way, and all that was written is in the log.
    package func end() throws(StoreError) {
        let written = changesets.filter { $0.isOpen && !$0.lane.writer.isEmpty }
        if written.count > 1, action == nil { action = Self.action(startingWith: written[0].dot) }
        for changeset in changesets { try end(changeset) }
    }

    /// As above; what is written from here on is another action, in changesets of its own.
    package func endAction() throws(StoreError) {
        try end()
        action = nil
    }

    private func end(_ changeset: OpenChangeset) throws(StoreError) {
        guard changeset.isOpen else { return }
        changeset.isOpen = false
        let (lane, dot) = (changeset.lane, changeset.dot)
        guard !lane.writer.isEmpty else { return lane.writer.abandon() }
        let rowCount = lane.writer.rowCount
        let (body, streams) = lane.writer.finish(
            author: author,
            claimedMilliseconds: claimedMilliseconds ?? changeset.entry.time.milliseconds,
            action: action, source: source)
        guard body.count <= Limits.changesetBytes else {
            throw .invalid(
                "one row's change takes \(body.count) bytes; the most is \(Limits.changesetBytes)")
        }
        replica.append(
            body, keys: changeset.keys.kept, newStreams: streams, rowCount: rowCount, to: lane)
        receipt.dots.append(dot)
    }

    /// Goes on in a further changeset of the same action.
    ///
    /// - Parameter sealing: whether the further one starts a run.
    func split(sealing: Bool = false) throws(StoreError) {
        if action == nil, !lane.writer.isEmpty {
            action = Self.action(startingWith: dot)
        }
        try end(changeset)
        if sealing { try sealTail() }
        try begin()
    }

    private static func action(startingWith dot: Dot) -> Identifier? {
        Identifier(
            Digest(.newRows, Array("action".utf8), Array(dot.description.utf8)).bytes.prefix(16))
    }

    private func sealTail() throws(StoreError) {
        try replica.sealTail(of: lane)
        guard lane.tailCount > 0 else { return }
        throw .invalid(
            "\(lane.tailCount) changes here wait for others that this file was copied with, and "
                + "there is no room for more. Run `karvan sync`, or see `karvan adopt --help`")
    }

    func splitIfLarge() throws(StoreError) {
        if lane.writer.count > Self.changesetGoalBytes
            || lane.writer.rowCount >= Limits.changesetGoalRows
        {
            try split()
        }
    }

    /// Ends the changeset when a row's change might not fit into it any more, and the run when
    /// its header has no room for the streams that the change names. Nothing of the change has
    /// been written yet, so that whoever catches the error may go on.
    ///
    /// - Parameters:
    ///   - byteCount: the most that the change may take.
    ///   - operations: those of the change that may name dots.
    func makeRoom(for byteCount: Int, naming operations: [Operation]) throws(StoreError) {
        try makeRoom(for: byteCount)
        let dots = operations.flatMap(\.namedDots)
        let unnamed = lane.writer.unnamedStreams(of: dots)
        guard lane.writer.streams.count + unnamed > Limits.runDependencies else { return }
        let streams = Set(dots.map(\.stream)).subtracting([lane.record.stream])
        guard streams.count <= Limits.runDependencies else {
            throw .invalid(
                "one row's change replaces what \(streams.count) laptops wrote; the most is "
                    + "\(Limits.runDependencies)")
        }
        try split(sealing: true)
    }

    /// Ends the changeset when so many bytes might not fit into it any more.
    func makeRoom(for byteCount: Int) throws(StoreError) {
        guard byteCount <= Self.rowGoalBytes else {
            throw .invalid(
                "one row's change takes up to \(byteCount) bytes; the most is "
                    + "\(Self.rowGoalBytes)")
        }
        try begin()
        if lane.writer.count + byteCount > Self.rowGoalBytes { try split() }
    }

    /// What one row's change may take: a changeset without its head, in bytes.
    static let rowGoalBytes = Limits.changesetBytes - 512
}

/// A changeset that is being written in one scope.
private final class OpenChangeset {
    let lane: Lane
    var isOpen = false
    var entry = RowClock.Entry(sid: 0, seq: 0, time: HybridTime(rawValue: 0))
    var dot = Dot(StreamID(Identifier(high: 0, low: 0)), 0)
    /// Those to what it says of people.
    var keys = PersonalKeys()

    init(_ lane: Lane) { self.lane = lane }
}

extension Value {
    /// What to call it in a message.
    var kindForPeople: String {
        switch self {
        case .null: "nothing"
        case .integer: "a whole number"
        case .real: "a number with a fraction"
        case .text: "a text"
        case .blob: "bytes"
        case .composite: "several values"
        case .sealed, .erased: "what nobody can read"
        }
    }

    /// As a message says it.
    var textForPeople: String {
        switch self {
        case .null: "nothing"
        case .integer(let number): "\(number)"
        case .real(let number): "\(number)"
        case .text(let text): "'\(text)'"
        case .blob(let bytes): bytes.hexadecimal
        case .composite(let parts): "(\(parts.map(\.textForPeople).joined(separator: ", ")))"
        case .sealed: "something that can't be read here"
        case .erased: "something that was erased"
        }
    }

    /// The bytes of its texts and blobs.
    var byteCount: Int {
        switch self {
        case .text(let text): text.utf8.count
        case .blob(let bytes): bytes.count
        case .composite(let parts): parts.reduce(0) { $0 + $1.byteCount }
        case .sealed(let value): value.box.count
        default: 8
        }
    }
}

extension Replica {
    /// Writes records in one transaction. When this returns, they are on disk.
    ///
    /// What other programs wrote to the file is taken in first, so that none of it is overwritten.
    ///
    /// - Parameters:
    ///   - author: the person recording; empty when nobody was named.
    ///   - claimed: when it happened, by the author's word, in milliseconds since 1970.
    ///   - source: the list that an import takes the values from; empty for what someone recorded.
    ///   - seals: whether a run is made of it, and of what is not sealed yet, in the same transaction.
    /// - Throws: ``StoreError``, or what `body` throws; then nothing was written.
    @discardableResult
    public func write<T>(
        author: String = "", claimed: Int64? = nil, source: String = "", seals: Bool = false,
        _ body: (WriteTransaction) throws -> T
    ) throws -> (result: T, receipt: WriteReceipt) {
        guard author.utf8.count <= Limits.nameBytes else {
            throw StoreError.invalid("a person's name has at most \(Limits.nameBytes) bytes")
        }
        guard source.utf8.count <= Limits.nameBytes else {
            throw StoreError.invalid("a list's name has at most \(Limits.nameBytes) bytes")
        }
        return try transaction {
            try drain()
            let transaction = WriteTransaction(
                self, author: author, claimedMilliseconds: claimed, source: source)
            let result = try body(transaction)
            try transaction.end()
            if seals { try sealTails() }
            return (result, transaction.receipt)
        }
    }
}
