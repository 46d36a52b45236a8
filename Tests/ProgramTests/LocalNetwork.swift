import Foundation

/// A network in which laptops can find each other: an Avahi daemon of its own, on a bus of its own, on
/// loopback alone.
final class LocalNetwork {
    private let directory: URL
    private let bus: Child
    private var daemon: Child?

    /// Whoever is given this talks to the bus here.
    var environment: [String: String] {
        ["DBUS_SYSTEM_BUS_ADDRESS": "unix:path=\(directory.appending(path: "bus").path)"]
    }

    /// - Parameters:
    ///   - directory: for its files; its path is short, as a socket lies there.
    ///   - isUp: whether the daemon runs from the start.
    init(in directory: URL, isUp: Bool = true) throws {
        self.directory = directory
        let rules =
            ["user", "own"].map { "<allow \($0)=\"*\"/>" }
            + ["send_type", "receive_type"].flatMap { direction in
                ["method_call", "method_return", "signal", "error"].map {
                    "<allow \(direction)=\"\($0)\"/>"
                }
            }
        try Self.write(
            """
            <!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
             "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
            <busconfig><type>system</type><listen>unix:path=\(directory.appending(path: "bus").path)</listen>
            <auth>EXTERNAL</auth><policy context="default">\(rules.joined())</policy></busconfig>
            """, to: directory.appending(path: "bus.conf"))
        try Self.write(
            """
            [server]
            host-name=karvan-test
            allow-interfaces=lo
            [publish]
            publish-hinfo=no
            publish-workstation=no
            """, to: directory.appending(path: "avahi.conf"))
        bus = try Self.start(
            "dbus-daemon --nofork --nopidfile --config-file bus.conf", in: directory)
        guard becomesTrue(withinSeconds: 20, { Self.exists("bus", in: directory) }) else {
            throw ProgramError(description: "no bus: \(try bus.finish(limitSeconds: 1))")
        }
        if isUp { try startDaemon() }
    }

    deinit {
        try? stopDaemon()
        bus.signal(SIGTERM)
        _ = try? bus.finish(limitSeconds: 10)
    }

    /// It has a place of its own for its process id: the machine may run another one.
    func startDaemon() throws {
        let script = """
            mount -t tmpfs tmpfs /run
            exec avahi-daemon -f avahi.conf --no-drop-root --no-chroot --no-rlimits
            """
        try Self.write(script, to: directory.appending(path: "avahi.sh"))
        let daemon = try Self.start(
            "unshare --mount sh -e avahi.sh", in: directory, environment: environment)
        self.daemon = daemon
        let isUp = try becomesTrue(withinSeconds: 30) {
            let asked = try Programs.run(
                "/usr/bin/dbus-send",
                [
                    "--system", "--print-reply", "--dest=org.freedesktop.Avahi", "/",
                    "org.freedesktop.Avahi.Server.GetState",
                ], in: directory, environment: environment)
            // Running: its own name is settled.
            return asked.output.contains("int32 2") || daemon.isEnded
        }
        guard isUp, !daemon.isEnded else {
            throw ProgramError(
                description: "no avahi-daemon: \(try daemon.finish(limitSeconds: 1))")
        }
    }

    func stopDaemon() throws {
        daemon?.signal(SIGTERM)
        _ = try daemon?.finish(limitSeconds: 20)
        daemon = nil
    }

    /// By their own names, wherever they lie; two minutes at most.
    private static func start(
        _ command: String, in directory: URL, environment: [String: String] = [:]
    ) throws -> Child {
        try Child(
            "/usr/bin/timeout",
            ["--kill-after=5", "120", "sh", "-c", "cd '\(directory.path)' && exec \(command)"],
            in: directory,
            environment: environment.merging(["PATH": "/usr/sbin:/usr/bin:/sbin:/bin"]) { $1 })
    }

    private static func write(_ text: String, to file: URL) throws {
        try Data(text.utf8).write(to: file)
    }

    private static func exists(_ name: String, in directory: URL) -> Bool {
        FileManager.default.fileExists(atPath: directory.appending(path: name).path)
    }
}
