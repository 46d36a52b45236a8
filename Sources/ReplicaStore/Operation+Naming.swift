internal import Causality
internal import Merge

extension StreamTable {
    /// As ``canonical(_:)``; `nil` for a dot that names nothing.
    func canonical(_ dot: Dot, _ strays: Replica.Strays) -> Dot? {
        guard let stray = strays[dot.stream] else { return canonical(dot) }
        return dot.seq <= stray.seq ? Dot(stray.stream, dot.seq) : nil
    }
}

extension Operation {
    /// The same, with its dots called otherwise.
    ///
    /// - Parameter name: `nil` for one that names nothing.
    func naming(_ name: (Dot) -> Dot?) -> Operation {
        var seen: Set<Dot> = []
        var operation = self
        operation.over = over.compactMap(name).filter { seen.insert($0).inserted }
        switch action {
        case .put, .retract: break
        case .resolve(let value, let covers):
            seen = []
            operation.action = .resolve(
                value, covers: covers.compactMap(name).filter { seen.insert($0).inserted })
        case .delete(let covers):
            var seen: Set<CellDot> = []
            operation.action = .delete(
                covers: covers.compactMap { cover in name(cover.dot).map { CellDot(cover.cell, $0) }
                }
                .filter { seen.insert($0).inserted })
        }
        return operation
    }

    /// What an entry counts beyond an earlier one.
    mutating func subtract(_ earlier: Operation?) {
        guard case .put(.composite(let parts)) = action,
            case .put(.composite(let less))? = earlier?.action,
            case .integer(let up) = parts[0], case .integer(let down) = parts[1],
            case .integer(let lessUp) = less[0], case .integer(let lessDown) = less[1]
        else { return }
        action = .put(
            Counter.entryValue(
                increments: max(0, up - lessUp), decrements: max(0, down - lessDown)))
    }
}
