internal import AntiEntropy
internal import CCurl
internal import SyncProtocol

/// One libcurl handle and its connection: a request at a time.
///
/// A multi handle drives it, since `curl_easy_perform` looks up only once a second, and a person
/// who presses Cancel has waited long enough.
final class Channel {
    /// How soon a cancellation or a silence is noticed.
    static let pollMilliseconds: Int32 = 100

    let url: String
    private var requestCount = 0
    private var connectionCount = 0
    private let limits: TransportLimits
    private let cancellation: Cancellation
    private let easy: EasyHandle
    private let multi: UnsafeMutableRawPointer
    private let received: ReceivedBody
    private let traffic = Traffic()

    /// - Parameter url: normalised.
    init(url: String, trust: HubTrust, limits: TransportLimits, cancellation: Cancellation) {
        self.url = url
        self.limits = limits
        self.cancellation = cancellation
        received = ReceivedBody(limitBytes: Limits.messageBytes)
        easy = EasyHandle()
        guard let multi = karvan_curl_multi_init() else {
            preconditionFailure("no memory for libcurl")
        }
        self.multi = multi
        easy.restrict()
        easy.apply(trust)
        easy.apply(limits)
        easy.collect(into: received)
        easy.report(to: traffic)
    }

    deinit {
        easy.close()
        karvan_curl_multi_cleanup(multi)
    }

    var statistics: TransportStatistics {
        TransportStatistics(
            requestCount: requestCount, connectionCount: connectionCount,
            sentBytes: traffic.sentBytes, receivedBytes: traffic.receivedBytes)
    }

    /// Sends `body` and waits for whatever answers.
    func post(
        _ body: [UInt8], to path: String, signature: RequestSignature? = nil
    ) throws(TransportFailure) -> Answer {
        guard !cancellation.isCancelled else { throw .cancelled }
        received.clear()
        traffic.beginRequest()
        easy.set(CURLOPT_URL, url + path)
        let headers = HeaderList(Self.headers(signature))
        easy.set(headers)
        let end = withExtendedLifetime(headers) {
            body.withUnsafeBytes { bytes in
                easy.set(body: bytes)
                defer { easy.releaseRequest() }
                return perform()
            }
        }
        requestCount += 1
        connectionCount += easy.number(CURLINFO_NUM_CONNECTS)
        if let failure = failure(of: end) { throw failure }
        return answer()
    }

    /// Asks for what lies at `path`.
    func get(_ path: String) throws(TransportFailure) -> Answer {
        guard !cancellation.isCancelled else { throw .cancelled }
        received.clear()
        traffic.beginRequest()
        easy.set(CURLOPT_URL, url + path)
        easy.set(CURLOPT_HTTPGET, 1)
        defer { easy.set(CURLOPT_POST, 1) }
        let end = perform()
        requestCount += 1
        connectionCount += easy.number(CURLINFO_NUM_CONNECTS)
        if let failure = failure(of: end) { throw failure }
        return answer()
    }

    private static func headers(_ signature: RequestSignature?) -> [String] {
        var lines = [
            "Content-Type: \(RequestSignature.contentType)",
            "Accept: \(RequestSignature.contentType)",
            // Else libcurl waits up to a second for a "100 Continue" before it sends a long body.
            "Expect:",
        ]
        if let signature {
            lines.append("\(RequestSignature.headerName): \(signature.headerValue)")
        }
        return lines
    }

    private func answer() -> Answer {
        let retryAfterSeconds = easy.size(CURLINFO_RETRY_AFTER)
        return Answer(
            status: easy.number(CURLINFO_RESPONSE_CODE),
            contentType: easy.text(CURLINFO_CONTENT_TYPE),
            redirection: easy.text(CURLINFO_REDIRECT_URL),
            retryAfterSeconds: retryAfterSeconds > 0 ? retryAfterSeconds : nil,
            body: received.bytes)
    }
}

// MARK: - Driving

extension Channel {
    /// How a transfer ended.
    private enum End {
        case finished(CURLcode)
        case silent
        case cancelled
    }

    private func perform() -> End {
        check(karvan_curl_multi_add_handle(multi, easy.pointer))
        defer { check(karvan_curl_multi_remove_handle(multi, easy.pointer)) }
        var silence = SilenceWatch(limitMilliseconds: limits.silenceMilliseconds)
        while true {
            var runningCount: Int32 = 0
            check(karvan_curl_multi_perform(multi, &runningCount))
            if let code = finishedCode() { return .finished(code) }
            guard !cancellation.isCancelled else { return .cancelled }
            guard !silence.isOver(movedBytes: movedBytes) else { return .silent }
            check(karvan_curl_multi_poll(multi, Self.pollMilliseconds))
        }
    }

    private func finishedCode() -> CURLcode? {
        var waitingCount: Int32 = 0
        while let message = karvan_curl_multi_info_read(multi, &waitingCount) {
            if message.pointee.msg == CURLMSG_DONE { return message.pointee.data.result }
        }
        return nil
    }

    /// `nil` until there is a connection.
    private var movedBytes: Int? {
        easy.size(CURLINFO_PRETRANSFER_TIME_T) > 0 ? traffic.movedBytes : nil
    }

    private func check(_ code: CURLMcode) {
        precondition(
            code == CURLM_OK, "libcurl: \(String(cString: karvan_curl_multi_strerror(code)))")
    }

    private func failure(of end: End) -> TransportFailure? {
        switch end {
        case .cancelled: .cancelled
        case .silent: .silent(url, milliseconds: limits.silenceMilliseconds)
        case .finished(CURLE_OK): nil
        case .finished where received.isTooLarge: .tooLarge(url)
        case .finished(CURLE_SSL_CONNECT_ERROR) where !traffic.isAnswered:
            .brokenOff(url, easy.explanation(of: CURLE_SSL_CONNECT_ERROR))
        case .finished(let code): TransportFailure(code, easy.explanation(of: code), from: url)
        }
    }
}
