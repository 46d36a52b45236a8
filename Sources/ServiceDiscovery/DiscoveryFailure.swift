internal import CAvahi

/// Why nothing can be announced or looked for in the local network.
public enum DiscoveryFailure: Error, Hashable, Sendable, CustomStringConvertible {
    /// Avahi's client library can't be loaded: the loader's own words.
    case noLibrary(String)
    /// No daemon answers: Avahi's own words.
    case noDaemon(String)
    /// The daemon answers, and does not do it: Avahi's own words.
    case refused(String)

    public var description: String {
        switch self {
        case .noLibrary(let detail): "there is no Avahi on this laptop (\(detail))"
        case .noDaemon(let detail): "the service avahi-daemon doesn't run here (\(detail))"
        case .refused(let detail): "avahi-daemon doesn't do it (\(detail))"
        }
    }

    /// Of an error number of Avahi's.
    init(_ number: Int32) {
        let words = String(cString: karvan_avahi_strerror(number))
        switch Int(number) {
        case AVAHI_ERR_NO_DAEMON, AVAHI_ERR_DBUS_ERROR, AVAHI_ERR_DISCONNECTED:
            self = .noDaemon(words)
        default: self = .refused(words)
        }
    }

    /// To be asked before anything else of Avahi's is called.
    static func checkLibrary() throws(DiscoveryFailure) {
        if let problem = karvan_avahi_problem() { throw .noLibrary(String(cString: problem)) }
    }
}
