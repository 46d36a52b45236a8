internal import CCurl

/// A libcurl easy handle with its options set once. Whoever makes it closes it.
struct EasyHandle {
    let pointer: UnsafeMutableRawPointer
    private let errorText: UnsafeMutablePointer<CChar>

    /// Once per process, before any handle; a `static let` is set by one thread.
    private static let global: Void = {
        let code = karvan_curl_global_init(Int(CURL_GLOBAL_DEFAULT))
        precondition(code == CURLE_OK, "libcurl can't start: \(describe(code))")
    }()

    init() {
        Self.global
        guard let pointer = karvan_curl_easy_init() else {
            preconditionFailure("no memory for libcurl")
        }
        self.pointer = pointer
        errorText = .allocate(capacity: Int(CURL_ERROR_SIZE))
        errorText.initialize(repeating: 0, count: Int(CURL_ERROR_SIZE))
        // libcurl empties it at the start of each transfer.
        check(karvan_curl_set_pointer(pointer, CURLOPT_ERRORBUFFER, errorText))
    }

    func close() {
        karvan_curl_easy_cleanup(pointer)
        errorText.deallocate()
    }

    /// What libcurl says went wrong.
    func explanation(of code: CURLcode) -> String {
        let text = String(cString: errorText)
        return text.isEmpty ? Self.describe(code) : text
    }

    private static func describe(_ code: CURLcode) -> String {
        String(cString: karvan_curl_easy_strerror(code))
    }
}

// MARK: - Options

extension EasyHandle {
    /// HTTP/1.1 over TLS 1.3, to the address that was asked for.
    ///
    /// HTTP/2 between libcurl 7.88 and Hummingbird ends after some 200 requests: libcurl resets
    /// each stream, and the server's limit of resets answers GOAWAY.
    func restrict() {
        set(CURLOPT_PROTOCOLS_STR, "https")
        set(CURLOPT_HTTP_VERSION, CURL_HTTP_VERSION_1_1)
        set(CURLOPT_SSLVERSION, CURL_SSLVERSION_TLSv1_3)
        set(CURLOPT_FOLLOWLOCATION, 0)
        set(CURLOPT_POST, 1)
        set(CURLOPT_USERAGENT, "karvan/0.1")
        set(CURLOPT_NOSIGNAL, 1)
        set(CURLOPT_TCP_KEEPALIVE, 1)
        // A request that is given up doesn't wait for a resolver that is stuck.
        set(CURLOPT_QUICK_EXIT, 1)
    }

    func apply(_ trust: HubTrust) {
        switch trust {
        case .pinned(let hashes):
            set(CURLOPT_PINNEDPUBLICKEY, HubTrust.pinList(hashes))
            set(CURLOPT_SSL_VERIFYPEER, 0)
            set(CURLOPT_SSL_VERIFYHOST, 0)
        case .nobodys:
            set(CURLOPT_SSL_VERIFYPEER, 0)
            set(CURLOPT_SSL_VERIFYHOST, 0)
        case .system:
            break
        case .authority(let pem):
            let code = pem.withUnsafeBytes {
                karvan_curl_set_blob(pointer, CURLOPT_CAINFO_BLOB, $0.baseAddress, $0.count)
            }
            check(code)
            // Else the system's directory of authorities would count as well.
            set(CURLOPT_CAPATH, nil)
        }
    }

    func apply(_ limits: TransportLimits) {
        set(CURLOPT_CONNECTTIMEOUT_MS, limits.connectMilliseconds)
        set(CURLOPT_TIMEOUT_MS, limits.totalMilliseconds)
        if let rate = limits.bytesPerSecond {
            for way in [CURLOPT_MAX_SEND_SPEED_LARGE, CURLOPT_MAX_RECV_SPEED_LARGE] {
                check(karvan_curl_set_off(pointer, way, curl_off_t(rate)))
            }
        }
    }

    /// - Parameter received: outlives the handle.
    func collect(into received: ReceivedBody) {
        check(karvan_curl_set_write(pointer, ReceivedBody.append))
        let context = Unmanaged.passUnretained(received).toOpaque()
        check(karvan_curl_set_pointer(pointer, CURLOPT_WRITEDATA, context))
    }

    /// - Parameter traffic: outlives the handle and its connections.
    func report(to traffic: Traffic) {
        let context = Unmanaged.passUnretained(traffic).toOpaque()
        check(karvan_curl_set_debug(pointer, Traffic.passed))
        check(karvan_curl_set_pointer(pointer, CURLOPT_DEBUGDATA, context))
        set(CURLOPT_VERBOSE, 1)
        check(karvan_curl_set_opened(pointer, Traffic.opened))
        check(karvan_curl_set_pointer(pointer, CURLOPT_SOCKOPTDATA, context))
        check(karvan_curl_set_close(pointer, Traffic.close))
        check(karvan_curl_set_pointer(pointer, CURLOPT_CLOSESOCKETDATA, context))
    }

    /// - Parameter headers: outlive the transfer.
    func set(_ headers: HeaderList) {
        check(karvan_curl_set_list(pointer, CURLOPT_HTTPHEADER, headers.pointer))
    }

    /// - Parameter body: outlives the transfer.
    func set(body: UnsafeRawBufferPointer) {
        let size = curl_off_t(body.count)
        check(karvan_curl_set_off(pointer, CURLOPT_POSTFIELDSIZE_LARGE, size))
        check(karvan_curl_set_pointer(pointer, CURLOPT_POSTFIELDS, body.baseAddress))
    }

    /// Lets go of what was set for one transfer.
    func releaseRequest() {
        check(karvan_curl_set_pointer(pointer, CURLOPT_POSTFIELDS, nil))
        check(karvan_curl_set_list(pointer, CURLOPT_HTTPHEADER, nil))
    }

    func set(_ option: CURLoption, _ value: Int) {
        check(karvan_curl_set_long(pointer, option, value))
    }

    func set(_ option: CURLoption, _ value: String?) {
        check(karvan_curl_set_text(pointer, option, value))
    }

    private func check(_ code: CURLcode) {
        precondition(code == CURLE_OK, "libcurl can't do this: \(Self.describe(code))")
    }
}

// MARK: - Figures

extension EasyHandle {
    func number(_ info: CURLINFO) -> Int {
        var value = 0
        check(karvan_curl_get_long(pointer, info, &value))
        return value
    }

    func size(_ info: CURLINFO) -> Int {
        var value = curl_off_t()
        check(karvan_curl_get_off(pointer, info, &value))
        return Int(value)
    }

    func text(_ info: CURLINFO) -> String? {
        var value: UnsafePointer<CChar>?
        check(karvan_curl_get_text(pointer, info, &value))
        return value.map { String(cString: $0) }
    }
}

/// The lines of a request's header, as libcurl takes them.
final class HeaderList {
    private(set) var pointer: UnsafeMutablePointer<curl_slist>?

    init(_ lines: [String]) {
        for line in lines {
            guard let longer = karvan_curl_slist_append(pointer, line) else {
                preconditionFailure("no memory for libcurl")
            }
            pointer = longer
        }
    }

    deinit { karvan_curl_slist_free_all(pointer) }
}
