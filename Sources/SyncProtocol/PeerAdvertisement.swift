public import Causality

/// What a device that serves others lets the local network know by DNS-SD (RFC 6763), beside its name, addresses and port. It
/// proves nothing, and spares visits that would come to nothing.
public struct PeerAdvertisement: Hashable, Sendable {
    /// The service's type in DNS.
    public static let serviceType = "_karvan._tcp"

    /// The first 16 hexadecimal digits of the forum's root, and of the device's id.
    public var forum: String
    public var device: String

    public init(root: DeviceID, device: DeviceID) {
        forum = Self.mark(root)
        self.device = Self.mark(device)
    }

    private static func mark(_ id: DeviceID) -> String { String("\(id)".prefix(16)) }

    /// The strings of the TXT record.
    public var text: [String] { ["txtvers=1", "forum=\(forum)", "device=\(device)"] }

    /// Reads the strings of a TXT record: keys in any case and any order, the first of each counts, others
    /// are passed over.
    ///
    /// - Returns: `nil` for what isn't such a record, or one of another version.
    public init?(text: [String]) {
        var values: [String: String] = [:]
        for string in text {
            guard let sign = string.firstIndex(of: "="), sign != string.startIndex else { continue }
            let key = string[..<sign].lowercased()
            if values[key] == nil { values[key] = String(string[string.index(after: sign)...]) }
        }
        guard values["txtvers"] == "1", let forum = values["forum"], let device = values["device"],
            Self.isMark(forum), Self.isMark(device)
        else { return nil }
        (self.forum, self.device) = (forum, device)
    }

    private static func isMark(_ text: String) -> Bool {
        text.utf8.count == 16
            && text.utf8.allSatisfy { (48...57).contains($0) || (97...102).contains($0) }
    }
}
