/// A promise that was broken, or something that must not happen at all.
package struct Violation: Error, Hashable, Sendable, CustomStringConvertible {
    /// The number of the invariant, `I1` to `I16`; `error` for an error that nothing explains.
    package var invariant: String
    package var text: String

    package init(_ invariant: String, _ text: String) {
        (self.invariant, self.text) = (invariant, text)
    }

    package var description: String { "\(invariant): \(text)" }
}
