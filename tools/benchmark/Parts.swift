import ArgumentParser

/// The parts of a run, by name.
enum Part: String, CaseIterable, ExpressibleByArgument {
    /// (a) inserts, so many rows per transaction.
    case insert1 = "insert-1"
    case insert100 = "insert-100"
    case insert10000 = "insert-10000"
    /// (b) one column of every row, and (f) the files after it.
    case update
    /// (c) and (d): everything leaves, and comes into an empty replica.
    case apply
    /// (e) two replicas that changed the same rows.
    case merge
    /// (g) nothing new, and the forum's check-ins.
    case wire
    /// A process of the command line.
    case attend
    /// A million rows into an empty replica.
    case memory

    func figures(_ bench: Bench, _ programs: Programs) throws -> [Figure] {
        switch self {
        case .insert1: try bench.inserts(rowsPerTransaction: 1, goal: 0.8)
        case .insert100: try bench.inserts(rowsPerTransaction: 100, goal: 0.6)
        case .insert10000: try bench.inserts(rowsPerTransaction: 10_000, goal: 0.5)
        case .update: try bench.updates()
        case .apply: try bench.applies()
        case .merge: try bench.merges()
        case .wire: try bench.wire(sample: programs.sample)
        case .attend: try bench.attend(programs)
        case .memory: try bench.memory(programs)
        }
    }
}

/// What lies outside of this program.
struct Programs {
    /// This program.
    var bench: String
    /// The command line; nil when it wasn't built.
    var karvan: String
    /// The sample forum's CSV files.
    var sample: String
}
