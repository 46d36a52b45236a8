import Foundation
import Testing

/// Output that the system doesn't take, as on a disk that is full: here `/dev/full`.
@Suite struct OutputNowhere {
    private func shell(_ forum: Forum, _ command: String) throws -> Finished {
        try Programs.run(
            "/bin/bash", ["-c", "exec '\(Programs.path("karvan"))' \(command)"],
            in: forum.directory, environment: ["KARVAN_REPLICA": "L1.sqlite"])
    }

    @Test func `a result that can't be written ends a command with 74, and what it did stands`()
        throws
    {
        let forum = try Forum(prepared: ["L1"])
        for arguments in ["status", "status --json", "list person", "attend P07 AZ-001"] {
            let finished = try shell(forum, "\(arguments) > /dev/full")
            #expect(finished.status == 74, "\(arguments): \(finished)")
            #expect(
                finished.errors.contains("can't be written") && finished.errors.contains("stands"),
                "\(arguments): \(finished)")
        }
        let present = "SELECT p.badge FROM attendance a JOIN person p ON p.id = a.person"
        #expect(try forum.rows("L1", present) == ["AZ-001"])
        _ = try forum.verified("L1")
    }

    @Test func `an export that can't be written ends with 74`() throws {
        let forum = try Forum(prepared: ["L1"])
        let finished = try shell(forum, "verify --export - > /dev/full")
        #expect(finished.status == 74, "\(finished)")
        #expect(finished.errors.contains("the export can't be written"), "\(finished)")
    }

    @Test func `an error that can't be written keeps its exit code`() throws {
        let forum = try Forum(prepared: ["L1"])
        let unknown = try shell(forum, "attend P07 XX-999 2> /dev/full")
        #expect(unknown.status == 65, "\(unknown)")
        let neither = try shell(forum, "status > /dev/full 2> /dev/full")
        #expect(neither.status == 74, "\(neither)")
    }
}
