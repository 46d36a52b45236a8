internal import AntiEntropy
internal import SyncProtocol

/// What answered, before it is known whether it is a hub.
struct Answer {
    var status: Int
    var contentType: String?
    /// Where a 3xx points to. It is never followed.
    var redirection: String?
    /// `nil` when the answer doesn't ask to come back later.
    var retryAfterSeconds: Int?
    var body: [UInt8]

    private var isKarvan: Bool { contentType == RequestSignature.contentType }

    /// The reply, or why there is none.
    func reply<Reply>(
        from url: String, decode: ([UInt8]) throws(CBORError) -> Reply
    ) throws(TransportFailure) -> Reply {
        guard isKarvan else { throw foreign(url) }
        guard status == 200 else { throw refusal(url) }
        do throws(CBORError) {
            return try decode(body)
        } catch {
            throw .notOurHub(
                "\(url) sent an answer that can't be read: it speaks another version, or is no "
                    + "Karvan hub. Compare the versions, then check the address.")
        }
    }

    /// - Returns: `nil` from who knows nothing of blobs.
    func blobReply(from url: String) throws(TransportFailure) -> BlobReply? {
        if status == 404 { return nil }
        return try reply(from: url) { bytes throws(CBORError) in try BlobReply(decoding: bytes) }
    }

    private func refusal(_ url: String) -> TransportFailure {
        do throws(CBORError) {
            return .refused(try Refusal(decoding: body))
        } catch {
            return .notOurHub(
                "\(url) said no (HTTP \(status)) in words that can't be read. Compare the "
                    + "versions, then check the address.")
        }
    }

    /// Something that doesn't speak Karvan: most often what stands between a laptop and its hub.
    private func foreign(_ url: String) -> TransportFailure {
        let busy = [429, 502, 503, 504]
        if [429, 503].contains(status), let seconds = retryAfterSeconds {
            return .refused(
                Refusal(.retry, "\(url) is busy (HTTP \(status)). Try again in \(seconds) s."))
        }
        if busy.contains(status) {
            return .unreachable(
                "\(url) answered HTTP \(status) in the hub's place: the hub behind it doesn't run, "
                    + "or is busy. Try again later.")
        }
        if let redirection {
            return .notOurHub(
                "\(url) redirects to \(Self.printable(redirection)), which a hub never does. Sign "
                    + "in to this network in a browser, or check the address.")
        }
        let kind = contentType.map(Self.printable) ?? "no content type"
        return .notOurHub(
            "\(url) answered HTTP \(status) with \(kind), which is no Karvan hub. Sign in to this "
                + "network in a browser, or check the address.")
    }

    /// A stranger's text, safe for a terminal.
    private static func printable(_ text: String) -> String {
        let limit = 120
        let shown = text.unicodeScalars.prefix(limit)
            .map { (" "..."~").contains($0) ? Character($0) : "?" }
        return String(shown) + (text.unicodeScalars.count > limit ? "…" : "")
    }
}
