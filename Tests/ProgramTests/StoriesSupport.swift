import Foundation

/// The sample forum, made once: a hub, and hq, L1, L2 and L3 that hold all of it. Each test works
/// on a copy.
private enum Prepared {
    static let directory: Result<URL, any Error> = Result {
        let forum = try Forum()
        try forum.startHub()
        try forum.enrol("hq", "L1", "L2", "L3")
        try forum.importSample(on: "hq")
        for laptop in ["hq", "L1", "L2", "L3"] { try forum.must(laptop, "sync") }
        forum.stopHub(signal: SIGTERM)
        let kept = FileManager.default.temporaryDirectory
            .appending(path: "karvan-prepared-\(ProcessInfo.processInfo.processIdentifier)")
        try FileManager.default.moveItem(at: forum.directory, to: kept)
        // It serves all tests, so it goes with the process.
        atexit {
            if let kept = try? Prepared.directory.get() {
                try? FileManager.default.removeItem(at: kept)
            }
        }
        return kept
    }

    /// A replica that nobody has open is these three files; a hub's certificate and keys lie beside it.
    static func files(of store: String) throws -> [URL] {
        let suffixes = [
            "", "-wal", ".key", ".install", ".tls-cert.pem", ".tls-key.pem", ".tls-next-key.pem",
        ]
        return try suffixes.map { try directory.get().appending(path: "\(store).sqlite\($0)") }
            .filter { FileManager.default.fileExists(atPath: $0.path) }
    }
}

/// What a replica holds, in short: equal when nothing was written in between.
struct Standing: Hashable {
    var stateHash: String
    var changes: Int
}

/// A conflict as `conflicts list --json` tells it.
struct ListedConflict: Hashable {
    var id: String
    var conflictClass: Int
    var subject: String
    var shown: String
    /// The values that aren't shown, sorted.
    var others: [String]
    var isWithinTolerance: Bool
    var isByRule: Bool

    init?(_ object: [String: Any]) {
        guard let id = object["id"] as? String, let number = object["class"] as? Int,
            let table = object["table"] as? String, let name = object["name"] as? String,
            let candidates = object["candidates"] as? [[String: Any]]
        else { return nil }
        self.id = id
        conflictClass = number
        subject = [table, name, object["column"] as? String ?? ""].joined(separator: " ")
        let values = candidates.map {
            (text: $0["value"] as? String ?? "", isShown: $0["shown"] as? Bool ?? false)
        }
        shown = values.filter(\.isShown).map(\.text).joined(separator: " and ")
        others = values.filter { !$0.isShown }.map(\.text).sorted()
        isWithinTolerance = object["within_tolerance"] as? Bool ?? false
        isByRule = object["rule"] is String
    }
}

extension Forum {
    /// A copy of the sample forum. No hub runs: see ``connect()``.
    convenience init(prepared laptops: [String]) throws {
        try self.init()
        for store in laptops + ["hub"] {
            for file in try Prepared.files(of: store) {
                try FileManager.default.copyItem(
                    at: file, to: directory.appending(path: file.lastPathComponent))
            }
        }
    }

    /// Starts the hub, on a port of its own, and tells the laptops.
    func connect(_ laptops: String...) throws {
        try startHub()
        for laptop in laptops {
            try sqlite3(laptop, "UPDATE sy_meta SET value = '\(url)' WHERE key = 'hub_url'")
        }
    }

    /// Runs SQLite's own shell on a store that nobody has open.
    @discardableResult
    func sqlite3(_ store: String, _ statements: String) throws -> String {
        let finished = try Programs.run(
            "/usr/bin/sqlite3", ["-bail", "\(store).sqlite", statements], in: directory)
        guard finished.status == 0 else { throw ProgramError(description: finished.errors) }
        return finished.output
    }

    /// As its namesake, for arguments that are a list already.
    @discardableResult
    func must(_ laptop: String, _ arguments: [String]) throws -> String {
        let finished = try Programs.run(
            "karvan", arguments, in: directory,
            environment: ["KARVAN_REPLICA": "\(laptop).sqlite"])
        guard finished.status == 0 else {
            throw ProgramError(description: "karvan \(arguments): \(finished.errors)")
        }
        return finished.output
    }

    /// `karvan bundle`, whatever comes of it.
    func bundle(_ laptop: String, _ arguments: String...) throws -> Finished {
        try Programs.run(
            "karvan", ["bundle"] + arguments, in: directory,
            environment: ["KARVAN_REPLICA": "\(laptop).sqlite"])
    }

    /// `karvan-hub bundle`, whatever comes of it.
    func hubBundle(_ arguments: String...) throws -> Finished {
        try Programs.run(
            "karvan-hub", ["bundle"] + arguments + ["--store", "hub.sqlite"], in: directory)
    }

    /// The object that a command prints; any end but 0 is an error.
    func json(_ laptop: String, _ arguments: String...) throws -> [String: Any] {
        let finished = try Programs.run(
            "karvan", arguments + ["--json"], in: directory,
            environment: ["KARVAN_REPLICA": "\(laptop).sqlite"])
        guard finished.status == 0 else { throw ProgramError(description: finished.errors) }
        return finished.json
    }

    /// The rows that a SELECT gives, each as text with `|` between its columns.
    func rows(_ laptop: String, _ select: String) throws -> [String] {
        try must(laptop, "sql", select).split(separator: "\n").dropFirst().map(String.init)
    }

    /// Holds a store against itself.
    func verified(_ store: String) throws -> Standing {
        let facts = try json(store, "verify")
        return Standing(
            stateHash: facts["state_hash"] as? String ?? "", changes: facts["changes"] as? Int ?? -1
        )
    }

    func conflicts(_ laptop: String) throws -> [ListedConflict] {
        let listed = try json(laptop, "conflicts", "list")["conflicts"] as? [[String: Any]]
        return listed?.compactMap(ListedConflict.init) ?? []
    }

    func path(_ name: String) -> URL { directory.appending(path: name) }

    func exists(_ name: String) -> Bool {
        FileManager.default.fileExists(atPath: path(name).path)
    }
}
