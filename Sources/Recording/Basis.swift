public import Causality

/// What an author was shown, and gives back with what he writes.
public struct Basis: Hashable, Sendable, CustomStringConvertible {
    public var dots: [Dot]
    /// What changes were called then, as ``Replica/naming()`` says.
    public var naming: String

    public init(_ dots: [Dot], naming: String) {
        self.dots = dots
        self.naming = naming
    }

    /// - Throws: ``RecordError`` with the part that is no dot.
    public init(_ text: String) throws(RecordError) {
        let parts = text.split(separator: "@", maxSplits: 1, omittingEmptySubsequences: false)
        var dots: [Dot] = []
        for part in parts[0].split(separator: ",") {
            guard let dot = Dot(part) else {
                throw RecordError("'\(part)' is not a dot: STREAM:SEQ, as `show --json` prints it")
            }
            dots.append(dot)
        }
        self.init(dots, naming: parts.count > 1 ? String(parts[1]) : "")
    }

    /// `STREAM:SEQ` for each dot, with commas between, and `@NAMING` where streams have branches.
    public var description: String {
        dots.map(\.description).joined(separator: ",") + (naming.isEmpty ? "" : "@" + naming)
    }
}
