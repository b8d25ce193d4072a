"""A gate with a screen: the real gate, store, lists and server, with a clock that a test turns."""

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec

from edge_agent.door.door_state import DoorState
from edge_agent.readers import CardRead, ReaderState
from edge_agent.release import Signal
from edge_agent.screen.around import look_around
from edge_agent.screen.screen import Screen
from edge_agent.screen.server import ScreenServer
from edge_agent.screen.situation import Membership, Surroundings
from protocol.consent import ConsentNotice, Consents, SixItems
from protocol.messages import Choice, Direction, GateConfig, MaskedName, Names, ScreenConfig, StaffPin
from protocol.pin import slow, verifier
from protocol.policy import Admit, Policy, Schedule, Session
from tests.support.central_side import DOMAIN, GATE, CentralSide, subject
from tests.support.edge_side import Edge

PIN = "246810"
SALT = bytes(range(16))
STAFF = "Lin.07"
MEMBER, OTHER, STRANGER = 1, 2, 77
NAME = "王○明"
TITLE = ("總館・正門", "Central library, front door")


def staff_pin(central: CentralSide, name: str = STAFF, pin: str = PIN) -> StaffPin:
    return StaffPin(name, SALT, verifier(central.domain_key(), name, slow(pin, SALT)))


class Kiosk:
    """Readers, door, membership and whether central is reached are what a test says; all else is the gate's own."""

    def __init__(self, directory: Path, port: int = 0, **screen: Any) -> None:
        self.port = port
        self.central = CentralSide()
        self.central.names = Names(DOMAIN, 1, (MaskedName(subject(MEMBER), NAME),))
        chosen = {"undo": True, "names": True, "staff_admit": True} | screen
        self.central.config = GateConfig(
            1,
            GATE,
            "door",
            title_zh=TITLE[0],
            title_en=TITLE[1],
            screen=ScreenConfig(**chosen),
            staff=(staff_pin(self.central),),
        )
        self.central.publish()
        self.edge = Edge(directory, self.central)
        self.edge.take_all()
        self.gate, self.clock = self.edge.gate, self.edge.clock
        self.readers: tuple[ReaderState, ...] = (ReaderState.READY,)
        self.door = DoorState()
        self.membership, self.is_online = Membership.ACTIVE, True

    async def start(self) -> None:
        identity = self.edge.uptake.identity
        keys = [secret.key for secret in identity.domain_keys]
        self.screen = Screen(self.gate, self.around, lambda: keys)
        self.server = ScreenServer(self.screen, self.port)
        await self.server.start()
        self.port, self.url = self.server.port, f"http://127.0.0.1:{self.server.port}"

    def around(self) -> Surroundings:
        identity = self.edge.uptake.identity
        if self.membership is Membership.PENDING:
            identity = msgspec.structs.replace(identity, secret=bytes(16))
        return look_around(self.gate, self.readers, self.door, identity, self.membership, self.is_online)

    def set(self, **changes: Any) -> None:
        for name, value in changes.items():
            setattr(self, name, value)
        self.screen.changed()

    def configure(self, screen: dict[str, Any] | None = None, **changes: Any) -> None:
        """As if central had published it: taken up by the real uptake."""
        config = self.central.config
        shown = msgspec.structs.replace(config.screen, **(screen or {}))
        self.central.config = msgspec.structs.replace(config, version=config.version + 1, screen=shown, **changes)
        self.central.publish()
        self.edge.take(self.central.seal(self.central.manifest), self.central.seal(self.central.config))
        self.screen.changed()

    def turn(self, direction: Direction) -> None:
        self.configure(direction=direction)

    def tap(self, number: int = MEMBER) -> Signal:
        return self.edge.tap(number)

    def badly_read(self) -> Signal:
        return self.gate.tap(CardRead("front", b"\x04"))

    def wait(self, ms: int) -> None:
        self.clock.advance(ms)
        self.screen.changed()

    async def close(self) -> None:
        await self.server.close()
        self.edge.close()


def notice(purpose: str = "notices", version: int = 1, gives: bool = True) -> ConsentNotice:
    """As a city would write it."""
    zh, en = TITLES.get(purpose, (purpose, purpose))
    return ConsentNotice(purpose, version, gives, zh, en, TOLD_ZH, TOLD_EN)


TITLES = {
    "notices": ("由市府訊息平台傳送通知", "Notices through the city's messaging platform"),
    "screen-names": ("於閘門螢幕顯示遮罩後姓名", "Showing the masked name on gates' screens"),
    "caring": ("身心障礙與其他關懷資格於閘門使用", "Disability and other caring entitlements at gates"),
}
TOLD_ZH = SixItems(
    "○○市政府（委託場館為受託機關，依個資法第 4 條視同本府）",
    "傳送預約到館、逾期、忘記簽退及點數到期之通知；特定目的代號 040 行政",
    "會員代號之假名、通知種類與日期；不含姓名及身分證字號",
    "期間：同意期間；地區：本市；對象：市府訊息平台；方式：以加密連線傳送，夜間不傳送",
    "得依個資法第 3 條查詢、閱覽、複製、補充或更正、停止蒐集處理利用及刪除；請洽任一櫃檯。隨時得撤回同意",
    "不同意不影響進出場館及借閱；只是不會收到通知",
)
TOLD_EN = SixItems(
    "The City Government (venues act for it as contractors, §4 of the Act)",
    "Notices that a hold is ready or overdue, that you forgot to sign out, or that points expire; purpose 040",
    "A pseudonym of the member, the kind of notice and its date; neither name nor ID number",
    "Period: while you agree. Area: this city. Recipients: the city's messaging platform. Manner: encrypted, by day",
    "Under §3 of the Act you may enquire, read, have a copy, have it completed or corrected, have its use stopped and "
    "have it erased: at any counter. You may take this consent back at any time",
    "You enter and borrow as before. You get no notices",
)


def asks(gate: Kiosk, *notices: ConsentNotice, purposes: tuple[str, ...] = ("notices", "caring")) -> None:
    """Central publishes these notices, and this gate asks for these purposes."""
    held = gate.central.consents
    gate.central.consents = Consents(held.version + 1 if held else 1, notices)
    gate.configure({"consents": purposes})
    gate.edge.poll()
    gate.screen.changed()


KITCHEN, GARDEN = Choice("kitchen", "廚房組", "Kitchen"), Choice("garden", "園藝組", "Garden")


def volunteers(gate: Kiosk, *choices: Choice) -> None:
    """Two teams that sign in here, of which the page lists some; the night team has no hours now."""
    rules = (Admit("kitchen"), Admit("garden"), Admit("night", schedule="never"))
    policy = Policy(gate.central.policy.version + 1, rules, {"never": Schedule()}, session=Session())
    gate.central.policy = policy
    gate.central.publish()
    gate.edge.take(gate.central.seal(gate.central.manifest), gate.central.seal(policy))
    gate.central.tell()
    gate.edge.poll()
    gate.configure({"choices": choices})


@contextlib.asynccontextmanager
async def kiosk(directory: Path, port: int = 0, **screen: Any) -> AsyncIterator[Kiosk]:
    """Started, and closed in the end."""
    made = Kiosk(directory, port, **screen)
    await made.start()
    try:
        yield made
    finally:
        await made.close()
