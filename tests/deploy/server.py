"""A server for load that is sent from several places: answers every request, and counts them at /count."""

import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

count = 0
lock = threading.Lock()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1

    def do_GET(self):
        global count
        if self.path == "/count":
            answer = str(count).encode()
        else:
            with lock:
                count += 1
            answer = b"ok"
        self.send_response(200)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_):
        pass


class Server(ThreadingHTTPServer):
    request_queue_size = 128
    daemon_threads = True


Server((sys.argv[1], int(sys.argv[2])), Handler).serve_forever()
