import AntiEntropy
import Causality
import FieldRecords
import Foundation
import Merge
import RecordSchema
import ReplicaStore
import ReplicaSync
import SyncProtocol

extension Bench {
    /// (g) A sync with nothing new, and what a check-in costs before it.
    func wire(sample: String) throws -> [Figure] {
        let wire = try Wire(workplace: workplace, sample: sample, progress: progress)
        func figure(_ name: String, _ cost: Wire.Cost, goal: Figure.Goal? = nil) -> Figure {
            Figure(
                name, cost.requestBytesPerCheckIn, "B/check-in",
                "\(cost.traffic.roundTrips) requests of \(cost.traffic.requestBytes) B, "
                    + "replies \(cost.traffic.replyBytes)", goal: goal)
        }
        let whole = try wire.checkIns(syncedEvery: Wire.checkInCount)
        let often = try wire.checkIns(syncedEvery: 50)
        return [
            figure("check-in, one sync", whole, goal: .atMost(10)),
            figure("check-in, synced every 50", often),
            Figure(
                "sync with nothing new", Double(often.idle.roundTrips), "round trips",
                "request \(often.idle.requestBytes) B, reply \(often.idle.replyBytes), "
                    + "without HTTP's headers",
                goal: .atMost(1)),
        ]
    }
}

/// What the sample forum's check-ins cost on the wire, and what a sync with nothing new costs.
struct Wire {
    static let checkInCount = 2_000
    /// Check-ins at one part of the programme, each of another person.
    private static let checkInsPerItem = 400
    private static let recorder = "Leyla Məmmədova"

    let workplace: Workplace
    let badges: [String]
    let items: [String]
    /// Reports what is under way.
    let progress: (String) -> Void

    /// What one way of syncing cost.
    struct Cost {
        var traffic: MemoryHub.Traffic
        /// The same laptop's next sync, with nothing new on either side.
        var idle: MemoryHub.Traffic

        var requestBytesPerCheckIn: Double {
            Double(traffic.requestBytes) / Double(Wire.checkInCount)
        }
    }

    init(workplace: Workplace, sample: String, progress: @escaping (String) -> Void) throws {
        self.workplace = workplace
        self.progress = progress
        badges = try Self.firstFields(sample + "/people.csv")
        items = try Self.firstFields(sample + "/programme.csv")
        guard badges.count >= Self.checkInsPerItem else {
            throw BenchError("\(sample) has too few people")
        }
    }

    private static func firstFields(_ path: String) throws -> [String] {
        try String(contentsOfFile: path, encoding: .utf8).split(separator: "\n").dropFirst()
            .compactMap { $0.split(separator: ",").first.map(String.init) }
    }

    /// Records the check-ins one per transaction, and syncs after every `interval` of them.
    func checkIns(syncedEvery interval: Int) throws -> Cost {
        progress("\(Self.checkInCount) check-ins, synced every \(interval)")
        let clock = SettableClock(milliseconds: Workload.startMilliseconds)
        let hub = try workplace.makeReplica(
            "hub", schema: Forum.schema, clock: clock, keepsFeed: true)
        let laptop = try workplace.makeReplica("laptop", schema: Forum.schema, clock: clock)
        defer {
            for replica in [hub, laptop] { replica.close() }
            for name in ["hub", "laptop"] { workplace.remove(name) }
        }
        try bringProgramme(to: hub, clock)
        let port = MemoryHub(hub)
        let driver = SyncDriver(
            replica: ReplicaSide(laptop), hub: port, wallMilliseconds: { clock.milliseconds })
        try sync(driver)
        port.startCounting()
        var random = SplitMix64(seed: 3)
        var people: [RowID] = []
        for number in 0..<Self.checkInCount {
            if number.isMultiple(of: Self.checkInsPerItem) { people = shuffledPeople(&random) }
            try checkIn(number, people, laptop, clock, &random)
            if (number + 1).isMultiple(of: interval) { try sync(driver) }
        }
        let traffic = port.traffic
        guard hub.versionVector() == laptop.versionVector() else {
            throw BenchError("the hub does not hold what the laptop sent")
        }
        port.startCounting()
        try sync(driver)
        return Cost(traffic: traffic, idle: port.traffic)
    }

    /// The office's laptop has imported people and programme; its stream is on the hub already.
    private func bringProgramme(to hub: Replica, _ clock: SettableClock) throws {
        let office = try workplace.makeReplica("office", schema: Forum.schema, clock: clock)
        defer {
            office.close()
            workplace.remove("office")
        }
        try office.write(author: "office") { transaction in
            for badge in badges {
                try transaction.upsert(Forum.person, key: [.text(badge)], [])
            }
            for item in items { try transaction.upsert(Forum.item, key: [.text(item)], []) }
        }
        try office.seal()
        _ = try hub.ingest(try office.sealedRuns(after: hub.versionVector()))
    }

    private func sync(_ driver: SyncDriver) throws {
        let (outcome, _) = try driver.run()
        guard outcome == .completed else { throw BenchError("a sync ended as \(outcome)") }
    }

    private func shuffledPeople(_ random: inout SplitMix64) -> [RowID] {
        var order = badges
        for last in order.indices.dropFirst().reversed() {
            order.swapAt(last, random.next(below: last + 1))
        }
        return order.compactMap { Forum.rowID(in: Forum.person, named: $0) }
    }

    /// Somebody at a door scans a badge: the program notes the time, and writes a moment later.
    private func checkIn(
        _ number: Int, _ people: [RowID], _ laptop: Replica, _ clock: SettableClock,
        _ random: inout SplitMix64
    ) throws {
        let (item, place) = number.quotientAndRemainder(dividingBy: Self.checkInsPerItem)
        clock.advance(milliseconds: gapMilliseconds(place, &random))
        let claimed = clock.milliseconds
        clock.advance(milliseconds: Int64(random.next(below: 4)))
        let isScanned = random.next(below: 100) < 92
        guard let itemID = Forum.rowID(in: Forum.item, named: items[item]) else {
            throw BenchError("\(items[item]) is no code")
        }
        let values: [Value?] = [
            .blob(itemID.identifier.bytes), .blob(people[place].identifier.bytes),
            .text(ObservationKind.in.rawValue),
            .text((isScanned ? ObservationMethod.badge : .search).rawValue), .integer(claimed),
            .text(["main", "north", "garden"][item % 3]), nil, nil, nil,
        ]
        try laptop.write(author: Self.recorder) { transaction in
            try transaction.insert(into: Forum.observation, values)
        }
    }

    /// People come in a queue, in a group from each bus, and between items not at all.
    private func gapMilliseconds(_ place: Int, _ random: inout SplitMix64) -> Int64 {
        if place == 0 { return 3_600_000 + Int64(random.next(below: 3_600_000)) }
        if random.next(below: 30) == 0 { return 30_000 + Int64(random.next(below: 240_000)) }
        return 1_200 + Int64(-log(1 - random.unit()) * 4_000)
    }
}
