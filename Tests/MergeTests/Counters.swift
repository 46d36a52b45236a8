import Causality
import Merge
import Testing

/// Laptops that count apart, meet, and count on.
@Suite struct Counters {
    private let key = CellKey(7)

    private func count(
        _ trio: inout Trio, _ author: Int, _ amount: Int64, isDeleteShown: Bool = true
    ) {
        let key = key
        trio.write(author) { state in
            state.count(
                key, by: amount, stream: Trio.stream(author), isDeleteShown: isDeleteShown) ?? []
        }
    }

    private func counter(_ trio: Trio, _ laptop: Int) -> Counter {
        let counter = Counter(trio.state(laptop)[key])
        counter.checkInvariants()
        return counter
    }

    /// A row whose counter holds one entry of stream 0.
    private func row(_ increments: Int64, _ decrements: Int64) -> RowState {
        var row = RowState()
        let value = Counter.entryValue(increments: increments, decrements: decrements)
        row.apply(
            Operation(key, .put(value)), dot: Dot(Trio.stream(0), 1),
            time: HybridTime(rawValue: 1))
        return row
    }

    @Test func `laptops that count apart add up, and each holds one entry for a stream`() {
        var trio = Trio()
        count(&trio, 0, 5)
        trio.meet()
        count(&trio, 0, 2)
        count(&trio, 1, 10)
        count(&trio, 1, -3)
        count(&trio, 2, -20)
        #expect((0..<3).map { counter(trio, $0).value } == [7, 12, -15])
        trio.meet()
        for laptop in 0..<3 {
            let counter = counter(trio, laptop)
            #expect(counter.value == -6)
            #expect(counter.entries.map(\.dot.stream) == (0..<3).map { Trio.stream($0) })
            #expect(counter.entries.map(\.increments) == [7, 10, 0])
            #expect(counter.entries.map(\.decrements) == [0, 3, 20])
        }
    }

    @Test func `whoever counts replaces the own entry and no other, also one held twice`() {
        var row = row(4, 1)
        let other = Dot(Trio.stream(1), 1)
        let again = Dot(Trio.stream(0), 9)
        for (dot, up) in [(other, Int64(30)), (again, 100)] {
            row.apply(
                Operation(key, .put(Counter.entryValue(increments: up, decrements: 2))), dot: dot,
                time: HybridTime(rawValue: 2))
        }
        let operations = row.count(key, by: 6, stream: Trio.stream(0))
        #expect(
            operations == [
                Operation(
                    key, .put(Counter.entryValue(increments: 110, decrements: 3)),
                    over: [Dot(Trio.stream(0), 1), again])
            ])
        #expect(
            row.count(key, by: -6, stream: Trio.stream(1)) == [
                Operation(
                    key, .put(Counter.entryValue(increments: 30, decrements: 8)), over: [other])
            ])
        #expect(
            row.count(key, by: 1, stream: Trio.stream(2)) == [
                Operation(key, .put(Counter.entryValue(increments: 1, decrements: 0)))
            ])
    }

    @Test func `to count by nothing writes nothing`() {
        #expect(row(1, 1).count(key, by: 0, stream: Trio.stream(0)) == [])
    }

    @Test func `an entry holds up to 2^63 − 1 each way, and no more is counted`() {
        let stream = Trio.stream(0)
        for (up, down) in [(Int64.max, Int64(0)), (Int64.max - 1, Int64.max - 1)] {
            let row = row(up, down)
            #expect(row.count(key, by: .min, stream: stream) == nil)
            #expect((row.count(key, by: 1, stream: stream) == nil) == (up == .max))
            #expect(row.count(key, by: 2, stream: stream) == nil)
            #expect(row.count(key, by: -1, stream: stream) != nil)
            #expect((row.count(key, by: -2, stream: stream) == nil) == (down > 0))
        }
        #expect(row(0, 0).count(key, by: .min, stream: stream) == nil)
        #expect(row(0, 0).count(key, by: -.max, stream: stream) != nil)
    }

    @Test func `a sum that no integer holds shows as its bound, and comes back from there`() {
        var trio = Trio()
        count(&trio, 0, .max)
        count(&trio, 1, .max)
        trio.meet()
        #expect(counter(trio, 2).value == .max)
        count(&trio, 2, -.max)
        trio.meet()
        #expect(counter(trio, 0).value == .max)
        count(&trio, 0, -.max)
        count(&trio, 1, -1)
        trio.meet()
        #expect(counter(trio, 2).value == -1)
    }

    @Test func `what is no entry counts as nothing and stays`() {
        let one = Value.integer(1)
        let wrong: [Value] = [
            .null, one, .composite([]), .composite([one]), .composite([one, one, one]),
            .composite([one, .null]), .composite([.null, one]),
            .composite([.integer(-1), one]), .composite([one, .integer(-1)]),
            .composite([.real(1), one]),
        ]
        for value in wrong {
            #expect(!Counter.isEntry(value), "\(value)")
            var row = RowState()
            row.apply(
                Operation(key, .put(value)), dot: Dot(Trio.stream(0), 1),
                time: HybridTime(rawValue: 1))
            #expect(Counter(row[key]).entries == [])
            #expect(row.count(key, by: 1, stream: Trio.stream(0))?.first?.over == [])
        }
        #expect(Counter.isEntry(Counter.entryValue(increments: 0, decrements: 0)))
        var row = row(3, 1)
        row.apply(
            Operation(key, .retract), dot: Dot(Trio.stream(1), 1), time: HybridTime(rawValue: 2))
        #expect(Counter(row[key]).value == 2)
        #expect(Counter(RowState()[key]).value == 0)
    }

    @Test func `counting on a hidden row that was seen to be hidden shows it again, whole`() {
        var trio = Trio()
        count(&trio, 0, 4)
        count(&trio, 1, 30)
        trio.meet()
        trio.write(2) { [$0.delete()] }
        trio.meet()
        #expect(LifeFold(trio.state(0)).isHidden)
        var unaware = trio
        count(&trio, 0, 1)
        #expect(trio.commits.last?.operations.map(\.cell) == [.life, key])
        trio.meet()
        #expect(!LifeFold(trio.state(1)).isHidden && !LifeFold(trio.state(1)).isConflict)
        #expect(counter(trio, 1).value == 35)
        // Who did not see the delete restores nothing, and meets it.
        count(&unaware, 0, 1, isDeleteShown: false)
        #expect(unaware.commits.last?.operations.map(\.cell) == [key])
        unaware.meet()
        #expect(LifeFold(unaware.state(1)).isConflict)
        #expect(counter(unaware, 1).value == 35)
        // Nor does a count settle that: it is for a person to say whether the row stays.
        count(&unaware, 1, 1)
        #expect(unaware.commits.last?.operations.map(\.cell) == [key])
        // A row that is shown is not restored.
        count(&trio, 1, 1)
        #expect(trio.commits.last?.operations.map(\.cell) == [key])
    }
}
