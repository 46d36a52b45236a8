import Causality
import Foundation
import Merge
import RecordSchema
import SyncProtocol
import TestSupport
import Testing

import ReplicaStore

/// Files that are copied, put back, deleted and killed at random: no number is ever used twice, and
/// nothing that a file acknowledged is missing from it and from its later copies.
@Suite struct CopiedFiles {
    private static let scenarioCount =
        ProcessInfo.processInfo.environment["KARVAN_COPIES"].flatMap { Int($0) } ?? 200

    @Test func `random copies and older files never use a number twice`() throws {
        var totals = Scenario.Totals()
        for seed in 0..<UInt64(Self.scenarioCount) {
            var scenario = try Scenario(seed: seed)
            try scenario.run()
            totals.add(scenario.totals)
        }
        print(
            "\(Self.scenarioCount) scenarios: \(totals.writes) writes, \(totals.copies) copies, "
                + "\(totals.putBacks) put back, \(totals.noticed) noticed, \(totals.syncs) syncs, "
                + "\(totals.adopted) adopted, \(totals.apart) files that went apart")
        #expect(totals.copies > Self.scenarioCount / 2)
        #expect(totals.putBacks > Self.scenarioCount / 2)
        #expect(totals.noticed > Self.scenarioCount)
    }
}

/// One folder with files of one laptop, and what each of them must hold.
private struct Scenario {
    struct Totals {
        var (writes, copies, putBacks, noticed, syncs, adopted, apart) = (0, 0, 0, 0, 0, 0, 0)

        mutating func add(_ other: Totals) {
            writes += other.writes
            copies += other.copies
            putBacks += other.putBacks
            noticed += other.noticed
            syncs += other.syncs
            adopted += other.adopted
            apart += other.apart
        }
    }

    private struct Place {
        var name: String
        var replicas: [Replica] = []
        /// What the file holds: its own notes and those that it took in.
        var titles: Set<String>
        /// The file is not the one that wrote here last; the streams that it must not write to.
        var isChanged = false
        /// Older states of this file, closed and whole.
        var copies: [(name: String, titles: Set<String>)] = []
    }

    private let seed: UInt64
    private let bench: Bench
    private let hub: Replica
    private var generator: SplitMix64
    private var places: [Place]
    private var used: Set<Dot> = []
    private var fileCount = 0
    var totals = Totals()

    init(seed: UInt64) throws {
        self.seed = seed
        bench = try Bench(isVolatile: true)
        generator = SplitMix64(seed: seed)
        hub = try bench.create("hub", keepsFeed: true)
        places = [Place(name: "a", titles: [])]
        places[0].replicas.append(try bench.create("a"))
    }

    private mutating func draw(_ count: Int) -> Int { Int(generator.next() % UInt64(count)) }

    mutating func run() throws {
        for _ in 0..<30 {
            let place = draw(places.count)
            switch draw(10) {
            case 0...3: try write(place)
            case 4: try open(place)
            case 5: try copy(place)
            case 6: try keep(place)
            case 7: try putBack(place)
            case 8: try sync(place)
            default: try seal(place)
            }
        }
        for place in places.indices { try check(place) }
    }

    private mutating func replica(_ place: Int) throws -> Replica {
        if places[place].replicas.isEmpty { try open(place) }
        return places[place].replicas[draw(places[place].replicas.count)]
    }

    private mutating func open(_ place: Int) throws {
        places[place].replicas.append(try bench.open(places[place].name))
    }

    private mutating func write(_ place: Int) throws {
        let replica = try replica(place)
        let before = replica.stream
        totals.writes += 1
        let title = "\(seed)-\(totals.writes)"
        let dots = try replica.write {
            _ = try $0.insert(into: Sample.note, [.text(title), nil, nil, nil, nil])
        }.receipt.dots
        for dot in dots {
            #expect(used.insert(dot).inserted, "seed \(seed): \(dot) is used twice")
        }
        if places[place].isChanged {
            totals.noticed += 1
            #expect(dots[0].stream != before || dots[0].seq == 1, "seed \(seed): not noticed")
            #expect(dots[0].seq == 1, "seed \(seed): the old stream went on")
            places[place].isChanged = false
        }
        places[place].titles.insert(title)
    }

    /// A new place, with a copy of a file that may be open: it lies beside no other's number.
    private mutating func copy(_ place: Int) throws {
        guard places.count < 5 else { return }
        totals.copies += 1
        fileCount += 1
        let name = "copy-\(fileCount)"
        try bench.copy(places[place].name, to: name)
        places.append(Place(name: name, titles: places[place].titles, isChanged: true))
    }

    /// Keeps the file as it is now, for later.
    private mutating func keep(_ place: Int) throws {
        fileCount += 1
        let name = "kept-\(fileCount)"
        try bench.copy(places[place].name, to: name)
        places[place].copies.append((name, places[place].titles))
    }

    private mutating func putBack(_ place: Int) throws {
        guard let kept = places[place].copies.last else { return }
        close(place)
        let isOlder = try ownHead(kept.name) != ownHead(places[place].name)
        try bench.putBack(kept.name, as: places[place].name)
        places[place].titles = kept.titles
        guard isOlder else { return }
        totals.putBacks += 1
        places[place].isChanged = true
    }

    /// The stream and its head as the file has them, read from a copy.
    private func ownHead(_ name: String) throws -> Dot {
        try bench.copy(name, to: "look")
        let connection = try Connection(path: bench.path("look"), isWritable: true)
        defer {
            connection.close()
            bench.remove("look")
        }
        let own = try connection.rows(
            """
            SELECT stream, max(head, coalesce((SELECT max(seq) FROM sy_tail), 0)) FROM sy_stream
            WHERE sid = (SELECT value FROM sy_meta WHERE key = 'own')
            """)
        guard case .blob(let stream)? = own.first?[0], case .integer(let head)? = own.first?[1],
            let identifier = Identifier(stream)
        else { throw ExchangeError() }
        return Dot(StreamID(identifier), UInt64(head))
    }

    /// Some end in order, and some as a killed process does.
    private mutating func close(_ place: Int) {
        for replica in places[place].replicas where draw(2) == 0 { replica.close() }
        places[place].replicas = []
    }

    private mutating func seal(_ place: Int) throws {
        let replica = try replica(place)
        if try replica.seal() > 0 { places[place].isChanged = false }
    }

    private mutating func sync(_ place: Int) throws {
        totals.syncs += 1
        let replica = try replica(place)
        let before = try replica.left()
        try exchange(replica, hub)
        places[place].titles.formUnion(try titles(replica))
        if try replica.left().adoptedCount < before.adoptedCount { totals.adopted += 1 }
        // A transaction has met the file since.
        let own = try ownHead(places[place].name)
        if own.seq == 0 { places[place].isChanged = false }
    }

    private func titles(_ replica: Replica) throws -> Set<String> {
        Set(
            try replica.query("SELECT title FROM note").map { row in
                if case .text(let title) = row[0] { title } else { "?" }
            })
    }

    private mutating func check(_ place: Int) throws {
        let replica = try bench.open(places[place].name)
        let shown = try titles(replica)
        #expect(
            places[place].titles.isSubset(of: shown),
            "seed \(seed): \(places[place].titles.subtracting(shown)) are gone")
        #expect(try replica.verify().problems == [], "seed \(seed)")
        if try !replica.quarantined().isEmpty { totals.apart += 1 }
    }
}
