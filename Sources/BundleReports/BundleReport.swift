internal import Causality
internal import Bundles
internal import FieldRecords
public import ProgramOutput
public import ReplicaStore
public import ReplicaSync
internal import SyncProtocol

/// What programs say of bundles.
public enum BundleReport {
    /// Takes in files one after the other, and prints what became of each. One that can't be taken is told of on
    /// standard error, and the others are taken all the same.
    ///
    /// - Parameters:
    ///   - program: what stands before an error.
    ///   - failure: what an error means for the command line.
    ///   - take: takes one in.
    /// - Throws: for the last that can't be taken, ``ProgramOutput/CommandFailure``.
    public static func importing(
        _ files: [String], isJSON: Bool, program: String, _ replica: Replica,
        failure: (any Error) -> CommandFailure?,
        take: (String) throws -> BundleExchange.Taken
    ) throws {
        var (objects, problem): ([JSONValue], CommandFailure?) = ([], nil)
        func note(_ failure: CommandFailure) {
            if let problem { StandardError.print("\(program): \(problem.message).") }
            problem = failure
        }
        for (file, result) in try results(of: files, replica, take) {
            do {
                let taken = try result.get()
                let sender = try replica.bundleSender(taken.summary.head.sender) ?? "a stranger"
                if isJSON {
                    objects.append(taken.json(file, by: sender))
                } else {
                    try StandardOutput.print(
                        taken.text(
                            TextTable.printable(file), by: TextTable.printable(sender),
                            made: time(taken.summary.head.madeMilliseconds),
                            isHub: replica.servesFeed))
                }
                if let error = taken.blobProblem {
                    guard var found = failure(error) else { throw error }
                    found.message =
                        "\(file): its changes were taken in, and not all of its photos: \(found.message). "
                        + "Then import it again"
                    note(found)
                }
            } catch {
                guard let found = failure(error) else { throw error }
                note(found)
            }
        }
        if isJSON, !objects.isEmpty || problem == nil {
            try StandardOutput.print(JSONValue.object([("bundles", .array(objects))]).text)
        }
        if let problem { throw problem }
    }

    /// What became of each file. A hub keeps nothing that waits for others, and nobody a photo without its record: what
    /// does is brought again once these have come, whatever order the files were named in.
    private static func results(
        of files: [String], _ replica: Replica, _ take: (String) throws -> BundleExchange.Taken
    ) throws -> [(file: String, Result<BundleExchange.Taken, any Error>)] {
        var found: [String: Result<BundleExchange.Taken, any Error>] = [:]
        var rest = inSeries(files)
        while !rest.isEmpty {
            var (again, hasMoved): ([String], Bool) = ([], false)
            for file in rest {
                var result = Result { try take(file) }
                if case .success(var taken) = result {
                    hasMoved = hasMoved || taken.tally.newCount > 0 || taken.blobs.newCount > 0
                    let hasGaps = taken.tally.waiting.contains { $0.refusal.code == .gap }
                    if replica.servesFeed && hasGaps || taken.blobs.unnamedCount > 0 {
                        again.append(file)
                    }
                    if case .success(let before)? = found[file] {
                        taken.tally.newCount += before.tally.newCount
                        taken.tally.knownCount = before.tally.knownCount
                        taken.blobs.add(before.blobs)
                    }
                    result = .success(taken)
                }
                found[file] = result
            }
            rest = hasMoved ? again : []
        }
        return files.map { ($0, found[$0]!) }
    }

    /// Files of one series in the order of their parts, at the places where files of that series stand: a shell names
    /// the second before the first.
    private static func inSeries(_ files: [String]) -> [String] {
        let heads = files.map { try? BundleInput(path: $0).head() }
        var ordered = files
        for series in Set(heads.compactMap { $0?.series }) {
            let places = files.indices.filter { heads[$0]?.series == series }
            let sorted = places.sorted { heads[$0]!.part < heads[$1]!.part }
            for (place, file) in zip(places, sorted) { ordered[place] = files[file] }
        }
        return ordered
    }

    public static func lines(
        of shown: BundleExchange.Shown, _ file: String, _ replica: Replica
    ) throws -> [String] {
        shown.lines(
            TextTable.printable(file),
            by: try replica.bundleSender(shown.summary.head.sender).map(TextTable.printable),
            for: try recipients(of: shown, replica).map(TextTable.printable),
            made: time(shown.summary.head.madeMilliseconds))
    }

    public static func json(
        of shown: BundleExchange.Shown, _ file: String, _ replica: Replica
    ) throws -> JSONValue {
        shown.json(
            file, by: try replica.bundleSender(shown.summary.head.sender),
            for: try recipients(of: shown, replica))
    }

    private static func recipients(
        of shown: BundleExchange.Shown, _ replica: Replica
    ) throws -> [String] {
        let known = try replica.bundleRecipients()
        return try shown.summary.head.recipients.map { recipient in
            if recipient.device == replica.device { return try replica.name }
            return known.first { $0.device == recipient.device }?.name ?? recipient.device.short
        }
    }

    static func time(_ milliseconds: Int64) -> String {
        // Whoever made it has said so: within the years that a date is written with.
        let years = -62_135_596_800_000...253_402_300_799_000 as ClosedRange<Int64>
        let clamped = min(max(milliseconds, years.lowerBound), years.upperBound)
        return Instant(milliseconds: clamped).inWholeSeconds
    }
}
