import Foundation

/// One figure, with what it is made of and what it is held against.
struct Figure: Encodable {
    var name: String
    var value: Double
    var unit: String
    /// What the value is made of, for people.
    var detail: String
    /// The ratio of each pair, where the value is their median.
    var samples: [Double]?
    /// The median ratio by the processor's time instead of the wall's.
    var processorRatio: Double?
    var goal: Goal?
    var isReached: Bool?

    enum Goal: Encodable {
        case atLeast(Double)
        case atMost(Double)

        func isReached(by value: Double) -> Bool {
            switch self {
            case .atLeast(let bound): value >= bound
            case .atMost(let bound): value <= bound
            }
        }

        var text: String {
            switch self {
            case .atLeast(let bound): ">= \(bound.formatted(places: 2))"
            case .atMost(let bound): "<= \(bound.formatted(places: 2))"
            }
        }

        func encode(to encoder: any Encoder) throws {
            var container = encoder.singleValueContainer()
            try container.encode(text)
        }
    }

    init(
        _ name: String, _ value: Double, _ unit: String, _ detail: String,
        samples: [Double]? = nil, goal: Goal? = nil
    ) {
        self.name = name
        self.value = value
        self.unit = unit
        self.detail = detail
        self.samples = samples
        self.goal = goal
        isReached = goal?.isReached(by: value)
    }

    /// The engine's rate over plain SQLite's.
    init(_ name: String, _ rates: Rates, goal: Goal? = nil) {
        let detail =
            "engine \(rates.rowsPerSecond(rates.engine).formatted(places: 0)) rows/s, "
            + "plain \(rates.rowsPerSecond(rates.plain).formatted(places: 0)); "
            + "\(rates.ratios.min()?.formatted(places: 2) ?? "?") to "
            + "\(rates.ratios.max()?.formatted(places: 2) ?? "?"); "
            + "by CPU time \(rates.processorRatios.median.formatted(places: 2))"
        self.init(
            name, rates.ratios.median, "x plain", detail, samples: rates.ratios, goal: goal)
        processorRatio = rates.processorRatios.median
    }
}

/// Where the figures are from.
struct Machine: Encodable {
    var cores: Int
    var processor: String
    var sqlite: String
    var commit: String
    /// Of the directory in which the databases lay.
    var fileSystem: String
}

/// All that a run found out.
struct Report: Encodable {
    var machine: Machine
    var rows: Int
    var repetitions: Int
    var figures: [Figure]

    func json() throws -> String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        return String(decoding: try encoder.encode(self), as: UTF8.self)
    }

    var text: String {
        let header = ["figure", "value", "", "goal", "", "made of"]
        let lines = figures.map { figure in
            [
                figure.name, figure.value.formatted(places: 2), figure.unit,
                figure.goal?.text ?? "-", figure.isReached.map { $0 ? "reached" : "MISSED" } ?? "",
                figure.detail,
            ]
        }
        let widths = header.indices.map { column in
            ([header] + lines).map { $0[column].count }.max() ?? 0
        }
        let table = ([header] + lines).map { line in
            var cells: [String] = []
            for (column, cell) in line.enumerated() {
                let padding = String(repeating: " ", count: widths[column] - cell.count)
                cells.append(column == 1 ? padding + cell : cell + padding)
            }
            return cells.joined(separator: "  ").trimmingSuffix(" ")
        }
        return """
            \(machine.cores) cores (\(machine.processor)), SQLite \(machine.sqlite), \
            \(machine.fileSystem), commit \(machine.commit)
            \(rows) rows of \(Workload.cellsPerRow) columns, medians of \(repetitions) pairs

            \(table.joined(separator: "\n"))
            """
    }
}

extension [Double] {
    /// The middle one; the lower of two.
    var median: Double { isEmpty ? .nan : sorted()[(count - 1) / 2] }
}

extension Double {
    func formatted(places: Int) -> String { String(format: "%.\(places)f", self) }
}

extension String {
    fileprivate func trimmingSuffix(_ character: Character) -> String {
        String(reversed().drop { $0 == character }.reversed())
    }
}
