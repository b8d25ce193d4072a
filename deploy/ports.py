"""Ports for programs that are told where to listen before they run."""

import os
import socket
from typing import Self


class Port(int):
    """A TCP port of 127.0.0.1. For as long as this object lives the kernel gives the number to nobody who asks for any
    port, and to no connection that goes out; a program that is told the number may listen there, end, and listen again.

    A port that was only seen to be free may be another program's a moment later.
    """

    _held: int

    @classmethod
    def free(cls) -> Self:
        with socket.socket() as holder:
            # Bound without listening, with the option that servers set too: Linux lets both have it.
            holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            holder.bind(("127.0.0.1", 0))
            port = cls(holder.getsockname()[1])
            port._held = holder.detach()
        return port

    def __del__(self) -> None:
        os.close(self._held)
