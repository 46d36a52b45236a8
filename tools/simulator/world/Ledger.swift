import Causality
import FieldRecords
import Merge
import RecordSchema
import ReplicaStore
import SyncProtocol

/// What people were told is kept, and what every changeset said: outside of all that can fail.
final class Ledger {
    /// By dot: what was acknowledged, where that could be read afterwards.
    private(set) var acknowledged: [Dot: Changeset?] = [:]
    private var contents: [Dot: Changeset] = [:]
    private var lastTimes: [StreamID: (seq: UInt64, time: HybridTime)] = [:]
    /// By nonce: how many rows one transaction wrote.
    private(set) var groups: [String: Int] = [:]
    private var valueCount = 0
    private var views: [View] = []
    /// All that was acknowledged, in that order.
    private var deeds: [LedgerDeed] = []
    /// Devices of which several files write, or one that was put back: before they have met, a dot of
    /// theirs may name several contents.
    private(set) var copied: Set<DeviceID> = []
    /// What people have counted, in all.
    private(set) var counted: Int64 = 0
    /// Nobody was left in doubt whether what he counted is there.
    private(set) var isCountKnown = true

    /// The rows of people of whom somebody asked that they be forgotten.
    private(set) var asked: Set<RowID> = []
    /// What was said of people, by their rows: all that must be found nowhere once they are forgotten.
    private(set) var names: [RowID: Set<String>] = [:]

    /// A text that nobody has written before, that is part of no other and doesn't come about by chance: what is read tells who wrote it.
    func nextValue() -> String {
        valueCount += 1
        return "value-\(valueCount)."
    }

    func noteAsked(_ person: RowID) { asked.insert(person) }

    private func noteNames(in changeset: Changeset) {
        let columns = Forum.person.columns.filter(\.isPersonal).map(\.id)
        for row in changeset.rows where row.table == Forum.person.id {
            for operation in row.operations where columns.contains(operation.cell.column) {
                guard case .text(let text)? = operation.action.value else { continue }
                names[row.row, default: []].insert(text)
            }
        }
    }

    /// Notes what the author of a changeset held, and the form that it was written from.
    func saw(_ dot: Dot, _ held: VersionVector, _ form: Laptop.Form?) {
        views.append(View(dot: dot, held: held, form: form))
    }

    /// What authors were shown, as lines of Protocol/06-export.md: of those who were shown nothing but
    /// what `state` holds. Where a lost laptop's stream was cut, what lay behind the end is in no
    /// export, and nobody can say what somebody saw who held it.
    func viewLines(in state: VersionVector) -> [String] {
        // What changes are called may be something else by now.
        copied.isEmpty ? views.filter { $0.isWithin(state) }.map(\.line) : []
    }

    func begin(group nonce: String, of count: Int) { groups[nonce] = count }

    func acknowledge(_ dot: Dot, by laptop: Laptop) {
        deeds.append(
            LedgerDeed(dot: dot, device: laptop.replica.device, laptop: laptop.number))
        guard !copied.contains(laptop.replica.device) else { return }
        acknowledged[dot] = .some(nil)
    }

    /// What one that was just acknowledged says.
    func acknowledge(_ changeset: Changeset, by laptop: Laptop) throws {
        let index = deeds.lastIndex { $0.dot == changeset.dot && $0.laptop == laptop.number }
        if let index { deeds[index].essence = Essence(changeset) }
        guard !copied.contains(laptop.replica.device) else { return }
        acknowledged[changeset.dot] = changeset
        try learn(changeset)
    }

    /// I8: a dot never names two contents.
    func learn(_ changeset: Changeset) throws {
        noteNames(in: changeset)
        guard let known = contents[changeset.dot] else {
            contents[changeset.dot] = changeset
            return
        }
        guard isSame(known, changeset) else {
            throw Violation("I8", "\(changeset.dot) names \(known) and \(changeset)")
        }
    }

    /// What the changes of copies are called may be something else by now, in what names them as well.
    func isSame(_ known: Changeset, _ changeset: Changeset) -> Bool {
        // Of who was erased, nobody can read it.
        known.isAlike(changeset)
            || !copied.isEmpty
                && Essence(known).without(asked) == Essence(changeset).without(asked)
    }

    /// I7: a stream's times rise, and lead its device's clock by ten minutes at most.
    ///
    /// - Parameter latest: the latest that the device's wall clock has ever said.
    func checkTime(of changeset: Changeset, latest: Int64) throws {
        let dot = changeset.dot
        if let last = lastTimes[dot.stream], last.seq < dot.seq {
            guard last.time < changeset.time else {
                throw Violation("I7", "\(dot) at \(changeset.time), behind \(last.time)")
            }
        }
        guard changeset.time.milliseconds <= latest + 600_001 else {
            throw Violation("I7", "\(dot) at \(changeset.time), while the clock said \(latest)")
        }
        if lastTimes[dot.stream].map({ $0.seq < dot.seq }) ?? true {
            lastTimes[dot.stream] = (dot.seq, changeset.time)
        }
    }

    var allContents: [Dot: Changeset] { contents }

    // MARK: Copies

    var deedCount: Int { deeds.count }

    /// From now on what a device writes is told by what it says.
    func noteCopies(of device: DeviceID) {
        guard copied.insert(device).inserted else { return }
        for deed in deeds where deed.device == device {
            acknowledged[deed.dot] = nil
            contents[deed.dot] = nil
        }
        // Others may have learnt what nobody was told of.
        let streams = Set(deeds.filter { $0.device == device }.map(\.dot.stream))
        contents = contents.filter { !streams.contains($0.key.stream) }
    }

    /// Older files were put in a laptop's place: what it wrote since may be gone.
    func noteLoss(by laptop: Int, since count: Int) {
        isCountKnown = false
        for index in deeds.indices.dropFirst(count) where deeds[index].laptop == laptop {
            deeds[index].mayBeLost = true
        }
    }

    /// I2, I8: what files of one name wrote is there once each.
    ///
    /// - Parameter held: how often a replica holds what a device wrote.
    func checkDeeds(of device: DeviceID, held: [Essence: Int], _ name: String) throws {
        let held = Dictionary(
            held.map { ($0.key.without(asked), $0.value) }, uniquingKeysWith: { $0 + $1 })
        var expected: [Essence: (least: Int, most: Int)] = [:]
        for deed in deeds where deed.device == device {
            guard let essence = deed.essence?.without(asked) else { continue }
            let known = expected[essence] ?? (0, 0)
            expected[essence] = (known.least + (deed.mayBeLost ? 0 : 1), known.most + 1)
        }
        for (essence, count) in expected {
            let found = held[essence] ?? 0
            guard found >= count.least else {
                throw Violation("I2", "\(name) lacks what a copy wrote: \(essence)")
            }
        }
        for (essence, found) in held where found > max(1, expected[essence]?.most ?? 1) {
            throw Violation("I8", "\(name) holds \(found) times: \(essence)")
        }
    }

    // MARK: Counting

    /// Somebody begins to count, and may not be told what became of it.
    func beginCount() -> Bool {
        defer { isCountKnown = false }
        return isCountKnown
    }

    func endCount(_ amount: Int64, wasKnown: Bool) {
        isCountKnown = wasKnown
        counted += amount
    }

    func loseCount() { isCountKnown = false }
}

private struct LedgerDeed {
    var dot: Dot
    var device: DeviceID
    var laptop: Int
    var essence: Essence?
    var mayBeLost = false
}

/// What a changeset says, whatever it and those that it replaces are called, and whatever was counted
/// before it.
struct Essence: Hashable {
    private var changeset: Changeset

    init(_ changeset: Changeset) {
        self.changeset = changeset
        self.changeset.dot = Dot(StreamID(Identifier(high: 0, low: 0)), 1)
        for row in changeset.rows.indices {
            for index in changeset.rows[row].operations.indices {
                let operation = changeset.rows[row].operations[index]
                self.changeset.rows[row].operations[index] = Operation(
                    operation.cell, Self.bare(operation.action))
            }
        }
    }

    /// Without what is said of people who were to be forgotten.
    func without(_ people: Set<RowID>) -> Essence {
        guard !people.isEmpty else { return self }
        var essence = self
        for row in changeset.rows.indices where people.contains(changeset.rows[row].row) {
            for index in changeset.rows[row].operations.indices {
                let operation = changeset.rows[row].operations[index]
                guard Forum.person.column(id: operation.cell.column)?.isPersonal == true,
                    operation.action.value ?? .null != .null
                else { continue }
                essence.changeset.rows[row].operations[index].action =
                    if case .resolve = operation.action {
                        .resolve(.erased, covers: [])
                    } else { .put(.erased) }
            }
        }
        return essence
    }

    private static func bare(_ action: Action) -> Action {
        switch action {
        case .put(let value) where Counter.isEntry(value): .put(.null)
        case .put, .retract: action
        case .resolve(let value, _): .resolve(value, covers: [])
        case .delete: .delete(covers: [])
        }
    }
}

/// What an author was shown.
private struct View {
    let dot: Dot
    let held: VersionVector
    let form: Laptop.Form?

    func isWithin(_ state: VersionVector) -> Bool {
        let shown = held.entries + (form?.held.entries ?? [])
        return state.contains(dot) && shown.allSatisfy { $0.seq <= state[$0.stream] }
    }

    var line: String {
        var line = "{\"wrote\":\"\(dot)\",\"held\":\(Self.json(held))"
        if let form {
            line += ",\"formHeld\":\(Self.json(form.held)),\"forms\":[\"\(form.row)\"]"
        }
        return line + "}"
    }

    private static func json(_ vector: VersionVector) -> String {
        let entries = vector.entries.map { "\"\($0.stream)\":\($0.seq)" }
        return "{" + entries.joined(separator: ",") + "}"
    }
}
