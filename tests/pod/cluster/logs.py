"""What `kubectl logs` and `helm test --logs` read: the API server asks the node for it."""

import ssl
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from cluster.certificates import Certificates

PREFIX = "/containerLogs/"


def serve(certificates: Certificates, log_of: Callable[[str, str, str], str | None]) -> ThreadingHTTPServer:
    """Serves until it is shut down; `log_of` gets namespace, pod and container."""

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self):
            words = self.path.removeprefix(PREFIX).split("?")[0].split("/")
            log = log_of(*words) if self.path.startswith(PREFIX) and len(words) == 3 else None
            body = (log if log is not None else "no such container").encode()
            self.send_response(200 if log is not None else 404)
            self.send_header("Content-Type", "text/plain")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificates / "server.crt", certificates / "server.key")
    server.socket = tls.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True, name="logs").start()
    return server
