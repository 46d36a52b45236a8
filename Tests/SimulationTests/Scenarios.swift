import Simulation
import Testing

@Suite struct Scenarios {
    @Test(arguments: [1, 2, 3, 99] as [UInt64])
    func `a scenario reads back as it was written`(_ seed: UInt64) throws {
        let scenario = Scenario(drawnFrom: seed)
        #expect(try Scenario(text: scenario.text) == scenario)
        #expect(Scenario(drawnFrom: seed) == scenario)
        #expect(Scenario(drawnFrom: seed + 1) != scenario)
    }

    @Test(arguments: [
        ("forum 2 1\nedit 2 1\n", 2), ("forum 2 1\nfly 0 1\n", 2), ("edit 0 1\n", 1),
        ("forum 2 1\nedit 0\n", 2), ("forum 2 1\n\n# no step\nedit 0 x\n", 4),
    ])
    func `a line that is no step is named`(_ text: String, _ line: Int) {
        do {
            _ = try Scenario(text: text)
            Issue.record("it was read")
        } catch {
            #expect((error as? Scenario.Unreadable)?.line == line)
        }
    }

    @Test func `what fails is made smaller as long as it fails`() {
        let scenario = Scenario(drawnFrom: 5, laptopCount: 9, stepCount: 400)
        // Two laptops write and one syncs, in this order, and a clock is wrong before.
        func fails(_ scenario: Scenario) -> Bool {
            guard let wrong = scenario.steps.firstIndex(where: { $0.deed == .clock }) else {
                return false
            }
            let rest = scenario.steps[wrong...]
            guard let first = rest.firstIndex(where: { $0.deed == .edit }),
                let second = rest[first...].firstIndex(where: {
                    $0.deed == .person && $0.laptop != rest[first].laptop
                })
            else { return false }
            return rest[second...].contains { $0.deed == .sync }
        }
        var wrong = scenario
        wrong.steps.insert(Step(deed: .clock, laptop: 3, draw: 1), at: 0)
        #expect(fails(wrong))
        var shrinking = Shrinking(wrong, limit: 2_000, isFailing: fails)
        let small = shrinking.run()
        #expect(fails(small))
        #expect(small.steps.map(\.deed) == [.clock, .edit, .person, .sync])
        #expect(small.laptopCount == 2)
    }

    @Test func `shrinking ends when it may not play any more`() {
        let scenario = Scenario(drawnFrom: 5)
        var playCount = 0
        var shrinking = Shrinking(scenario, limit: 7) { _ in
            playCount += 1
            return false
        }
        #expect(shrinking.run() == scenario)
        #expect(playCount == 7)
    }
}
