/// A parser of the engine, as something that bytes can be offered to.
package protocol FuzzTarget: Sendable {
    /// The longest input that is worth making, in bytes.
    var inputLimit: Int { get }
    /// The largest single allocation that the limits of the format allow, in MiB.
    var allocationLimit: Int { get }
    /// Inputs of the engine's own writers, by name.
    var seeds: [(name: String, bytes: [UInt8])] { get }

    /// Has `bytes` read, and holds what comes out against what the parser promises.
    ///
    /// - Returns: whether the parser took them.
    /// - Throws: the promise that it broke.
    func offer(_ bytes: [UInt8]) throws(Violation) -> Bool
}

extension FuzzTarget {
    package var seeds: [(name: String, bytes: [UInt8])] { [] }
}

/// A promise of a parser that an input has broken.
package struct Violation: Error, CustomStringConvertible {
    package let description: String

    init(_ description: String) { self.description = description }
}

/// Every target, under the name that the command line and the folders of inputs have.
package enum FuzzTargetName: String, CaseIterable, Sendable {
    case cbor, changeset, sealing, columns, run, batch, bundle, meeting, blob, enrolment, csv, names

    package var target: any FuzzTarget {
        switch self {
        case .cbor: CBORTarget()
        case .changeset: ChangesetTarget()
        case .sealing: SealingTarget()
        case .columns: ColumnsTarget()
        case .run: RunTarget()
        case .batch: BatchTarget()
        case .bundle: BundleTarget()
        case .meeting: MeetingTarget()
        case .blob: BlobTarget()
        case .enrolment: EnrolmentTarget()
        case .csv: CSVTarget()
        case .names: NamesTarget()
        }
    }
}

func hold(_ isKept: Bool, _ promise: @autoclosure () -> String) throws(Violation) {
    guard isKept else { throw Violation(promise()) }
}

/// As above, for what must not throw.
func must<T>(_ promise: String, _ body: () throws -> T) throws(Violation) -> T {
    do {
        return try body()
    } catch {
        throw Violation("\(promise): \(error)")
    }
}
