import Foundation
import Synchronization

/// Which way bytes go.
enum Way: Int, CaseIterable, Sendable {
    case toHub, toLaptop

    var name: String { self == .toHub ? "to the hub" : "to the laptop" }
}

/// What a network does to a connection, at one byte of one way.
struct NetworkFault: Hashable, Sendable {
    enum Kind: String, CaseIterable, Sendable {
        /// Both ends are told that the connection was reset.
        case reset
        /// Both ends are told that the other one has closed.
        case close
        /// That way ends here; the other one goes on.
        case truncate
        /// Nothing more passes, either way, and nobody is told.
        case stall
        /// One bit of the byte is another one.
        case flip
        /// What came with the byte comes twice.
        case double
        /// What comes next comes some milliseconds later, in a segment of its own.
        case pause
    }

    var kind: Kind
    var way: Way
    /// The first byte that does not pass as it was, counted from the start of the session.
    var byte: Int

    /// Whether a session gets through it.
    var isHarmless: Bool { kind == .pause }
}

/// A TCP proxy on loopback that breaks at most one connection at one byte.
///
/// A thread per connection, which sees both ways, so that both ends break at the same moment. What
/// it waits for has a bound, and ``disarm()`` ends what is left.
final class FaultyProxy: Sendable {
    /// What passed since ``arm(_:isRecording:)``.
    struct Passage: Sendable {
        var fault: NetworkFault?
        var isStruck = false
        /// Bytes that came in, by way.
        var counts = [0, 0]
        /// The same bytes, when they are recorded.
        var bytes: [[UInt8]] = [[], []]
        var connections = 0
        fileprivate var isRecording = false
    }

    private struct State {
        var passage = Passage()
        var whenStruck: (@Sendable () -> Void)?
        var target: UInt16 = 0
        /// Connections of an earlier number end at their next look.
        var generation = 0
        var openCount = 0
        var isStopped = false
    }

    let port: Int
    private let listener: Int32
    private let state = Mutex(State())

    init() throws {
        let end = socket(AF_INET, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
        var address = Self.loopback(0)
        var size = socklen_t(MemoryLayout<sockaddr_in>.size)
        let bound = withUnsafeMutablePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { address in
                bind(end, address, size) == 0 && listen(end, 64) == 0
                    && getsockname(end, address, &size) == 0
            }
        }
        listener = end
        port = Int(UInt16(bigEndian: address.sin_port))
        guard bound else { throw ProgramError(description: "the proxy can't listen: \(errno)") }
        Thread.detachNewThread { [self] in accept() }
    }

    /// Ends it, with its threads. It would never go by itself, since they keep it.
    func stop() {
        state.withLock { $0.isStopped = true }
        _ = disarm()
    }

    private static func loopback(_ port: UInt16) -> sockaddr_in {
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = port.bigEndian
        address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
        return address
    }

    // MARK: What the test says

    /// Where connections go from now on.
    func aim(at port: Int) { state.withLock { $0.target = UInt16(port) } }

    /// Begins to count anew.
    ///
    /// - Parameter whenStruck: called once the bytes before the fault have passed, before it does
    ///   anything else.
    func arm(
        _ fault: NetworkFault?, isRecording: Bool = false,
        whenStruck: (@Sendable () -> Void)? = nil
    ) {
        state.withLock { state in
            state.generation += 1
            state.passage = Passage(fault: fault)
            state.passage.isRecording = isRecording
            state.whenStruck = whenStruck
        }
    }

    /// Ends what is left of the connections, and waits for that: two seconds at most.
    func disarm() -> Passage {
        let passage = state.withLock { state in
            state.generation += 1
            return state.passage
        }
        let limit = ContinuousClock.now + .seconds(2)
        while state.withLock({ $0.openCount }) > 0, ContinuousClock.now < limit { usleep(200) }
        return passage
    }

    // MARK: Connections

    private func accept() {
        defer { close(listener) }
        while !state.withLock({ $0.isStopped }) {
            var ready = pollfd(fd: listener, events: Int16(POLLIN), revents: 0)
            guard poll(&ready, 1, 50) > 0 else { continue }
            let laptop = Foundation.accept(listener, nil, nil)
            guard laptop >= 0 else { continue }
            _ = fcntl(laptop, F_SETFD, FD_CLOEXEC)
            let (target, generation) = state.withLock { state in
                state.openCount += 1
                state.passage.connections += 1
                return (state.target, state.generation)
            }
            Thread.detachNewThread { [self] in
                let hub = Self.connect(to: target)
                if hub >= 0 { pass(Link([laptop, hub]), generation) }
                for end in [laptop, hub] where end >= 0 { close(end) }
                state.withLock { $0.openCount -= 1 }
            }
        }
    }

    private static func connect(to port: UInt16) -> Int32 {
        let end = socket(AF_INET, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
        var address = loopback(port)
        let code = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                Foundation.connect(end, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
        guard code == 0 else {
            close(end)
            return -1
        }
        return end
    }

    /// Carries bytes until both ways have ended, the fault ends them, or the test does.
    private func pass(_ link: Link, _ generation: Int) {
        while link.isOpen, state.withLock({ $0.generation }) == generation {
            guard !link.isStalled else {
                usleep(1_000)
                continue
            }
            for way in link.readyWays(milliseconds: 5) {
                let chunk = link.read(way)
                guard !chunk.isEmpty else {
                    link.end(way)
                    continue
                }
                guard let (fault, index) = strike(way, chunk, generation) else {
                    link.write(chunk[...], way)
                    continue
                }
                link.write(chunk[..<index], way)
                state.withLock { $0.whenStruck }?()
                link.carryOut(fault, on: chunk, at: index)
                if !link.isOpen || link.isStalled { break }
            }
        }
    }

    /// Counts what came, and tells the fault that falls into it with its place there.
    private func strike(
        _ way: Way, _ chunk: [UInt8], _ generation: Int
    ) -> (NetworkFault, Int)? {
        state.withLock { state in
            guard state.generation == generation else { return nil }
            let start = state.passage.counts[way.rawValue]
            state.passage.counts[way.rawValue] += chunk.count
            if state.passage.isRecording { state.passage.bytes[way.rawValue] += chunk }
            guard let fault = state.passage.fault, fault.way == way, !state.passage.isStruck,
                (start..<start + chunk.count).contains(fault.byte)
            else { return nil }
            state.passage.isStruck = true
            return (fault, fault.byte - start)
        }
    }
}

/// The two sockets of a connection: used by one thread.
private final class Link {
    /// The laptop's end, then the hub's.
    private let ends: [Int32]
    /// Ways on which the sender may still send.
    private var open: Set<Way> = [.toHub, .toLaptop]
    /// Ways whose receiver was told that it is over; what still comes is read and dropped.
    private var swallowed: Set<Way> = []
    private(set) var isStalled = false

    init(_ ends: [Int32]) {
        self.ends = ends
        for end in ends {
            var on: Int32 = 1
            setsockopt(
                end, Int32(IPPROTO_TCP), TCP_NODELAY, &on, socklen_t(MemoryLayout<Int32>.size))
            var bound = timeval(tv_sec: 5, tv_usec: 0)
            setsockopt(
                end, SOL_SOCKET, SO_SNDTIMEO, &bound, socklen_t(MemoryLayout<timeval>.size))
        }
    }

    var isOpen: Bool { !open.isEmpty }

    private func source(_ way: Way) -> Int32 { ends[way.rawValue] }
    private func target(_ way: Way) -> Int32 { ends[1 - way.rawValue] }

    func readyWays(milliseconds: Int32) -> [Way] {
        let ways = Way.allCases.filter(open.contains)
        var looks = ways.map { pollfd(fd: source($0), events: Int16(POLLIN), revents: 0) }
        guard poll(&looks, nfds_t(looks.count), milliseconds) > 0 else { return [] }
        return zip(ways, looks).filter { $1.revents != 0 }.map(\.0)
    }

    /// Empty at the end, and after an error.
    func read(_ way: Way) -> [UInt8] {
        [UInt8](unsafeUninitializedCapacity: 65_536) { buffer, count in
            count = max(recv(source(way), buffer.baseAddress, buffer.count, 0), 0)
        }
    }

    func write(_ bytes: ArraySlice<UInt8>, _ way: Way) {
        guard !swallowed.contains(way) else { return }
        var rest = bytes
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes {
                send(target(way), $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
            }
            guard count > 0 else {
                swallowed.insert(way)
                return
            }
            rest = rest.dropFirst(count)
        }
    }

    /// The sender has ended, and so its receiver is told.
    func end(_ way: Way) {
        open.remove(way)
        shutdown(target(way), Int32(SHUT_WR))
    }

    /// What is before `index` has passed.
    func carryOut(_ fault: NetworkFault, on chunk: [UInt8], at index: Int) {
        let way = fault.way
        switch fault.kind {
        case .reset:
            for end in ends {
                // What the thread's close() does then is to send a reset.
                var now = linger(l_onoff: 1, l_linger: 0)
                setsockopt(end, SOL_SOCKET, SO_LINGER, &now, socklen_t(MemoryLayout<linger>.size))
            }
            open = []
        case .close: open = []
        case .truncate:
            swallowed.insert(way)
            shutdown(target(way), Int32(SHUT_WR))
        case .stall: isStalled = true
        case .flip:
            var other = chunk
            other[index] ^= 1 << UInt8(fault.byte % 8)
            write(other[index...], way)
        case .double:
            write(chunk[index...], way)
            write(chunk[index...], way)
        case .pause:
            usleep(3_000)
            write(chunk[index...], way)
        }
    }
}
