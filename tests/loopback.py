"""A small language service on a loopback socket, which says what a test tells it to: for where the referee is not."""

from __future__ import annotations

import http.server
import json
import ssl
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Reply:
    """What is answered to one request; `cut`: closes the connection in the middle.

    `wait`: seconds before; `drip`: seconds between bytes.
    """

    status: int = 200
    body: Any = ""
    kind: str = "application/json"
    headers: dict[str, str] = field(default_factory=dict)
    cut: bool = False
    wait: float = 0.0
    drip: float = 0.0


@dataclass
class Asked:
    path: str
    body: dict[str, Any]
    headers: dict[str, str]


def whole(text: str, *, chat: bool = False, **more: Any) -> dict[str, Any]:
    """A reply of either endpoint, with no more in it than small servers send."""
    if chat:
        return {"choices": [{"message": {"content": text}, "finish_reason": "stop", **more}]}
    parts = [{"type": "output_text", "text": text}]
    return {"status": "completed", "output": [{"type": "message", "content": parts}], **more}


def events(text: str, *, chat: bool = False, end: bool = True, size: int = 7) -> str:
    """The same as a stream."""
    pieces = [text[i : i + size] for i in range(0, len(text), size)]
    if chat:
        items: list[Any] = [{"choices": [{"delta": {"content": p}, "finish_reason": None}]} for p in pieces]
        items += [{"choices": [{"delta": {}, "finish_reason": "stop"}]}] * end
    else:
        items = [{"type": "response.output_text.delta", "delta": p} for p in pieces]
        items += [{"type": "response.completed", "response": whole(text)}] * end
    return "".join(f"data: {json.dumps(i)}\n\n" for i in items) + "data: [DONE]\n\n" * end


@dataclass
class Loopback:
    """Use as a context; `answer(request)` gives each reply, `asked` is what came."""

    answer: Callable[[Asked], Reply]
    asked: list[Asked] = field(default_factory=list)
    tls: ssl.SSLContext | None = None

    def __enter__(self) -> Loopback:
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_: object) -> None:
                pass

            def do_POST(self) -> None:
                raw = self.rfile.read(int(self.headers.get("content-length", 0)))
                asked = Asked(self.path, json.loads(raw), {k.lower(): v for k, v in self.headers.items()})
                outer.asked.append(asked)
                reply = outer.answer(asked)
                time.sleep(reply.wait)
                body = reply.body if isinstance(reply.body, str) else json.dumps(reply.body)
                data = body.encode()
                try:
                    self.send_response(reply.status)
                    for name, value in {"content-type": reply.kind, **reply.headers}.items():
                        self.send_header(name, value)
                    self.send_header("content-length", str(len(data)))
                    self.end_headers()
                    sent = data[: len(data) // 2] if reply.cut else data
                    for i in range(0, len(sent), 1 if reply.drip else max(1, len(sent))):
                        self.wfile.write(sent[i : i + 1] if reply.drip else sent)
                        time.sleep(reply.drip)
                except OSError:
                    pass  # the client gave up waiting
                self.close_connection = self.close_connection or reply.cut

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._server.handle_error = lambda *_: None  # type: ignore[method-assign]  # whoever does not trust us hangs up
        if self.tls is not None:
            self._server.socket = self.tls.wrap_socket(self._server.socket, server_side=True)
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    @property
    def url(self) -> str:
        start = "http://127.0.0.1" if self.tls is None else "https://localhost"
        return f"{start}:{self._server.server_port}/v1"
