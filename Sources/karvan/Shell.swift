internal import ArgumentParser
internal import Foundation
internal import ProgramOutput
internal import ReplicaStore

/// Opens SQLite's own shell on the replica, while no other Karvan process can write.
struct Shell: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "shell",
        abstract: "Run sqlite3 on the replica under its lock; what it writes becomes changes.",
        discussion: """
            Example: karvan shell -- "UPDATE item SET status = 'planned' WHERE code = 'V12'"

            Arguments behind -- go to sqlite3.
            """)

    @OptionGroup var common: CommonOptions
    @Argument(help: "Arguments for sqlite3.")
    var arguments: [String] = []

    func run() throws {
        let replica = try common.open("shell")
        defer { replica.close() }
        let status = try replica.withLock { try shell() }
        try replica.takeForeignWrites()
        guard status != Self.notFound else {
            throw CommandFailure(
                .configuration, "there is no sqlite3 on the PATH; install the package sqlite3")
        }
        guard status == 0 else {
            throw CommandFailure(.badInput, "sqlite3 ended with \(status)")
        }
    }

    /// What setpriv(1) ends with when there is no such program.
    private static let notFound: Int32 = 127

    private func shell() throws -> Int32 {
        let process = Process()
        // sqlite3 ends with this process, however that ends: without the lock it may not write.
        process.executableURL = URL(filePath: "/usr/bin/setpriv")
        process.arguments =
            ["--pdeathsig", "KILL", "sqlite3", "-cmd", ".timeout 5000", common.path] + arguments
        do {
            try process.run()
        } catch {
            throw CommandFailure(
                .configuration, "sqlite3 can't be started; install the package sqlite3")
        }
        process.waitUntilExit()
        return process.terminationStatus
    }
}
