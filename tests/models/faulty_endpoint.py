"""An endpoint of a few lines that answers what it is told to, and counts what it is asked; in a thread."""

import json
import socket
import struct
import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


def chat_answer(text, logprobs=None, tokens=10):
    choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": text}}
    if logprobs is not None:
        choice["logprobs"] = {
            "content": [
                {"token": token, "logprob": likely[token],
                 "top_logprobs": [{"token": other, "logprob": value} for other, value in likely.items()]}
                for token, likely in logprobs
            ]
        }  # fmt: skip
    return {"choices": [choice], "usage": {"total_tokens": tokens}}


class Faulty:
    """What the endpoint does with each request.

    `script` holds what is done with the first requests, one after the other: "429", "500", "half", "json", "cut",
    "slow", "redirect" or a callable; what follows them is answered by `answer`, which takes the request's body.
    """

    def __init__(self, answer=lambda body: chat_answer("yes"), script=(), pause=0.0):
        self.answer, self.script, self.pause = answer, list(script), pause
        self.bodies, self.paths, self.keys, self.times = [], [], [], []
        self.answered = 0
        self.most_at_once = self._at_once = 0
        self.lock = threading.Lock()
        self.url = ""

    def take(self, handler, body):
        with self.lock:
            self.bodies.append(body)
            self.paths.append(handler.path)
            self.keys.append(handler.headers.get("Authorization"))
            self.times.append(time.monotonic())
            self._at_once += 1
            self.most_at_once = max(self.most_at_once, self._at_once)
            step = self.script.pop(0) if self.script else None
        try:
            self._do(handler, body, step)
        finally:
            with self.lock:
                self._at_once -= 1

    def _do(self, handler, body, step):
        if callable(step):
            status, headers, content = step(handler)
            handler.reply(status, content, headers)
        elif step == "429":
            handler.reply(429, {"error": {"message": "slow down"}}, {"Retry-After": "1"})
        elif step == "500":
            handler.reply(500, {"error": {"message": "oops"}})
        elif step == "json":
            handler.raw(b"{ this is no JSON")
        elif step == "half":
            whole = json.dumps(self.answer(body)).encode()
            handler.raw(whole[: len(whole) // 2])
        elif step == "cut":
            # a reset in the midst of an answer
            handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            handler.connection.close()
            handler.close_connection = True
        elif step == "slow":
            time.sleep(2.5)
            handler.close_connection = True
        elif step == "redirect":
            handler.reply(307, {}, {"Location": f"{self.url}/elsewhere/chat/completions"})
        else:
            time.sleep(self.pause)
            handler.reply(200, self.answer(body))
            with self.lock:
                self.answered += 1


@contextmanager
def served(faulty):
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self):
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            faulty.take(self, body)

        def reply(self, status, content, headers=None):
            self.raw(json.dumps(content).encode(), status, headers)

        def raw(self, content, status=200, headers=None):
            try:
                self.send_response(status)
                for name, value in (headers or {}).items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)
            except OSError:
                self.close_connection = True

        def log_message(self, *_):
            pass

    class Server(ThreadingHTTPServer):
        def handle_error(self, *_):
            pass

    server = Server(("127.0.0.1", 0), Handler)
    faulty.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield faulty
    finally:
        server.shutdown()
        server.server_close()
