internal import CCurl

/// Why a text is not the address of a hub.
public enum HubURLProblem: Error, Hashable, Sendable, CustomStringConvertible {
    case notHTTPS(String)
    case noHost(String)
    /// The text names a user, a query or a fragment.
    case surplus(String)
    case malformed(String)
    /// There is nothing to reach a hub with: libcurl's own words.
    case noLibrary(String)

    public var description: String {
        switch self {
        case .notHTTPS(let text):
            "'\(text)' is not a secure address: give it as https://hub.example.org"
        case .noHost(let text):
            "'\(text)' names no host: give it as https://hub.example.org"
        case .surplus(let text):
            "'\(text)' holds more than a host and a path: leave out user, '?' and '#'"
        case .malformed(let text):
            "'\(text)' is not an address: give it as https://hub.example.org"
        case .noLibrary(let detail):
            "no hub can be reached without libcurl (\(detail)): install the package libcurl4. "
                + "What is recorded here is safe meanwhile"
        }
    }
}

/// The address of a hub, as people type it.
public enum HubURL {
    /// Checks an address and brings it into the form that is kept: scheme and host in lower case,
    /// without the port when it is 443, without trailing slashes. A path in front is allowed, for
    /// a hub behind a proxy.
    ///
    /// The parser is libcurl's, so what is checked here is what will be connected to.
    public static func normalise(_ text: String) throws(HubURLProblem) -> String {
        if let problem = karvan_curl_problem() { throw .noLibrary(String(cString: problem)) }
        // libcurl would take less: other schemes, one slash or three, and a text up to its NUL.
        let prefix = "https://"
        guard text.lowercased().hasPrefix(prefix) else { throw .notHTTPS(text) }
        guard !text.contains("\0") else { throw .malformed(text) }
        guard !text.dropFirst(prefix.count).hasPrefix("/") else { throw .noHost(text) }
        guard let parts = karvan_curl_url() else { throw .malformed(text) }
        defer { karvan_curl_url_cleanup(parts) }
        switch karvan_curl_url_set(parts, CURLUPART_URL, text, 0) {
        case CURLUE_OK: break
        case CURLUE_NO_HOST, CURLUE_BAD_HOSTNAME: throw .noHost(text)
        default: throw .malformed(text)
        }
        guard let host = part(CURLUPART_HOST, of: parts), !host.isEmpty else { throw .noHost(text) }
        let surplus = [CURLUPART_USER, CURLUPART_PASSWORD, CURLUPART_QUERY, CURLUPART_FRAGMENT]
        guard surplus.allSatisfy({ part($0, of: parts) == nil }), !text.contains("#"),
            !text.contains("?")
        else { throw .surplus(text) }
        let port = part(CURLUPART_PORT, of: parts).map { ":" + $0 } ?? ""
        var path = part(CURLUPART_PATH, of: parts) ?? ""
        while path.hasSuffix("/") { path.removeLast() }
        return "https://" + host.lowercased() + port + path
    }

    private static func part(_ part: CURLUPart, of parts: OpaquePointer) -> String? {
        var text: UnsafeMutablePointer<CChar>?
        guard karvan_curl_url_get(parts, part, &text, UInt32(CURLU_NO_DEFAULT_PORT)) == CURLUE_OK,
            let text
        else { return nil }
        defer { karvan_curl_free(text) }
        return String(cString: text)
    }
}
