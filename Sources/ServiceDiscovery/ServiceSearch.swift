internal import CAvahi

/// A service that somebody announces in the local network. Anybody there can announce anything: it proves nothing.
public struct FoundService: Hashable, Sendable {
    /// What people call it, as it was announced: any text.
    public var name: String
    /// Where it may be reached, those of IPv4 first, IPv6 without those that hold in one link alone.
    public var addresses: [String]
    public var port: UInt16
    /// The strings of the TXT record; what is no UTF-8 in them reads as U+FFFD.
    public var text: [String]

    /// `HOST:PORT` for each address, in brackets where it is of IPv6.
    public var endpoints: [String] {
        addresses.map { $0.contains(":") ? "[\($0)]:\(port)" : "\($0):\(port)" }
    }
}

/// Looks for services in the local network, by DNS-SD (RFC 6763) over multicast DNS (RFC 6762), which the machine's Avahi daemon
/// speaks.
public enum ServiceSearch {
    /// Services are asked for three times in this time, as Avahi's queries go out; one answer may get lost in the air.
    public static let usualMilliseconds: Int64 = 4_000
    /// Those beyond are left alone, of what is wanted and of names to be asked about: each costs memory here.
    public static let greatestCounts = (wanted: 256, names: 4_096)
    /// The questions at a time: the daemon keeps 1,024 things for one program, and no more.
    private static let greatestOpenCount = 512

    /// - Parameters:
    ///   - type: such as `_http._tcp`.
    ///   - milliseconds: how long answers are waited for.
    ///   - monotonicMilliseconds: a clock that nobody sets.
    ///   - isWanted: by the strings of the TXT record.
    ///   - goesOn: asked some ten times a second.
    /// - Returns: each once, by name.
    public static func services(
        of type: String, within milliseconds: Int64 = usualMilliseconds,
        monotonicMilliseconds: () -> Int64, wanted isWanted: @escaping ([String]) -> Bool,
        while goesOn: () -> Bool = { true }
    ) throws(DiscoveryFailure) -> [FoundService] {
        try DiscoveryFailure.checkLibrary()
        guard let loop = karvan_avahi_simple_poll_new() else {
            throw .refused("no loop could be made")
        }
        defer { karvan_avahi_simple_poll_free(loop) }
        var problem: Int32 = 0
        guard
            let client = karvan_avahi_client_new(
                karvan_avahi_simple_poll_get(loop), AvahiClientFlags(rawValue: 0),
                // The loop ends with the daemon.
                { _, _, _ in }, nil, &problem)
        else { throw DiscoveryFailure(problem) }
        let search = Search(client, isWanted)
        // With all browsers and resolvers, before what they call back is gone.
        defer { withExtendedLifetime(search) { karvan_avahi_client_free(client) } }
        try search.begin(type)
        let end = monotonicMilliseconds() + milliseconds
        while goesOn(), search.problem == nil {
            let left = end - monotonicMilliseconds()
            guard left > 0 else { break }
            guard karvan_avahi_simple_poll_iterate(loop, Int32(min(left, 100))) == 0 else { break }
        }
        if karvan_avahi_client_get_state(client) == AVAHI_CLIENT_FAILURE {
            throw DiscoveryFailure(karvan_avahi_client_errno(client))
        }
        if let problem = search.problem { throw DiscoveryFailure(problem) }
        return search.services
    }

    /// A name that was heard, in a network and by a version of IP, and an address to be asked for: either kind alone would
    /// do, and only one of them may lead there.
    private struct Question {
        var interface: AvahiIfIndex
        var version: AvahiProtocol
        var name: String
        var type: String
        var domain: String
        var address: AvahiProtocol
    }

    /// What the loop calls back, on the thread that turns it.
    private final class Search {
        private let client: OpaquePointer
        private let isWanted: ([String]) -> Bool
        /// By name, which is one in a network.
        private var found: [String: FoundService] = [:]
        /// What is still to be asked, the first first. Those for addresses of IPv6 come behind all others: where a machine has
        /// none, they stay open until it is too late.
        private var questions: (ipv4: [Question], ipv6: [Question]) = ([], [])
        private var nameCount = 0
        private var openCount = 0
        /// An error number of Avahi's.
        private(set) var problem: Int32?

        init(_ client: OpaquePointer, _ isWanted: @escaping ([String]) -> Bool) {
            (self.client, self.isWanted) = (client, isWanted)
        }

        var services: [FoundService] {
            found.values
                .map { service in
                    var service = service
                    service.addresses.sort { one, two in
                        (one.contains(":") ? 1 : 0, one) < (two.contains(":") ? 1 : 0, two)
                    }
                    return service
                }
                .sorted { $0.name < $1.name }
        }

        func begin(_ type: String) throws(DiscoveryFailure) {
            let browser = karvan_avahi_service_browser_new(
                client, type,
                { _, interface, version, event, name, type, domain, _, context in
                    guard let context else { return }
                    let search = Unmanaged<Search>.fromOpaque(context).takeUnretainedValue()
                    switch event {
                    case AVAHI_BROWSER_NEW:
                        guard let name, let type, let domain else { return }
                        search.hear(
                            interface, version, String(cString: name), String(cString: type),
                            String(cString: domain))
                    case AVAHI_BROWSER_FAILURE: search.fail()
                    default: break
                    }
                }, Unmanaged.passUnretained(self).toOpaque())
            guard browser != nil else {
                throw DiscoveryFailure(karvan_avahi_client_errno(client))
            }
        }

        private func fail() { problem = karvan_avahi_client_errno(client) }

        private func hear(
            _ interface: AvahiIfIndex, _ version: AvahiProtocol, _ name: String, _ type: String,
            _ domain: String
        ) {
            guard nameCount < ServiceSearch.greatestCounts.names else { return }
            nameCount += 1
            var question = Question(
                interface: interface, version: version, name: name, type: type, domain: domain,
                address: AvahiProtocol(AVAHI_PROTO_INET))
            questions.ipv4.append(question)
            question.address = AvahiProtocol(AVAHI_PROTO_INET6)
            questions.ipv6.append(question)
            ask()
        }

        private func nextQuestion() -> Question? {
            if !questions.ipv4.isEmpty { return questions.ipv4.removeFirst() }
            return questions.ipv6.isEmpty ? nil : questions.ipv6.removeFirst()
        }

        /// As many as may be asked at a time. What can't be resolved, because it is gone again, isn't there.
        private func ask() {
            while openCount < ServiceSearch.greatestOpenCount, let question = nextQuestion() {
                let resolver = karvan_avahi_service_resolver_new(
                    client, question.interface, question.version, question.name, question.type,
                    question.domain, question.address,
                    { resolver, _, _, event, name, _, _, _, address, port, text, _, context in
                        guard let context else { return }
                        let search = Unmanaged<Search>.fromOpaque(context).takeUnretainedValue()
                        if event == AVAHI_RESOLVER_FOUND, let name, let address {
                            search.note(String(cString: name), address, port, text)
                        }
                        karvan_avahi_service_resolver_free(resolver)
                        search.openCount -= 1
                        search.ask()
                    }, Unmanaged.passUnretained(self).toOpaque())
                if resolver != nil { openCount += 1 }
            }
        }

        private func note(
            _ name: String, _ address: UnsafePointer<AvahiAddress>, _ port: UInt16,
            _ text: UnsafePointer<AvahiStringList>?
        ) {
            var buffer = [CChar](repeating: 0, count: 64)
            guard karvan_avahi_address_text(&buffer, buffer.count, address) != nil else { return }
            let place = String(
                decoding: buffer.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
            // It would need the name of the interface, which nobody else here has.
            guard !place.hasPrefix("fe80:") else { return }
            if var known = found[name] {
                guard known.port == port, !known.addresses.contains(place),
                    known.addresses.count < 8
                else { return }
                known.addresses.append(place)
                found[name] = known
            } else if found.count < ServiceSearch.greatestCounts.wanted {
                let strings = Self.strings(text)
                guard isWanted(strings) else { return }
                found[name] = FoundService(
                    name: name, addresses: [place], port: port, text: strings)
            }
        }

        private static func strings(_ list: UnsafePointer<AvahiStringList>?) -> [String] {
            var strings: [String] = []
            var next = list
            while let item = next {
                let bytes = UnsafeBufferPointer(
                    start: karvan_avahi_string_list_bytes(item), count: item.pointee.size)
                strings.append(String(decoding: bytes, as: UTF8.self))
                next = UnsafePointer(item.pointee.next)
            }
            return strings
        }
    }
}
