internal import CAvahi
internal import Synchronization

/// A service that others in the local network can find, by DNS-SD (RFC 6763) over multicast DNS (RFC 6762), as long as this is
/// kept and not ended. The machine's Avahi daemon answers for it; one that starts again, or only later, is
/// told again.
public final class ServiceAnnouncement: Sendable {
    /// The networks in which it is announced.
    public enum Reach: Hashable, Sendable {
        /// All of them, to whoever asks by IPv4 alone, or by IPv6 as well.
        case allNetworks(ipv4Only: Bool)
        /// The one that has this interface.
        case interface(index: UInt32)
    }

    /// What its thread works with, and nobody else while that runs.
    private let work: Work
    private let hasEnded = Mutex(false)
    /// Whether the daemon was away at the start: it is told once it is there.
    public let waitsForDaemon: Bool

    /// - Parameters:
    ///   - type: such as `_http._tcp`.
    ///   - name: what people call it: at most 63 bytes of UTF-8, the rest is cut off. Where another bears it in the same network,
    ///     it gets a number.
    ///   - port: TCP.
    ///   - text: the strings `KEY=VALUE` of the TXT record, at most 255 bytes each.
    /// - Throws: when nothing can ever be announced from here. A daemon that isn't there yet is waited for.
    public init(
        type: String, name: String, port: UInt16, text: [String],
        reach: Reach = .allNetworks(ipv4Only: false)
    ) throws(DiscoveryFailure) {
        try DiscoveryFailure.checkLibrary()
        work = Work(type, Self.label(name), port, text, reach)
        waitsForDaemon = try work.begin()
    }

    deinit { end() }

    /// Others are told that it is gone. Doing it twice is as good as once.
    public func end() {
        let isFirst = hasEnded.withLock { hasEnded in
            defer { hasEnded = true }
            return !hasEnded
        }
        if isFirst { work.end() }
    }

    /// As much of a name as one label of DNS holds.
    static func label(_ name: String) -> String {
        var label = name
        while label.utf8.count > 63 { label.removeLast() }
        return label
    }

    /// Called on the loop's thread once that runs, and before it by who begins.
    private final class Work: @unchecked Sendable {
        private let type: String
        private var name: String
        private let port: UInt16
        private let text: [String]
        private let reach: Reach
        private var loop: OpaquePointer?
        private var client: OpaquePointer?
        private var group: OpaquePointer?

        init(_ type: String, _ name: String, _ port: UInt16, _ text: [String], _ reach: Reach) {
            (self.type, self.name, self.port) = (type, name, port)
            (self.text, self.reach) = (text, reach)
        }

        /// - Returns: whether the daemon is away.
        func begin() throws(DiscoveryFailure) -> Bool {
            guard let loop = karvan_avahi_threaded_poll_new() else {
                throw .refused("no loop could be made")
            }
            self.loop = loop
            let problem = connect()
            guard problem == 0 else {
                end()
                throw DiscoveryFailure(problem)
            }
            let isAway = karvan_avahi_client_get_state(client) == AVAHI_CLIENT_CONNECTING
            guard karvan_avahi_threaded_poll_start(loop) == 0 else {
                end()
                throw .refused("no thread could be started")
            }
            return isAway
        }

        func end() {
            guard let loop else { return }
            karvan_avahi_threaded_poll_stop(loop)
            if let client { karvan_avahi_client_free(client) }
            karvan_avahi_threaded_poll_free(loop)
            (self.loop, client, group) = (nil, nil, nil)
        }

        /// - Returns: an error number of Avahi's; 0 when the daemon is there, or waited for.
        private func connect() -> Int32 {
            var problem: Int32 = 0
            let made = karvan_avahi_client_new(
                karvan_avahi_threaded_poll_get(loop), AVAHI_CLIENT_NO_FAIL,
                { client, state, context in
                    guard let client, let context else { return }
                    Unmanaged<Work>.fromOpaque(context).takeUnretainedValue()
                        .turned(client, state)
                }, Unmanaged.passUnretained(self).toOpaque(), &problem)
            client = made
            return made == nil ? problem : 0
        }

        private func turned(_ client: OpaquePointer, _ state: AvahiClientState) {
            switch state {
            case AVAHI_CLIENT_S_RUNNING: announce(client)
            case AVAHI_CLIENT_S_COLLISION, AVAHI_CLIENT_S_REGISTERING:
                // The machine gets another name: what bears the old one is announced anew.
                if let group { karvan_avahi_entry_group_reset(group) }
            case AVAHI_CLIENT_FAILURE:
                // It comes too while `connect` still makes the client, which isn't to be freed here then.
                guard client == self.client else { return }
                karvan_avahi_client_free(client)
                (self.client, group) = (nil, nil)
                _ = connect()
            default: break
            }
        }

        private func announce(_ client: OpaquePointer) {
            if group == nil {
                group = karvan_avahi_entry_group_new(
                    client,
                    { group, state, context in
                        guard let group, let context, state == AVAHI_ENTRY_GROUP_COLLISION else {
                            return
                        }
                        Unmanaged<Work>.fromOpaque(context).takeUnretainedValue().rename(group)
                    }, Unmanaged.passUnretained(self).toOpaque())
            }
            if let group { fill(group) }
        }

        /// Another in the network bears the name.
        private func rename(_ group: OpaquePointer) {
            guard let other = karvan_avahi_alternative_service_name(name) else { return }
            name = String(cString: other)
            karvan_avahi_free(other)
            karvan_avahi_entry_group_reset(group)
            fill(group)
        }

        private func fill(_ group: OpaquePointer) {
            var strings: UnsafeMutablePointer<AvahiStringList>?
            // On the wire the first that was added comes first.
            for string in text {
                strings = karvan_avahi_string_list_add(strings, string)
            }
            defer { karvan_avahi_string_list_free(strings) }
            let (interface, version): (AvahiIfIndex, AvahiProtocol) =
                switch reach {
                case .allNetworks(ipv4Only: true): (-1, AvahiProtocol(AVAHI_PROTO_INET))
                case .allNetworks(ipv4Only: false): (-1, AvahiProtocol(AVAHI_PROTO_UNSPEC))
                case .interface(let index):
                    (AvahiIfIndex(bitPattern: index), AvahiProtocol(AVAHI_PROTO_UNSPEC))
                }
            let problem = karvan_avahi_entry_group_add_service(
                group, interface, version, name, type, port, strings)
            switch Int(problem) {
            case 0: karvan_avahi_entry_group_commit(group)
            // On this very machine.
            case AVAHI_ERR_COLLISION: rename(group)
            default: break
            }
        }
    }
}
