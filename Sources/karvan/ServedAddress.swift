internal import Foundation
internal import ServiceDiscovery

/// Where others find this laptop when it serves.
enum ServedAddress {
    /// For people to type.
    ///
    /// - Parameter host: what is listened on.
    static func all(_ host: String) -> [String] {
        guard isEverywhere(host) else { return [host.contains(":") ? "[\(host)]" : host] }
        var found: [String] = []
        for interface in interfaces()
        where !interface.isLoopback && !interface.isIPv6 && !found.contains(interface.address) {
            found.append(interface.address)
        }
        return found
    }

    /// Where it makes sense to announce it.
    ///
    /// - Parameter host: what is listened on.
    /// - Returns: `nil` for an address that no interface has.
    static func reach(_ host: String) -> ServiceAnnouncement.Reach? {
        guard !isEverywhere(host) else { return .allNetworks(ipv4Only: host == "0.0.0.0") }
        let host = host == "localhost" ? "127.0.0.1" : host.lowercased()
        guard let interface = interfaces().first(where: { $0.address == host }) else { return nil }
        return .interface(index: interface.index)
    }

    private static func isEverywhere(_ host: String) -> Bool { host == "0.0.0.0" || host == "::" }

    /// One address of an interface that is up.
    private struct Interface {
        var index: UInt32
        var isLoopback: Bool
        var isIPv6: Bool
        var address: String
    }

    private static func interfaces() -> [Interface] {
        var first: UnsafeMutablePointer<ifaddrs>?
        guard getifaddrs(&first) == 0 else { return [] }
        defer { freeifaddrs(first) }
        var found: [Interface] = []
        var next = first
        while let interface = next?.pointee {
            next = interface.ifa_next
            guard interface.ifa_flags & UInt32(IFF_UP) != 0, let address = interface.ifa_addr,
                let (text, isIPv6) = text(of: address)
            else { continue }
            found.append(
                Interface(
                    index: if_nametoindex(interface.ifa_name),
                    isLoopback: interface.ifa_flags & UInt32(IFF_LOOPBACK) != 0, isIPv6: isIPv6,
                    address: text))
        }
        return found
    }

    private static func text(
        of address: UnsafeMutablePointer<sockaddr>
    ) -> (text: String, isIPv6: Bool)? {
        var buffer = [CChar](repeating: 0, count: Int(INET6_ADDRSTRLEN))
        let (size, family) = (socklen_t(buffer.count), Int32(address.pointee.sa_family))
        let isRead =
            switch family {
            case AF_INET:
                address.withMemoryRebound(to: sockaddr_in.self, capacity: 1) {
                    inet_ntop(family, &$0.pointee.sin_addr, &buffer, size) != nil
                }
            case AF_INET6:
                address.withMemoryRebound(to: sockaddr_in6.self, capacity: 1) {
                    inet_ntop(family, &$0.pointee.sin6_addr, &buffer, size) != nil
                }
            default: false
            }
        guard isRead else { return nil }
        let text = String(
            decoding: buffer.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
        return (text, family == AF_INET6)
    }
}
