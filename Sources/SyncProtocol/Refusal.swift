/// Why a hub or a replica does not take something: a closed set, told apart by its code.
public struct Refusal: Error, Hashable, Sendable {
    public enum Code: UInt64, Sendable, CaseIterable {
        /// Not now; the same again later.
        case retry = 1
        /// Runs in between are missing; the heads beside it say what is held.
        case gap = 2
        /// The device's streams have as many branches as they may.
        case fork = 3
        /// The feed is shorter than the cursor says.
        case rewound = 4
        /// The cursor is from another epoch, or not on this feed's chain.
        case epoch = 5
        /// The device or its token is not, or no longer, welcome.
        case revoked = 6
        /// The device has no grant for this scope.
        case scope = 7
        /// It is of another format; also any code that this build doesn't know.
        case upgrade = 8
        /// What was sent is damaged, or breaks a rule.
        case poison = 9
        /// Over a limit.
        case tooLarge = 10

        /// The name that stands in logs and documents.
        public var name: String {
            switch self {
            case .retry: "RETRY"
            case .gap: "GAP"
            case .fork: "FORK"
            case .rewound: "REWOUND"
            case .epoch: "EPOCH"
            case .revoked: "REVOKED"
            case .scope: "SCOPE"
            case .upgrade: "UPGRADE"
            case .poison: "POISON"
            case .tooLarge: "TOO_LARGE"
            }
        }
    }

    public var code: Code
    /// For people: what happened, and what to do.
    public var explanation: String

    public init(_ code: Code, _ explanation: String) {
        self.code = code
        self.explanation = explanation
    }

    public func encode() -> [UInt8] {
        var encoder = CBOREncoder()
        encoder.refusal(self)
        return encoder.bytes
    }

    public init(decoding bytes: [UInt8]) throws(CBORError) {
        var decoder = CBORDecoder(bytes)
        self = try decoder.refusal()
        try decoder.finish()
    }
}

extension CBOREncoder {
    mutating func refusal(_ refusal: Refusal) {
        array(2)
        unsigned(refusal.code.rawValue)
        text(refusal.explanation)
    }
}

extension CBORDecoder {
    mutating func refusal() throws(CBORError) -> Refusal {
        let further = try array(atLeast: 2)
        // What a later build has a word of its own for is a no all the same.
        let code = Refusal.Code(rawValue: try unsigned()) ?? .upgrade
        let refusal = Refusal(code, try text())
        try skip(further)
        return refusal
    }
}
