import Causality
import Merge
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

    /// A text that nobody has written before: what is read tells who wrote it.
    func nextValue() -> String {
        valueCount += 1
        return "v\(valueCount)"
    }

    /// Notes what the author of a changeset held, and the form that it was written from.
    func saw(_ dot: Dot, _ held: VersionVector, _ form: Laptop.Form?) {
        views.append(View(dot: dot, held: held, form: form))
    }

    /// What authors were shown, as lines of Protocol/06-export.md: of those who were shown nothing but
    /// what `state` holds. Where a lost laptop's stream was cut, what lay behind the end is in no
    /// export, and nobody can say what somebody saw who held it.
    func viewLines(in state: VersionVector) -> [String] {
        views.filter { $0.isWithin(state) }.map(\.line)
    }

    func begin(group nonce: String, of count: Int) { groups[nonce] = count }

    func acknowledge(_ dot: Dot) { acknowledged[dot] = .some(nil) }

    func acknowledge(_ changeset: Changeset) throws {
        acknowledged[changeset.dot] = changeset
        try learn(changeset)
    }

    /// I8: a dot never names two contents.
    func learn(_ changeset: Changeset) throws {
        guard let known = contents[changeset.dot] else {
            contents[changeset.dot] = changeset
            return
        }
        guard known == changeset else {
            throw Violation("I8", "\(changeset.dot) names \(known) and \(changeset)")
        }
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
