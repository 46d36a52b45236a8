internal import ArgumentParser
internal import Foundation
internal import ProgramOutput
internal import SyncProtocol

/// The coordinator's command line.
@main
struct Karvan: ParsableCommand {
    static let version = "0.1.0"

    static let configuration = CommandConfiguration(
        commandName: "karvan",
        abstract: "Records of a field team, kept offline and synced when there is a network.",
        discussion: """
            Everything is recorded in the replica first: a file that this laptop keeps. No command \
            but `enrol`, `sync` and `serve` uses the network.

            Times are ISO 8601, or a bare 10:10 of the item's day. People are named by badge, \
            items, sites and delegations by code.
            """,
        version: "karvan \(version) (format \(Limits.format))",
        subcommands: [
            Init.self, Enrol.self, Import.self, Attend.self, Visit.self, Tally.self,
            PhotoCommand.self, Set.self,
            Delete.self, Erase.self, PersonCommand.self, List.self, Show.self, History.self,
            Sync.self, Serve.self, BundleCommand.self, Status.self, ConflictsCommand.self,
            ReportCommand.self, Audit.self, Doctor.self, Diff.self, SQL.self,
            Shell.self, Verify.self, Repair.self, Backup.self, Restore.self, Adopt.self,
        ])

    static var commandNames: [String] {
        configuration.subcommands.map {
            $0.configuration.commandName ?? String(describing: $0).lowercased()
        }
    }

    static func main() {
        // A reader that goes away early, as `head` does, is no fault of the command.
        signal(SIGPIPE, SIG_DFL)
        let arguments = Array(CommandLine.arguments.dropFirst())
        let isJSON = arguments.contains("--json")
        do {
            var command = try parseAsRoot(CommonOptions.movedBehindCommand(arguments))
            try command.run()
        } catch let failure where CommandFailure(describing: failure) != nil {
            report(CommandFailure(describing: failure)!, isJSON: isJSON)
        } catch {
            switch exitCode(for: error) {
            case .validationFailure where isJSON:
                report(CommandFailure(.usage, message(for: error)), isJSON: true)
            case .failure: report(CommandFailure(.fault, message(for: error)), isJSON: isJSON)
            default: exit(withError: error)
            }
        }
    }

    private static func report(_ failure: CommandFailure, isJSON: Bool) -> Never {
        let text = isJSON ? failure.json.text : "karvan: \(failure.message)."
        StandardError.print(text)
        Foundation.exit(failure.status.rawValue)
    }
}
