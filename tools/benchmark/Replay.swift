import AntiEntropy
import Causality
import FieldRecords
import Foundation
import Hub
import Recording
import ReplicaStore
import ReplicaSync
import SyncProtocol

/// Three days of the sample forum: laptops of nine scopes record, and what they record travels by the hub, from laptop to
/// laptop, and on sticks, as it comes. Every message passes as the bytes that would travel.
final class Replay {
    private static let laptopCount = 30
    private static let roundCount = 36
    private static let stickBytes: UInt64 = 4 << 30 - 1

    /// What one way of travelling came to.
    struct Way {
        var sessions = 0
        var roundTrips = 0
        var bytes = 0
        /// Runs whose bodies came to a laptop.
        var runs = 0
        /// Of these, how many it held already.
        var knownRuns = 0
        /// Runs whose bodies a laptop brought to the hub that it held already.
        var broughtAgain = 0
        var seconds = 0.0
    }

    private struct Person {
        var badge: String
        var delegation: String
    }

    private let workplace: Workplace
    private let clock = SettableClock(milliseconds: Workload.startMilliseconds)
    private let hub: HubStore
    private var laptops: [(replica: Replica, records: Records, people: [Person])] = []
    private let people: [Person]
    private let items: [String]
    private var random = SplitMix(seed: 24_11_2025)
    private let progress: (String) -> Void
    private(set) var ways: [String: Way] = [:]
    private(set) var changeCount = 0

    private struct SplitMix: RandomNumberGenerator {
        var state: UInt64

        init(seed: UInt64) { state = seed }

        mutating func next() -> UInt64 {
            state &+= 0x9e37_79b9_7f4a_7c15
            var word = state
            word = (word ^ (word >> 30)) &* 0xbf58_476d_1ce4_e5b9
            word = (word ^ (word >> 27)) &* 0x94d0_49bb_1331_11eb
            return word ^ (word >> 31)
        }
    }

    init(workplace: Workplace, sample: String, progress: @escaping (String) -> Void) throws {
        self.workplace = workplace
        self.progress = progress
        let lines = try String(contentsOfFile: sample + "/people.csv", encoding: .utf8)
            .split(separator: "\n").dropFirst()
        people = lines.map { line in
            let badge = line.prefix { $0 != "," }
            return Person(
                badge: String(badge), delegation: String(badge.prefix { $0 != "-" }))
        }
        items = try String(contentsOfFile: sample + "/programme.csv", encoding: .utf8)
            .split(separator: "\n").dropFirst().map { String($0.prefix { $0 != "," }) }
        let clock = clock
        var environment = Environment.system(command: "karvan-bench")
        environment.wallMilliseconds = { clock.milliseconds }
        hub = try HubStore(path: workplace.path("hub"), environment: environment)
        let delegations = Array(Set(people.map(\.delegation))).sorted()
        for number in 0..<Self.laptopCount {
            let code = number == 0 ? nil : delegations[number % delegations.count]
            let replica = try Replica.create(
                at: workplace.path("laptop-\(number)"), name: "L\(number)", schema: Forum.schema,
                environment: environment)
            try enrol(replica, code)
            let own = people.filter { $0.delegation == code }
            laptops.append((replica, Records(replica), own.isEmpty ? people : own))
            if number == 0 { try importSample(sample) }
        }
    }

    func close() {
        for laptop in laptops { laptop.replica.close() }
        hub.close()
    }

    private func enrol(_ replica: Replica, _ code: String?) throws {
        let token = try hub.createToken(
            scopes: code.map { ["delegation/\($0)"] } ?? [],
            role: code == nil ? "coordinator" : "lead",
            lifetimeMilliseconds: 3_600_000, pin: [UInt8](repeating: 0, count: 32))
        let reply = try hub.enrol(
            EnrolmentRequest(secret: token.secret, name: try replica.name, key: try replica.key()))
        try replica.setHubLink(
            HubLink(
                url: "https://hub.invalid", pins: nil, authority: nil,
                publicKey: reply.hub.statement.publicKey, role: "lead"),
            membership: try Membership(
                anchor: TrustAnchor(root: token.root), hub: reply.hub, own: reply.device,
                device: replica.publicKey))
    }

    private func importSample(_ sample: String) throws {
        for kind in [ImportKind.delegations, .sites, .people, .programme] {
            let name = "\(kind.rawValue).csv"
            let bytes = [UInt8](try Data(contentsOf: URL(filePath: "\(sample)/\(name)")))
            _ = try laptops[0].records.importFile(
                ImportFile.read(bytes: bytes, kind: kind, name: name), author: "hq", isDryRun: false
            )
        }
        try sync(0)
    }

    // MARK: Playing

    /// - Parameter wanted: how many changes, about.
    func play(_ wanted: Int) throws {
        for number in laptops.indices { try sync(number) }
        ways = [:]
        let each = max(1, wanted / Self.roundCount / Self.laptopCount)
        for round in 0..<Self.roundCount {
            progress("round \(round + 1) of \(Self.roundCount), \(changeCount) changes")
            for number in laptops.indices {
                clock.advance(milliseconds: 60_000)
                try record(each, on: number)
                switch Int.random(in: 0..<20, using: &random) {
                case 0..<5: try sync(number)
                case 5..<9: try meet(number)
                case 9..<11: try carry(number)
                default: break
                }
            }
        }
        // Two rounds: what the last one brings to the hub the next takes to all.
        for _ in 0..<2 { for number in laptops.indices { try sync(number) } }
    }

    private func record(_ count: Int, on number: Int) throws {
        let (_, records, people) = laptops[number]
        for _ in 0..<count {
            let person = people[Int.random(in: 0..<people.count, using: &random)]
            let item = items[Int.random(in: 0..<items.count, using: &random)]
            let kind: ObservationKind = Int.random(in: 0..<4, using: &random) == 0 ? .out : .in
            clock.advance(milliseconds: 1_000)
            if Int.random(in: 0..<20, using: &random) == 0 {
                _ = try records.tally(item, zone: "door", session: nil, by: 1, author: "Leyla")
            } else {
                _ = try records.attend(
                    item, [person.badge], AttendanceEntry(kind: kind, method: .badge, door: "B"),
                    author: "Leyla")
            }
            changeCount += 1
        }
    }

    private func count(_ name: String, _ body: (inout Way) throws -> Void) rethrows {
        var way = ways[name] ?? Way()
        let start = ContinuousClock.now
        way.sessions += 1
        try body(&way)
        way.seconds += (ContinuousClock.now - start) / .seconds(1)
        ways[name] = way
    }

    // MARK: By the hub

    private final class Port: HubPort {
        let hub: HubStore
        let laptop: Replica
        var way = Way()

        init(_ hub: HubStore, _ laptop: Replica) { (self.hub, self.laptop) = (hub, laptop) }

        func exchange(_ request: SyncRequest) throws(TransportFailure) -> SyncReply {
            do {
                let sent = request.encode()
                for run in request.parts.flatMap(\.runs) where try hub.replica.holds(RunStub(run)) {
                    way.broughtAgain += 1
                }
                let answer = try hub.exchange(
                    try SyncRequest(decoding: sent), from: laptop.publicKey
                ).encode()
                let reply = try SyncReply(decoding: answer)
                way.roundTrips += 1
                way.bytes += sent.count + answer.count
                for case .answered(let part) in reply.parts {
                    for run in part.entries.compactMap(\.run) {
                        way.runs += 1
                        if try laptop.holds(RunStub(run)) { way.knownRuns += 1 }
                    }
                }
                return reply
            } catch let refusal as Refusal {
                throw .refused(refusal)
            } catch {
                throw .unreachable("\(error)")
            }
        }
    }

    private func sync(_ number: Int) throws {
        let replica = laptops[number].replica
        try count("hub") { way in
            let port = Port(hub, replica)
            let driver = SyncDriver(
                replica: ReplicaSide(replica), hub: port,
                wallMilliseconds: { [clock] in clock.milliseconds })
            let (outcome, _) = try driver.run()
            guard outcome == .completed else {
                throw BenchError("L\(number) ends its sync with \(outcome)")
            }
            way.roundTrips += port.way.roundTrips
            way.bytes += port.way.bytes
            way.runs += port.way.runs
            way.knownRuns += port.way.knownRuns
            way.broughtAgain += port.way.broughtAgain
        }
    }

    // MARK: From laptop to laptop

    private final class Neighbour: PeerPort {
        let exchange: PeerExchange
        let key: DeviceKey
        let server: [UInt8]
        var way = Way()

        init(_ server: Replica, caller: Replica) throws {
            exchange = PeerExchange(server)
            self.server = server.publicKey
            key = try caller.key()
        }

        func meet(_ meeting: Meeting) throws(TransportFailure) -> [UInt8] {
            do {
                let body = meeting.encode()
                let signature = RequestSignature(
                    hub: server, path: Meeting.path, body: body, key: key)
                let (bundle, met) = try exchange.answer(body, signature: signature)
                way.roundTrips += 1
                way.bytes += body.count + bundle.count
                way.runs += met.taken.runCount
                way.knownRuns += met.taken.knownRunCount
                return bundle
            } catch let refusal as Refusal {
                throw .refused(refusal)
            } catch {
                throw .unreachable("\(error)")
            }
        }
    }

    private func meet(_ number: Int) throws {
        let other =
            (number + 1 + Int.random(in: 0..<laptops.count - 1, using: &random)) % laptops.count
        let (server, caller) = (laptops[other].replica, laptops[number].replica)
        try count("laptop to laptop") { way in
            let port = try Neighbour(server, caller: caller)
            let statement = try PeerExchange(server).statement(
                pin: [UInt8](repeating: 1, count: 32))
            let visit = try PeerExchange(caller).visit(statement, over: port)
            guard visit.untakenCount == 0, visit.taken.refused.isEmpty else {
                throw BenchError("L\(other) doesn't take \(visit.untakenCount) of L\(number)")
            }
            way.roundTrips += port.way.roundTrips
            way.bytes += port.way.bytes
            way.runs += port.way.runs + visit.taken.runCount
            way.knownRuns += port.way.knownRuns + visit.taken.knownRunCount
        }
    }

    // MARK: On sticks

    private func carry(_ number: Int) throws {
        let replica = laptops[number].replica
        let path = workplace.directory.appending(path: "stick.karvan").path
        defer { unlink(path) }
        let isForHub = Bool.random(using: &random)
        let other = (number + 1) % laptops.count
        try count(isForHub ? "stick to the hub" : "stick to a laptop") { way in
            let recipient =
                isForHub
                ? try replica.bundleRecipient(named: "hub")
                : try replica.bundleRecipients().first {
                    $0.device == laptops[other].replica.device
                }
            guard let recipient else { return }
            let written = try BundleExchange(replica).write(
                to: path, for: recipient, limitBytes: Self.stickBytes)
            way.bytes += written.files.reduce(0) { $0 + Int($1.byteCount) }
            let tally: BundleExchange.Tally
            if isForHub {
                let taken = try BundleExchange(hub.replica).read(path) { try self.hub.take($0) }
                try hub.decide(after: taken.list)
                tally = taken.tally
            } else {
                tally = try BundleExchange(laptops[other].replica).read(path).tally
            }
            way.runs += tally.runCount
            way.knownRuns += tally.knownRunCount
        }
    }

    // MARK: The end

    /// What it came to, as lines for people.
    func report(seconds: Double) throws -> String {
        var lines = [
            "\(changeCount) changes by \(laptops.count) laptops in \(people.count) people's forum, "
                + "\(Self.roundCount) rounds, \(Int(seconds)) s"
        ]
        for (name, way) in ways.sorted(by: { $0.key < $1.key }) {
            lines.append(
                "\(name): \(way.sessions) sessions, \(way.roundTrips) round trips, \(way.bytes) B, "
                    + "\(way.runs) runs came, \(way.knownRuns) of them held already, "
                    + "\(way.broughtAgain) brought to the hub again, "
                    + "\(Int(way.seconds * 1_000)) ms")
        }
        let hash = try hub.replica.stateHash()
        guard try laptops[0].replica.stateHash() == hash else {
            throw BenchError("the office and the hub show different states")
        }
        for (number, laptop) in laptops.enumerated() {
            let waiting = try laptop.replica.pending().count
            guard waiting == 0 else { throw BenchError("\(waiting) changes wait on L\(number)") }
            guard try laptop.replica.verify().problems.isEmpty else {
                throw BenchError("L\(number) is not whole")
            }
        }
        let count = try hub.replica.query("SELECT count(*) FROM observation").first?.first
        lines.append(
            "the same state on the hub and in the office: \(hash); observations: \(count.map { "\($0)" } ?? "")"
        )
        return lines.joined(separator: "\n")
    }
}
