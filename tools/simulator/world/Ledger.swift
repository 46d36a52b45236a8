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
    /// What the authors were shown: lines of Protocol/06-export.md.
    private(set) var views: [String] = []

    /// A text that nobody has written before: what is read tells who wrote it.
    func nextValue() -> String {
        valueCount += 1
        return "v\(valueCount)"
    }

    /// Notes what the author of a changeset held, and the form that it was written from.
    func saw(_ dot: Dot, _ held: VersionVector, _ form: Laptop.Form?) {
        var view = "{\"wrote\":\"\(dot)\",\"held\":\(Self.json(held))"
        if let form {
            view += ",\"formHeld\":\(Self.json(form.held)),\"forms\":[\"\(form.row)\"]"
        }
        views.append(view + "}")
    }

    private static func json(_ vector: VersionVector) -> String {
        let entries = vector.entries.map { "\"\($0.stream)\":\($0.seq)" }
        return "{" + entries.joined(separator: ",") + "}"
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
