internal import AntiEntropy
internal import Bundles
internal import ConflictInspection
internal import CurlTransport
internal import FieldRecords
internal import Hub
internal import ProgramOutput
internal import Recording
internal import ReplicaStore
internal import Reports
internal import SyncProtocol

extension CommandFailure {
    /// What an error of the modules means for the command line; `nil` for errors of its parser.
    init?(describing error: any Error) {
        switch error {
        case let failure as CommandFailure: self = failure
        case let error as StoreError: self.init(store: error)
        case let error as RecordError: self.init(.badInput, error.explanation)
        case let error as ReportError: self.init(.badInput, error.explanation)
        case let error as ImportErrors: self.init(importing: error)
        case let error as InstantError: self.init(.badInput, "\(error)")
        case let error as HubURLProblem:
            if case .noLibrary = error {
                self.init(.configuration, "\(error)")
            } else {
                self.init(.badInput, "\(error)")
            }
        case let error as BundleFileError: self.init(bundle: error)
        case let error as TransportFailure: self.init(transport: error)
        case let error as Refusal: self.init(refusal: error)
        case let error as HubServerError: self.init(.configuration, Self.unended("\(error)"))
        case let error as ConflictError:
            switch error {
            case .stale, .changed, .undone: self.init(.stale, error.explanation)
            case .ambiguous, .invalid: self.init(.badInput, error.explanation)
            }
        default: return nil
        }
    }

    private init(store error: StoreError) {
        let status: ExitStatus =
            switch error {
            case .held: .held
            case .missing, .exists, .invalid: .badInput
            case .notAReplica, .newer, .trial, .newerSchema, .otherSchema, .key: .configuration
            case .readOnly, .full, .damaged, .disk, .replaced: .disk
            case .stale: .stale
            case .denied: .refused
            }
        var facts: [(String, JSONValue)] = []
        if case .held(_, let holder, _) = error {
            facts = [
                ("holder_pid", .integer(holder.process)), ("holder", .string(holder.command)),
            ]
        }
        self.init(status, error.explanation, facts: facts)
    }

    private init(bundle error: BundleFileError) {
        self.init(
            error.isOfDisk ? .disk : error.isOfStranger ? .refused : .badInput,
            Self.unended(error.explanation))
    }

    private init(importing errors: ImportErrors) {
        let count = errors.problems.count + errors.omittedCount
        let omitted =
            errors.omittedCount == 0 ? "" : ", of which the first \(errors.problems.count) are told"
        self.init(
            .badInput,
            "\(errors)\n\(ItemCount.text(count, "problem"))\(omitted); nothing was imported",
            facts: [
                ("problem_count", .integer(Int64(count))),
                (
                    "problems",
                    .array(
                        errors.problems.map {
                            .object([
                                ("file", .string(errors.name)),
                                ("line", .integer(Int64($0.line))),
                                ("column", $0.column.map(JSONValue.string) ?? .null),
                                ("message", .string($0.message)),
                            ])
                        })
                ),
            ])
    }

    private init(transport failure: TransportFailure) {
        switch failure {
        case .unreachable(let text), .timedOut(let text), .notOurHub(let text):
            self.init(.unreachable, Self.unended(text))
        case .wrongKey(let text): self.init(.protocolError, Self.unended(text))
        case .refused(let refusal): self.init(refusal: refusal)
        case .cancelled: self.init(.stopped, "stopped")
        }
    }

    private init(refusal: Refusal) {
        let status: ExitStatus =
            switch refusal.code {
            case .revoked, .scope: .refused
            case .retry: .unreachable
            default: .protocolError
            }
        self.init(
            status, Self.unended(refusal.explanation),
            facts: [("code", .string(refusal.code.name))])
    }

    /// More may be said behind it, and whoever prints it ends the sentence.
    private static func unended(_ text: String) -> String {
        text.hasSuffix(".") ? String(text.dropLast()) : text
    }
}
