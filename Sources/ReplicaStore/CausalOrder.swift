internal import Causality
internal import Merge

/// Changesets in an order in which no effect stands before its cause.
///
/// Clocks decide where causes leave it open, so that a changeset which follows one from a clock
/// that ran ahead stands right behind that one. Causes outside of the given changesets don't count.
struct CausalOrder {
    private struct Change {
        var dot: Dot
        var time: HybridTime
        var causes: Set<Dot>
    }

    private var changes: [Dot: Change] = [:]

    /// Adds what one op of a changeset says of its causes.
    mutating func add(_ logged: LoggedOperation) {
        var causes = Set(logged.operation.over)
        switch logged.operation.action {
        case .put, .retract: break
        case .resolve(_, let covers): causes.formUnion(covers)
        case .delete(let covers): causes.formUnion(covers.map(\.dot))
        }
        changes[logged.dot, default: Change(dot: logged.dot, time: logged.time, causes: [])]
            .causes.formUnion(causes)
    }

    /// The place of each changeset. One pass over them by (time, dot): each is placed once its
    /// causes are, and then those that waited for it alone.
    ///
    /// Changesets that name each other in a circle, which no honest device writes, are placed last,
    /// by (time, dot).
    var places: [Dot: Int] {
        let sorted = changes.values.sorted { ($0.time, $0.dot) < ($1.time, $1.dot) }
        var missing = Array(repeating: 0, count: sorted.count)
        var effects = Array(repeating: [Int](), count: sorted.count)
        let indices = Dictionary(uniqueKeysWithValues: zip(sorted.map(\.dot), sorted.indices))
        let previous = Self.previousOfStream(sorted.map(\.dot))
        for (index, change) in sorted.enumerated() {
            var causes = change.causes
            if let dot = previous[change.dot] { causes.insert(dot) }
            for cause in causes.compactMap({ indices[$0] }) where cause != index {
                missing[index] += 1
                effects[cause].append(index)
            }
        }
        var places: [Dot: Int] = [:]
        var ready: [Int] = []
        for index in sorted.indices where missing[index] == 0 {
            ready.append(index)
            while let next = ready.popLast() {
                places[sorted[next].dot] = places.count
                for effect in effects[next] { missing[effect] -= 1 }
                // What comes later by its clock is met later in the pass.
                let freed = effects[next].filter { missing[$0] == 0 && $0 < index }
                guard !freed.isEmpty else { continue }
                ready = (ready + freed).sorted(by: >)
            }
        }
        for change in sorted where places[change.dot] == nil { places[change.dot] = places.count }
        return places
    }

    /// The one before each in its own stream.
    private static func previousOfStream(_ dots: [Dot]) -> [Dot: Dot] {
        let sorted = dots.sorted()
        var previous: [Dot: Dot] = [:]
        for (earlier, later) in zip(sorted, sorted.dropFirst())
        where earlier.stream == later.stream {
            previous[later] = earlier
        }
        return previous
    }
}
