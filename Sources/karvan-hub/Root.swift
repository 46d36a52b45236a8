internal import ArgumentParser
internal import Hub
internal import ProgramOutput

/// The key that speaks for the forum's hubs.
struct RootCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "root", abstract: "Replace the forum's root key when it is lost.",
        subcommands: [RootReplace.self])
}

struct RootReplace: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "replace",
        abstract: "Make a new root key, in place of one that is lost.",
        discussion: """
            Example: karvan-hub root replace

            The root key is needed only to make another hub of this forum, so nothing stops without it: laptops go \
            on syncing, before this and after. From then on tokens name the new root. A laptop gets to know it when \
            it enrols once more, with `karvan enrol URL TOKEN --new-root`; until it does, it trusts this hub, and no \
            hub that is made later. Tokens that nobody has used yet let nobody in any more.

            A root key that somebody has stolen still speaks for hubs on laptops that have not enrolled again.

            The hub may go on serving meanwhile.
            """)

    @OptionGroup var common: CommonOptions

    func run() throws {
        let store = try common.openStore("root replace")
        defer { store.close() }
        let path = try store.replaceRoot()
        try common.print(
            """
            The forum has a new root. Its key is in \(path): move it to a safe place that isn't this machine.
            Next: a token for each laptop, and there `karvan enrol URL TOKEN --new-root`.
            """, .object([("key", .string(path))]))
    }
}
