"""Bucket: one that can be taken down and brought up again."""

from __future__ import annotations

from moto.server import ThreadedMotoServer

from harness.servers import S3Server, free_port, make_bucket


class Bucket:
    """A bucket on a moto of its own, which keeps what it holds while it is down."""

    def __init__(self) -> None:
        self._port = free_port()
        self.server = S3Server(
            "moto", f"http://127.0.0.1:{self._port}", "moto", "moto-secret", True
        )
        self._moto: ThreadedMotoServer | None = None
        self.up()
        self.name = make_bucket(self.server)

    def up(self) -> None:
        """Bring it up, with all that it holds."""
        self._moto = ThreadedMotoServer("127.0.0.1", self._port, verbose=False)
        self._moto.start()

    def down(self) -> None:
        """Take it down; connections are refused."""
        if self._moto is not None:
            self._moto.stop()
            self._moto = None
