"""A folder behind a plain web server on this machine, which knows no ranges, as many do not."""

import functools
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any


class WebServer:
    """What it was asked for, and how often it shall fail first."""

    def __init__(self, folder: Path) -> None:
        self.asked: Counter[str] = Counter()
        """GETs by path."""
        self.failures = 0
        self._folder = folder
        self.url = ""

    @contextmanager
    def running(self) -> Iterator["WebServer"]:
        """Serves the folder on a free port of this machine."""
        handler = functools.partial(_Handler, self, directory=str(self._folder))
        server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        self.url = f"http://127.0.0.1:{server.server_port}"
        try:
            yield self
        finally:
            server.shutdown()
            server.server_close()
            thread.join()


class _Handler(SimpleHTTPRequestHandler):
    def __init__(self, owner: WebServer, *words: Any, **named: Any) -> None:
        self._owner = owner
        super().__init__(*words, **named)

    def do_GET(self) -> None:
        """Counts, fails as often as it shall, and serves."""
        self._owner.asked[self.path] += 1
        if self._owner.failures:
            self._owner.failures -= 1
            self.send_error(503)
            return
        super().do_GET()

    def log_message(self, *words: Any) -> None:
        """Says nothing."""
