internal import ArgumentParser
internal import ProgramOutput
internal import ReplicaStore

/// Sends what the file that this one is a copy of never sent.
struct Adopt: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "adopt",
        abstract: "Send what was recorded before this file was copied, when the other is gone.",
        discussion: """
            Example: karvan adopt

            A file that was copied goes on under a new name, and what it held unsent waits: the file \
            that it was copied from will send it. If that file is gone for good, as with a broken \
            laptop, this sends it from here. Should the other file come back, the hub keeps what it \
            got first.
            """)

    @OptionGroup var common: CommonOptions

    func run() throws {
        let replica = try common.open("adopt")
        defer { replica.close() }
        let count = try replica.adoptLeft()
        let left = try replica.left().count
        guard count > 0 || left == 0 else {
            throw CommandFailure(
                .stale,
                "\(left) changes can't be sent from here: the hub holds others in their place. See "
                    + "`karvan status`")
        }
        let changes = ItemCount.text(count, "change")
        try common.print(
            count == 0
                ? "Nothing waits for another file."
                : "\(changes) adopted. Send with `karvan sync`.",
            .object([
                ("adopted", .integer(Int64(count))), ("left", .integer(Int64(clamping: left))),
            ])
        )
    }
}
