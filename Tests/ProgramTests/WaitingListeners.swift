import Foundation
import Testing

/// What stands between a laptop and its hub.
enum Obstacle: String, CaseIterable, Sendable, CustomTestStringConvertible {
    case nobodyListens = "nobody listens"
    case hangsUp = "a listener that hangs up"
    case plainText = "a listener without TLS"
    case silent = "a listener that never answers"
    case silentBehindTLS = "one that never answers behind TLS"
    case silentMidAnswer = "one that stops in the middle of an answer"
    case cutsAnswer = "one that cuts its answer short"
    case webPage = "a web page behind the hub's key"
    case badGateway = "a proxy without its hub"
    case stoppedHub = "a hub that is stopped"
    case unknownName = "a name that can't be resolved"

    var testDescription: String { rawValue }

    /// Whether `sync` has to wait until its limit.
    var isSilent: Bool {
        [.silent, .silentBehindTLS, .silentMidAnswer, .stoppedHub].contains(self)
    }

    /// The mode of the script below.
    var mode: String? {
        switch self {
        case .nobodyListens, .stoppedHub, .unknownName: nil
        case .hangsUp: "hang-up"
        case .plainText: "plain"
        case .silent: "silent"
        case .silentBehindTLS: "tls-silent"
        case .silentMidAnswer: "tls-half"
        case .cutsAnswer: "tls-cut"
        case .webPage: "tls-page"
        case .badGateway: "tls-502"
        }
    }
}

/// Python programs that tests put in a hub's or in another program's place. Each ends by itself
/// after two minutes.
enum Script {
    /// Arguments: port, mode, certificate, key. Prints `ready`, and `asked` for each request to a busy one.
    static let listener = """
        import signal, socket, ssl, sys, threading, time
        signal.alarm(120)
        port, mode, certificate, key = int(sys.argv[1]), *sys.argv[2:]
        answers = {
            "tls-half": b"HTTP/1.1 200 OK\\r\\nContent-Length: 100\\r\\n\\r\\nhalf",
            "tls-cut": b"HTTP/1.1 200 OK\\r\\nContent-Length: 100\\r\\n\\r\\nhalf",
            "tls-page": b"HTTP/1.1 200 OK\\r\\nContent-Type: text/html\\r\\n"
                b"Content-Length: 5\\r\\n\\r\\n<html",
            "tls-busy": b"HTTP/1.1 503 Service Unavailable\\r\\nRetry-After: 90\\r\\n"
                b"Content-Length: 0\\r\\n\\r\\n",
            "tls-502": b"HTTP/1.1 502 Bad Gateway\\r\\nContent-Length: 0\\r\\n\\r\\n",
        }
        def serve(peer):
            try:
                if mode == "plain":
                    peer.recv(4096)
                    peer.sendall(b"HTTP/1.1 400 Bad Request\\r\\n\\r\\nno TLS here\\r\\n")
                elif mode == "silent":
                    time.sleep(120)
                elif mode.startswith("tls-"):
                    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
                    context.load_cert_chain(certificate, key)
                    peer = context.wrap_socket(peer, server_side=True)
                    if peer.recv(65536) and mode == "tls-busy":
                        print("asked", flush=True)
                    if mode in answers:
                        peer.sendall(answers[mode])
                    if mode in ("tls-silent", "tls-half"):
                        time.sleep(120)
            except OSError:
                pass
            finally:
                peer.close()
        server = socket.socket()
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        server.bind(("127.0.0.1", port))
        server.listen(16)
        print("ready", flush=True)
        while True:
            threading.Thread(target=serve, args=(server.accept()[0],), daemon=True).start()
        """

    /// Holds a lock file, as another program would. Argument: the file. Prints `ready`.
    static let holder = """
        import fcntl, os, signal, sys, time
        signal.alarm(120)
        file = open(sys.argv[1], "w")
        fcntl.flock(file, fcntl.LOCK_EX)
        file.write(f"{os.getpid()} badge printer\\n")
        file.flush()
        print("ready", flush=True)
        time.sleep(120)
        """

    /// Gives a replica another address of its hub. Arguments: the file, the address.
    static let move = """
        import sqlite3, sys
        base = sqlite3.connect(sys.argv[1])
        base.execute("UPDATE sy_meta SET value = ? WHERE key = 'hub_url'", (sys.argv[2],))
        base.commit()
        """

    /// Starts one that goes on, once it is ready.
    static func start(_ script: String, _ arguments: [String], in directory: URL) throws -> Child {
        let child = try run(script, arguments, in: directory)
        guard becomesTrue(withinSeconds: 20, { child.printed.hasPrefix("ready") }) else {
            throw ProgramError(description: try child.finish(limitSeconds: 0).errors)
        }
        return child
    }

    static func must(_ script: String, _ arguments: String..., in directory: URL) throws {
        let finished = try run(script, arguments, in: directory).finish(limitSeconds: 20)
        guard finished.status == 0 else { throw ProgramError(description: finished.errors) }
    }

    private static func run(
        _ script: String, _ arguments: [String], in directory: URL
    ) throws -> Child {
        try Child("/usr/bin/env", ["python3", "-c", script] + arguments, in: directory)
    }
}
