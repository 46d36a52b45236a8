import ProgramOutput
import Testing

/// Lines beside rows that show what came of what.
@Suite struct CausalGraphs {
    private func drawn(_ parents: [Int]...) -> [String] {
        CausalGraph(parents: parents).rows.flatMap { $0.before + [$0.line] }
    }

    @Test func `one after another stands in one lane`() {
        #expect(drawn([], [0], [1]) == ["●", "●", "●"])
        #expect(drawn() == [])
        #expect(CausalGraph(parents: [[], [0]]).rows.map(\.after) == ["│", ""])
    }

    @Test func `what nobody had been shown stands apart`() {
        #expect(drawn([], []) == ["●", "●"])
        // The first one goes on, past the second.
        #expect(drawn([], [], [0]) == ["●", "│ ●", "●"])
    }

    @Test func `two that came of one branch off`() {
        #expect(drawn([], [0], [0]) == ["●", "├─╮", "│ ●", "●"])
        #expect(
            drawn([], [0], [0], [1], [2])
                == ["●", "├─╮", "│ ●", "● │", "│ ●", "●"])
        #expect(
            drawn([], [0], [0], [0])
                == ["●", "├─╮", "│ ●", "├─╮", "│ ●", "●"])
    }

    @Test func `one that came of two joins them`() {
        #expect(drawn([], [], [0, 1]) == ["●", "│ ●", "├─╯", "●"])
        #expect(
            drawn([], [0], [0], [1, 2])
                == ["●", "├─╮", "│ ●", "● │", "├─╯", "●"])
        // Something else comes of the second later.
        #expect(
            drawn([], [], [0, 1], [1])
                == ["●", "│ ●", "├─┤", "● │", "  ●"])
    }

    @Test func `a line crosses what it has nothing to do with`() {
        #expect(
            drawn([], [], [], [0, 2], [1])
                == ["●", "│ ●", "│ │ ●", "├─┼─╯", "● │", "  ●"])
        #expect(
            drawn([], [], [], [1, 2], [0])
                == ["●", "│ ●", "│ │ ●", "│ ├─╯", "│ ●", "●"])
    }

    @Test func `what another one came of is not drawn again`() {
        #expect(drawn([], [0], [0, 1]) == ["●", "●", "●"])
        #expect(drawn([], [0], [1], [2, 1, 0]) == ["●", "●", "●", "●"])
        #expect(drawn([], [0], [0], [0, 1, 2]) == ["●", "├─╮", "│ ●", "● │", "├─╯", "●"])
    }

    /// Whatever came of what: no row stands in a lane beside a line that ends at it, and every row is drawn once.
    @Test func `any history is drawn, and each row has one mark`() {
        var random = SystemRandomNumberGenerator()
        for _ in 0..<300 {
            let count = Int.random(in: 1...12, using: &random)
            let parents = (0..<count).map { row in
                (0..<row).filter { _ in Int.random(in: 0..<4, using: &random) == 0 }
            }
            let rows = CausalGraph(parents: parents).rows
            #expect(rows.count == count)
            for row in rows {
                #expect(row.line.count { $0 == "●" } == 1, "\(parents)")
                #expect(row.before.allSatisfy { !$0.contains("●") }, "\(parents)")
                // Across two lanes, or more.
                #expect(row.before.allSatisfy { $0.contains("─") }, "\(parents)")
            }
            #expect(rows.last?.after == "", "\(parents)")
        }
    }
}
