internal import AntiEntropy
internal import CCurl
internal import SyncProtocol

extension TransportFailure {
    /// What a failed transfer means for a sync.
    ///
    /// - Parameter detail: libcurl's own words.
    init(_ code: CURLcode, _ detail: String, from url: String) {
        switch code {
        case CURLE_OPERATION_TIMEDOUT:
            self = .timedOut("\(url): \(detail). Try again where the network is better.")
        case CURLE_SSL_PINNEDPUBKEYNOTMATCH:
            self = .wrongKey(
                "What answers at \(url) doesn't hold the hub's key, and was told nothing. Sign in "
                    + "to this network in a browser; if that doesn't help, ask the hub's operator for a "
                    + "token: with `karvan enrol URL TOKEN` what is recorded here stays as it is.")
        case CURLE_PEER_FAILED_VERIFICATION, CURLE_SSL_ISSUER_ERROR, CURLE_SSL_INVALIDCERTSTATUS:
            self = .wrongKey(
                "The certificate of \(url) is not trusted: \(detail). Check this laptop's clock, "
                    + "or ask the hub's operator.")
        case CURLE_SSL_CACERT_BADFILE:
            self = .wrongKey(
                "The authority's certificate for \(url) can't be read: \(detail). Ask the hub's "
                    + "operator for it.")
        case CURLE_SSL_CONNECT_ERROR, CURLE_WEIRD_SERVER_REPLY, CURLE_UNSUPPORTED_PROTOCOL:
            self = .notOurHub(
                "What answers at \(url) doesn't speak as a hub does (HTTP/1.1 over TLS 1.3): "
                    + "\(detail). Check the address.")
        default:
            self = .brokenOff(url, detail)
        }
    }

    static func brokenOff(_ url: String, _ detail: String) -> TransportFailure {
        .unreachable("\(url): \(detail). Try again when the network is back.")
    }

    static func silent(_ url: String, milliseconds: Int) -> TransportFailure {
        .timedOut(
            "\(url) was silent for \(Double(milliseconds) / 1_000) s. Try again where the network "
                + "is better.")
    }

    static func tooLarge(_ url: String) -> TransportFailure {
        .notOurHub(
            "\(url) sent more than the \(Limits.messageBytes >> 10) KiB of the longest answer. "
                + "Check the address.")
    }
}
