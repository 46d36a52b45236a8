/// A server that answers as its path says: `https://127.0.0.1:PORT/MODE/v1/exchange`.
///
/// It takes its directory and one of `tls`, `tls12`, `plain`, `mute`, `hangup`; writes `port` when
/// it listens, and each request as `N.head` and `N.body`; and ends when its input does.
let serverScript = #"""
    import http.server, itertools, os, socket, ssl, struct, sys, threading, time

    directory, protocol = sys.argv[1:]
    numbers = itertools.count(1)
    kind = "application/vnd.karvan.1+cbor"

    def path(name):
        return os.path.join(directory, name)

    def content(name):
        with open(path(name), "rb") as file:
            return file.read()

    def publish(name, data):
        with open(path(name + ".tmp"), "wb") as file:
            file.write(data)
        os.rename(path(name + ".tmp"), path(name))

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def log_message(self, *arguments):
            pass

        def do_POST(self):
            _, mode, rest = self.path.split("/", 2)
            if mode == "hangup":
                self.reset()
                return
            body = self.take(mode)
            number = next(numbers)
            publish(f"{number}.body", body)
            publish(f"{number}.head", f"{self.requestline}\n{self.headers}".encode())
            name = "enrolled" if rest == "v1/enrol" else "reply"
            getattr(self, mode)(content(name))

        def take(self, mode):
            count = int(self.headers["Content-Length"])
            if mode != "slowly":
                return self.rfile.read(count)
            body = b""
            while len(body) < count:
                body += self.rfile.read(min(32 << 10, count - len(body)))
                time.sleep(0.05)
            return body

        def reset(self):
            linger = struct.pack("ii", 1, 0)
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            self.leave()

        def leave(self):
            self.close_connection = True
            self.connection.close()

        def send(self, status, kind, data, **headers):
            self.send_response(status)
            if kind:
                self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(data)))
            for name, value in headers.items():
                self.send_header(name.replace("_", "-"), value)
            self.end_headers()
            self.wfile.write(data)

        def reply(self, data): self.send(200, kind, data)
        def slowly(self, data): self.send(200, kind, data)
        def refuse(self, data): self.send(403, kind, content("refusal"))
        def portal(self, data): self.send(200, "text/html", b"<html>Welcome to the hotel</html>")
        def mistyped(self, data): self.send(200, "application/cbor", data)
        def untyped(self, data): self.send(200, None, data)
        def garbled(self, data): self.send(200, kind, b"\xff\x00")
        def mumbling(self, data): self.send(500, kind, b"\xff\x00")
        def busy(self, data): self.send(503, "text/plain", b"later", Retry_After="7")
        def gateway(self, data): self.send(502, "text/html", b"<h1>Bad Gateway</h1>")
        def redirect(self, data): self.send(307, None, b"", Location="/reply/v1/exchange")
        def far(self, data): self.send(302, None, b"", Location="http://portal.example/\x1b[2J")

        def silent(self, data):
            time.sleep(60)

        def forgetful(self, data):
            self.reply(data)
            self.leave()

        def cut(self, data):
            self.send_response(200)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data[: len(data) // 2])
            self.leave()

        def drip(self, data):
            self.send_response(200)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            for index in range(len(data)):
                self.wfile.write(data[index : index + 1])
                time.sleep(1.5 / len(data))

        def announced(self, data):
            self.send_response(200)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(1 << 40))
            self.end_headers()
            self.endlessly(lambda piece: piece)

        def endless(self, data):
            self.send_response(200)
            self.send_header("Content-Type", kind)
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            self.endlessly(lambda piece: b"%x\r\n%b\r\n" % (len(piece), piece))

        def endlessly(self, frame):
            try:
                while True:
                    self.wfile.write(frame(bytes(1 << 16)))
            except OSError:
                self.leave()

    class Server(http.server.ThreadingHTTPServer):
        def finish_request(self, request, address):
            if protocol.startswith("tls"):
                request.settimeout(30)
                request = tls.wrap_socket(request, server_side=True)
            super().finish_request(request, address)

        def handle_error(self, request, address):
            pass

    def listen_mutely():
        listener = socket.create_server(("127.0.0.1", 0))
        publish("port", str(listener.getsockname()[1]).encode())
        kept = []
        while True:
            kept.append(listener.accept())

    def hang_up():
        listener = socket.create_server(("127.0.0.1", 0))
        publish("port", str(listener.getsockname()[1]).encode())
        while True:
            connection, _ = listener.accept()
            connection.recv(1 << 16)
            connection.close()

    def end_with_input():
        sys.stdin.buffer.read()
        os._exit(0)

    threading.Thread(target=end_with_input, daemon=True).start()
    if protocol == "mute":
        listen_mutely()
    if protocol == "hangup":
        hang_up()
    if protocol.startswith("tls"):
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(path("cert.pem"), path("key.pem"))
        if protocol == "tls12":
            tls.maximum_version = ssl.TLSVersion.TLSv1_2
    server = Server(("127.0.0.1", 0), Handler, bind_and_activate=False)
    server.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 15)
    server.server_bind()
    server.server_activate()
    publish("port", str(server.server_address[1]).encode())
    server.serve_forever()
    """#
