import Foundation
import Merge
import ReplicaStore
import StoreTestSupport
import TestSupport
import Testing

/// What a transaction appends to the log goes to the file in one write: which must not be noticed.
@Suite struct GatheredLog {
    /// A file with one table, and what must be in it.
    private final class Ledger {
        let bench: Bench
        let disk: FaultyDisk
        let isSynced: Bool
        /// Takes back parts of transactions. SQLite 3.40 can't read the log of such a one again; see
        /// `0026-frames-of-a-commit-in-one-write.md`.
        let hasSavepoints: Bool
        var random: SplitMix64
        var committed: [Int64: [UInt8]] = [:]
        /// Whoever closes a file gives up all locks of the process on it: this one stays open.
        private let file: FileHandle
        private(set) var connections: [Connection] = []

        /// - Parameter isSynced: whether each commit is; else drawn.
        init(seed: UInt64, isSynced: Bool = false, hasSavepoints: Bool = false) throws {
            (self.isSynced, self.hasSavepoints) = (isSynced, hasSavepoints)
            (bench, disk, random) = (
                try Bench(isVolatile: true), try FaultyDisk(), SplitMix64(seed: seed)
            )
            let path = bench.path("ledger")
            try Data().write(to: URL(filePath: path))
            file = try FileHandle(forReadingFrom: URL(filePath: path))
            try open()
            try connections[0].execute(
                "PRAGMA journal_mode = WAL; CREATE TABLE t (k INTEGER PRIMARY KEY, v BLOB)")
        }

        deinit { close() }

        private var path: String { bench.path("ledger") }

        /// Two connections, with room for so few pages that a transaction runs over.
        func open() throws {
            let level = isSynced || random.chance(1, in: 2) ? "FULL" : "NORMAL"
            for _ in 0..<2 {
                let connection = try Connection(
                    path: path, isWritable: true, fileSystem: disk.name)
                try connection.execute(
                    """
                    PRAGMA cache_size = 6; PRAGMA wal_autocheckpoint = 0;
                    PRAGMA synchronous = \(level)
                    """)
                connections.append(connection)
            }
        }

        func close() {
            connections.forEach { $0.close() }
            connections = []
        }

        /// One change in a transaction of `connection`, and the same to `state`.
        private func change(
            _ state: inout [Int64: [UInt8]], on connection: Connection
        ) throws {
            let key = Int64(random.below(40))
            switch random.below(8) {
            case 0:
                try connection.run("DELETE FROM t WHERE k = ?", .integer(key))
                state[key] = nil
            case 1:
                // Pages that were written before in the same transaction.
                try connection.run("UPDATE t SET v = CAST(v || x'01' AS BLOB)")
                for key in state.keys { state[key]?.append(1) }
            case 2 where hasSavepoints:
                let before = state
                try connection.execute("SAVEPOINT s")
                for _ in 0...random.below(5) { try change(&state, on: connection) }
                if random.chance(1, in: 2) {
                    try connection.execute("ROLLBACK TO s")
                    state = before
                }
                try connection.execute("RELEASE s")
            case 3:
                try read(state, on: connection)
            default:
                let count = random.chance(1, in: 8) ? 30_000 : 10 + random.below(4_000)
                let bytes = [UInt8](repeating: UInt8(33 + random.below(90)), count: count)
                try connection.run(
                    "INSERT OR REPLACE INTO t VALUES (?, ?)", .integer(key), .blob(bytes))
                state[key] = bytes
            }
        }

        private func rows(of state: [Int64: [UInt8]]) -> [[Value]] {
            state.sorted { $0.key < $1.key }.map { [.integer($0.key), .blob($0.value)] }
        }

        func read(_ state: [Int64: [UInt8]], on connection: Connection) throws {
            let isAsExpected =
                try connection.rows("SELECT k, v FROM t ORDER BY k") == rows(of: state)
            try #require(isAsExpected)
        }

        /// Opens the files anew, in which there may be `pending` instead of what was committed.
        func find(_ pending: [Int64: [UInt8]]) throws {
            try open()
            let found = try connections[0].rows("SELECT k, v FROM t ORDER BY k")
            if found == rows(of: pending) { committed = pending }
        }

        /// - Returns: what a transaction that fails at its end may have left all the same.
        func transaction() throws -> [Int64: [UInt8]] {
            let connection = connections[random.below(2)]
            var state = committed
            do {
                try connection.execute("BEGIN IMMEDIATE")
                for _ in 0...random.below(12) { try change(&state, on: connection) }
                switch random.below(6) {
                case 0: try connection.execute("ROLLBACK")
                case 1:
                    // SQLite rolls back by itself.
                    try connection.execute("INSERT INTO t VALUES (-1, x'')")
                    #expect(throws: StoreError.self) {
                        try connection.execute("INSERT OR ROLLBACK INTO t VALUES (-1, 1)")
                    }
                    #expect(!connection.isInTransaction || disk.hasFired)
                default:
                    try connection.execute("COMMIT")
                    committed = state
                }
            } catch let error as StoreError {
                if connection.isInTransaction, !disk.isDead { try connection.execute("ROLLBACK") }
                guard disk.hasFired else { throw error }
            }
            return state
        }

        /// Another connection, and whoever finds nothing but the files.
        func check() throws {
            for connection in connections { try read(committed, on: connection) }
            guard !hasSavepoints else { return }
            try file.seek(toOffset: 0)
            try (file.readToEnd() ?? Data()).write(to: URL(filePath: bench.path("copy")))
            try Data(contentsOf: URL(filePath: path + "-wal"))
                .write(to: URL(filePath: bench.path("copy") + "-wal"))
            let copy = try Connection(path: bench.path("copy"), isWritable: true)
            defer { copy.close() }
            try read(committed, on: copy)
            #expect(try copy.value("PRAGMA integrity_check") == .text("ok"))
        }

        func checkpoint() throws {
            let mode = random.chance(1, in: 2) ? "PASSIVE" : "TRUNCATE"
            try connections[random.below(2)].execute("PRAGMA wal_checkpoint(\(mode))")
        }
    }

    @Test(arguments: 0..<150 as Range<UInt64>)
    func `two connections and a copy of the files agree after every commit`(_ seed: UInt64) throws {
        let ledger = try Ledger(seed: seed, hasSavepoints: seed.isMultiple(of: 2))
        for _ in 0..<20 {
            _ = try ledger.transaction()
            try ledger.check()
            if ledger.random.chance(1, in: 5) { try ledger.checkpoint() }
        }
    }

    @Test(arguments: [DiskFault.kill, .lose, .tear])
    func `after an end at any point there is all of a commit, or nothing`(
        _ fault: DiskFault
    ) throws {
        var fired = 0
        for seed in 0..<200 as Range<UInt64> {
            // Else the power takes what was committed.
            let ledger = try Ledger(seed: seed, isSynced: fault != .kill)
            ledger.disk.arm(fault, at: Int64(1 + ledger.random.below(60)), seed: seed)
            var pending = ledger.committed
            for _ in 0..<20 where !ledger.disk.isDead { pending = try ledger.transaction() }
            fired += ledger.disk.hasFired ? 1 : 0
            ledger.close()
            try ledger.disk.restart()
            try ledger.find(pending)
            try ledger.check()
        }
        #expect(fired > 100)
    }

    @Test func `a commit that found no room does not come back`() throws {
        var fired = 0
        for seed in 0..<120 as Range<UInt64> {
            let ledger = try Ledger(seed: seed)
            ledger.disk.arm(.full, at: Int64(1 + ledger.random.below(60)), seed: seed)
            for _ in 0..<20 {
                _ = try ledger.transaction()
                try ledger.check()
                ledger.disk.makeRoom()
            }
            fired += ledger.disk.hasFired ? 1 : 0
        }
        #expect(fired > 60)
    }

    @Test func `a commit of several pages is one write`() throws {
        let ledger = try Ledger(seed: 1)
        let connection = ledger.connections[0]
        try connection.execute("PRAGMA cache_size = 100; PRAGMA synchronous = NORMAL")
        let row = "INSERT INTO t (v) VALUES (zeroblob(40000))"
        try connection.execute(row)
        let before = ledger.disk.points
        try connection.execute(row)
        #expect(ledger.disk.points == before + 1)
        let small = try connection.value("PRAGMA page_size")
        #expect(small == .integer(4_096))
        // What is more than is gathered goes in several.
        try connection.execute("INSERT INTO t (v) VALUES (zeroblob(300000))")
        #expect(ledger.disk.points == before + 4)
    }
}
