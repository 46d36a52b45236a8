import Foundation

/// What goes wrong above TLS, at one byte of a request or an answer: in a proxy that ends TLS with
/// the hub's own key, as one in front of a hub might.
enum RelayFault: String, CaseIterable, Sendable {
    /// The hub gets the first bytes, and a proper end of TLS.
    case cutRequest = "cut-request"
    /// The laptop gets the first bytes, and a proper end of TLS.
    case cutAnswer = "cut-answer"
    case flipRequest = "flip-request"
    case flipAnswer = "flip-answer"
    /// Sixteen bytes come twice.
    case doubleRequest = "double-request"
    case doubleAnswer = "double-answer"
    /// The hub gets the whole request; its answer never comes.
    case loseAnswer = "lose-answer"
    /// The hub gets the whole request twice, one behind the other.
    case repeatRequest = "repeat-request"
    /// The hub gets the whole request twice, at the same time.
    case twinRequest = "twin-request"

    /// Whether it concerns a byte.
    var hasByte: Bool { ["cut", "flip", "double"].contains { rawValue.hasPrefix($0) } }
    /// Whether a session gets through it.
    var isHarmless: Bool { self == .repeatRequest || self == .twinRequest }
    var concernsAnswer: Bool { rawValue.hasSuffix("answer") }
}

extension Script {
    /// Arguments: certificate, key, a file, and seconds after which it ends. The file holds the
    /// hub's port, a fault and a byte, and is read for each request. Prints `ready` and its port,
    /// and then, for each request without a fault, how many bytes it and its answer have.
    static let relay = """
        import signal, socket, ssl, sys, threading
        certificate, key, plan, seconds = sys.argv[1:]
        signal.alarm(int(seconds))
        inward = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        inward.load_cert_chain(certificate, key)
        outward = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        outward.check_hostname = False
        outward.verify_mode = ssl.CERT_NONE
        def message(peer, data=b""):
            while b"\\r\\n\\r\\n" not in data:
                piece = peer.recv(65536)
                if not piece:
                    return data
                data += piece
            head = data.split(b"\\r\\n\\r\\n")[0].lower()
            length = 0
            for line in head.split(b"\\r\\n"):
                if line.startswith(b"content-length:"):
                    length = int(line.split(b":")[1])
            while len(data) < len(head) + 4 + length:
                piece = peer.recv(65536)
                if not piece:
                    break
                data += piece
            return data
        def hub(number):
            peer = socket.create_connection(("127.0.0.1", int(number)), 5)
            return outward.wrap_socket(peer)
        def leave(peer):
            try:
                peer.settimeout(1)
                peer.unwrap()
            except (OSError, ValueError):
                pass
            peer.close()
        def changed(data, fault, byte):
            if fault.startswith("flip") and byte < len(data):
                return data[:byte] + bytes([data[byte] ^ 1 << byte % 8]) + data[byte + 1:]
            if fault.startswith("double"):
                return data[:byte] + data[max(byte - 16, 0):]
            return data[:byte]
        def serve(peer):
            try:
                peer.settimeout(30)
                peer = inward.wrap_socket(peer, server_side=True)
                while True:
                    request = message(peer)
                    if not request:
                        break
                    number, fault, byte = open(plan).read().split()
                    byte = int(byte)
                    hubs = [hub(number)]
                    if fault in ("cut-request", "flip-request", "double-request"):
                        hubs[0].sendall(changed(request, fault, byte))
                        if fault == "cut-request":
                            leave(hubs[0])
                            break
                        answer = message(hubs[0])
                    elif fault == "repeat-request":
                        hubs[0].sendall(request)
                        message(hubs[0])
                        hubs.append(hub(number))
                        hubs[1].sendall(request)
                        answer = message(hubs[1])
                    elif fault == "twin-request":
                        hubs.append(hub(number))
                        for each in hubs:
                            each.sendall(request)
                        message(hubs[1])
                        answer = message(hubs[0])
                    else:
                        hubs[0].sendall(request)
                        answer = message(hubs[0])
                    for each in hubs:
                        leave(each)
                    if fault == "none":
                        print(len(request), len(answer), flush=True)
                    if fault == "lose-answer":
                        break
                    if fault.endswith("-answer"):
                        peer.sendall(changed(answer, fault, byte))
                        break
                    peer.sendall(answer)
                leave(peer)
            except OSError:
                peer.close()
        server = socket.socket()
        server.bind(("127.0.0.1", 0))
        server.listen(16)
        print("ready", server.getsockname()[1], flush=True)
        while True:
            threading.Thread(target=serve, args=(server.accept()[0],), daemon=True).start()
        """
}
