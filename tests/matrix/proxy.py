"""The way to the database, which can break: closed, silent, or slow."""

from __future__ import annotations

import socket
import threading
import time
from contextlib import suppress


class Proxy:
    """Listens on `port` and passes everything on. `delay`: seconds that each piece of a client's waits."""

    def __init__(self, target: int) -> None:
        self._target = target
        self._open: set[socket.socket] = set()
        self._may_pass = threading.Event()
        self._may_pass.set()
        self._is_up = True
        self.delay = 0.0
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def down(self) -> None:
        """As when the server is stopped: connections end, and no new one is made."""
        self._is_up = False
        for each in list(self._open):
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)

    def silent(self) -> None:
        """As behind a broken network: nothing passes, and nobody says so."""
        self._may_pass.clear()

    def well(self) -> None:
        self.delay = 0.0
        self._is_up = True
        self._may_pass.set()

    def close(self) -> None:
        self.down()
        self._listener.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _address = self._listener.accept()
                if not self._is_up:
                    client.close()
                    continue
                server = socket.create_connection(("127.0.0.1", self._target))
                self._open |= {client, server}
                for source, sink, is_client in ((client, server, True), (server, client, False)):
                    threading.Thread(target=self._pass, args=(source, sink, is_client), daemon=True).start()

    def _pass(self, source: socket.socket, sink: socket.socket, is_client: bool) -> None:
        with suppress(OSError):
            while data := source.recv(1 << 16):
                self._may_pass.wait()
                if is_client and self.delay:
                    time.sleep(self.delay)
                sink.sendall(data)
        for each in (source, sink):
            self._open.discard(each)
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()
