internal import CCurl

/// What passes through one handle: libcurl's own counters either leave out headers or count the
/// start of a body twice, and none of them knows what the kernel has yet to send.
final class Traffic {
    /// HTTP headers and bodies.
    private(set) var sentBytes = 0
    /// HTTP headers and bodies.
    private(set) var receivedBytes = 0
    /// Whether the other side sent anything at all during this request, be it an alert of TLS.
    private(set) var isAnswered = false
    /// More than one while several addresses of a host are tried at once.
    private var sockets: Set<curl_socket_t> = []

    /// Both directions together, without what the kernel still holds: on a slow uplink it takes a
    /// whole batch at once, and sends it for a minute.
    var movedBytes: Int {
        sentBytes + receivedBytes
            - sockets.reduce(0) { $0 + Int(karvan_unacknowledged_bytes($1)) }
    }

    func beginRequest() {
        isAnswered = false
    }

    private static func at(_ context: UnsafeMutableRawPointer?) -> Traffic? {
        context.map { Unmanaged<Traffic>.fromOpaque($0).takeUnretainedValue() }
    }

    /// What libcurl calls with everything that passes; comments and TLS's own bytes among it.
    static let passed: curl_debug_callback = { _, kind, _, count, context in
        at(context)?.note(kind, count)
        return 0
    }

    private func note(_ kind: curl_infotype, _ count: Int) {
        switch kind {
        case CURLINFO_HEADER_OUT, CURLINFO_DATA_OUT:
            sentBytes += count
        case CURLINFO_HEADER_IN, CURLINFO_DATA_IN:
            receivedBytes += count
            isAnswered = true
        case CURLINFO_SSL_DATA_IN:
            isAnswered = true
        default:
            break
        }
    }

    static let opened: curl_sockopt_callback = { context, socket, _ in
        at(context)?.sockets.insert(socket)
        return Int32(CURL_SOCKOPT_OK)
    }

    /// What libcurl calls instead of closing a socket.
    static let close: curl_closesocket_callback = { context, socket in
        at(context)?.sockets.remove(socket)
        return karvan_close_socket(socket)
    }
}
