"""The PC/SC service for the reader tests."""

import time
from collections.abc import Iterator

import pytest

from edge_agent.readers import supervisor, watched
from tests.support.emulated_readers import PcscLayer
from tests.support.private_pcscd import PrivatePcscd
from tests.support.reader_bench import Bench
from tests.support.virtual_card import Answer, VirtualCard, uid_card


@pytest.fixture(scope="session")
def pcscd() -> Iterator[PrivatePcscd]:
    service = PrivatePcscd()
    yield service
    service.close()


class Desk:
    """A running service and the cards a test puts on its readers."""

    def __init__(self, service: PrivatePcscd) -> None:
        self.service = service
        self._cards: list[VirtualCard] = []

    def put(self, card: bytes | Answer, slot: int = 0) -> VirtualCard:
        """Puts a card with this UID, or this behaviour, on a reader."""
        answer = uid_card(card) if isinstance(card, bytes) else card
        self._cards.append(VirtualCard(self.service.card_socket(slot), answer))
        return self._cards[-1]

    def wait_until(self, *, card: bool) -> None:
        """Until the service has noticed that a card lies on the first reader, or that none does."""
        from smartcard import scard  # there only where the system packages are

        _, context = scard.SCardEstablishContext(scard.SCARD_SCOPE_SYSTEM)
        state, end_s = scard.SCARD_STATE_UNAWARE, time.monotonic() + 20
        while bool(state & scard.SCARD_STATE_PRESENT) != card or state == scard.SCARD_STATE_UNAWARE:
            assert time.monotonic() < end_s, f"the service does not see that the card is {'there' if card else 'gone'}"
            _, [(_, state, _)] = scard.SCardGetStatusChange(context, 100, [("Virtual PCD 00 00", state)])
        scard.SCardReleaseContext(context)

    def clear(self) -> None:
        for card in self._cards:
            card.pull()


@pytest.fixture
def desk(pcscd: PrivatePcscd) -> Iterator[Desk]:
    pcscd.start()
    desk = Desk(pcscd)
    yield desk
    desk.clear()
    pcscd.kill()


@pytest.fixture
def layer(monkeypatch: pytest.MonkeyPatch) -> PcscLayer:
    """Between the reader under test and pyscard."""
    from edge_agent.readers import pcsc_service  # needs pyscard

    layer = PcscLayer(pcsc_service._scard)
    monkeypatch.setattr(pcsc_service, "_scard", layer)
    return layer


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    """Readers under supervision; a test starts it."""
    made = Bench()
    monkeypatch.setattr(supervisor, "TICK_S", 0.01)
    monkeypatch.setattr(watched, "START_AGAIN_S", 0.02)
    monkeypatch.setattr(supervisor, "why_it_can_be_helped", lambda *about: made.helpable)
    yield made
    made.supervisor.stop(2)
