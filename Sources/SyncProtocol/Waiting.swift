internal import Causality

/// What a device asks that wants to know as soon as there is something new: where it stands in the feeds.
public struct WaitRequest: Hashable, Sendable {
    /// Where it is asked.
    public static let path = "/v1/wait"

    public struct Place: Hashable, Sendable {
        public var scope: String
        /// `nil` for before the feed's start.
        public var cursor: Cursor?

        public init(scope: String, cursor: Cursor?) { (self.scope, self.cursor) = (scope, cursor) }
    }

    /// How long it waits for an answer, in milliseconds.
    public var patienceMilliseconds: UInt64
    /// At most ``Limits/scopes``, each scope once.
    public var places: [Place]

    public init(patienceMilliseconds: UInt64, places: [Place]) {
        (self.patienceMilliseconds, self.places) = (patienceMilliseconds, places)
    }

    public func encode() -> [UInt8] {
        var encoder = CBOREncoder()
        encoder.array(3)
        encoder.unsigned(Limits.format)
        encoder.unsigned(patienceMilliseconds)
        encoder.array(places.count)
        var epoch: Identifier?
        for place in places {
            encoder.array(2)
            encoder.text(place.scope)
            if let cursor = place.cursor {
                encoder.cursor(cursor, after: &epoch)
            } else {
                encoder.null()
            }
        }
        return encoder.bytes
    }

    public init(decoding bytes: [UInt8]) throws(CBORError) {
        var decoder = CBORDecoder(bytes)
        let further = try decoder.array(atLeast: 3)
        try decoder.format()
        patienceMilliseconds = try decoder.unsigned()
        places = []
        var epoch: Identifier?
        for _ in 0..<(try decoder.array(limit: Limits.scopes)) {
            try decoder.array(count: 2)
            let scope = try decoder.text(limit: Limits.scopeBytes)
            let cursor = try decoder.nullIfNext() ? nil : try decoder.cursor(after: &epoch)
            guard !places.contains(where: { $0.scope.utf8.elementsEqual(scope.utf8) }) else {
                throw decoder.error(.invalid)
            }
            places.append(Place(scope: scope, cursor: cursor))
        }
        try decoder.skip(further)
        try decoder.finish()
    }
}

/// Where the hub's feeds end, as soon as that is elsewhere than a device stands, or its patience is over. It
/// carries no news itself: an exchange does.
public struct WaitReply: Hashable, Sendable {
    /// The hub's clock, milliseconds since 1970.
    public var hubMilliseconds: Int64
    /// Those that the device may read, as in an exchange.
    public var scopes: [String]
    /// For each place of the request, where its feed ends; `nil` for a scope that may not be read.
    public var ends: [Cursor?]

    public init(hubMilliseconds: Int64, scopes: [String], ends: [Cursor?]) {
        (self.hubMilliseconds, self.scopes, self.ends) = (hubMilliseconds, scopes, ends)
    }

    /// Whether an exchange would bring something to who stands at these places.
    public func isNews(at places: [WaitRequest.Place]) -> Bool {
        let known = Set(places.map(\.scope)).union([Grant.anyScope])
        return !known.isSuperset(of: scopes)
            || zip(places, ends).contains { place, end in
                guard let end else { return false }
                return place.cursor.map { $0 != end } ?? (end.offset > 0)
            }
    }

    public func encode() -> [UInt8] {
        var encoder = CBOREncoder()
        encoder.array(4)
        encoder.unsigned(Limits.format)
        encoder.integer(hubMilliseconds)
        encoder.array(scopes.count)
        for scope in scopes { encoder.text(scope) }
        encoder.array(ends.count)
        var epoch: Identifier?
        for end in ends {
            if let end { encoder.cursor(end, after: &epoch) } else { encoder.null() }
        }
        return encoder.bytes
    }

    public init(decoding bytes: [UInt8]) throws(CBORError) {
        var decoder = CBORDecoder(bytes)
        let further = try decoder.array(atLeast: 4)
        try decoder.format()
        hubMilliseconds = try decoder.integer()
        scopes = []
        for _ in 0..<(try decoder.array(limit: Limits.scopes)) {
            scopes.append(try decoder.text(limit: Limits.scopeBytes))
        }
        ends = []
        var epoch: Identifier?
        for _ in 0..<(try decoder.array(limit: Limits.scopes)) {
            ends.append(
                try decoder.nullIfNext() ? nil : try decoder.cursor(after: &epoch))
        }
        try decoder.skip(further)
        try decoder.finish()
    }
}
