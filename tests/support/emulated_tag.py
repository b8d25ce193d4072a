"""A type A card on nfcpy's simulated air (UDP), emulated by nfcpy's own listening side."""

import socket
import threading
from types import TracebackType
from typing import Self

import nfc.clf


def free_udp_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class EmulatedTag:
    """A card in the field of `udp:127.0.0.1:<port>` while entered. Cards of 4 and 7 bytes can be emulated."""

    def __init__(self, port: int, uid: bytes, sak: int = 0x08) -> None:
        self._target = nfc.clf.LocalTarget(
            "106A",
            sens_res=bytearray.fromhex("0400" if len(uid) == 4 else "4400"),
            sdd_res=bytearray(uid),
            sel_res=bytearray([sak]),
        )
        self._path = f"udp:127.0.0.1:{port}"
        self._leave = threading.Event()
        self._thread = threading.Thread(target=self._answer, daemon=True)

    def _answer(self) -> None:
        frontend = nfc.clf.ContactlessFrontend(self._path)
        while not self._leave.is_set():
            frontend.listen(self._target, 0.5)
        frontend.close()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._leave.set()
        self._thread.join(10)
