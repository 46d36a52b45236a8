/// What a server listens on, as people give it: HOST:PORT, with an IPv6 address in brackets.
package struct ListenAddress: Hashable, Sendable {
    /// Without brackets.
    package var host: String
    /// 0 lets the system choose.
    package var port: Int

    /// `nil` for anything else.
    package init?(_ text: String) {
        guard let colon = text.lastIndex(of: ":"), colon != text.startIndex,
            let port = Int(text[text.index(after: colon)...]), (0...65_535).contains(port)
        else { return nil }
        var host = text[..<colon]
        if host.hasPrefix("["), host.hasSuffix("]") { host = host.dropFirst().dropLast() }
        (self.host, self.port) = (String(host), port)
    }
}
