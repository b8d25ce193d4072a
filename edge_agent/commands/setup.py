"""`tapgate-edge setup`: from a machine with a reader to a gate, by questions or by flags."""

import asyncio
import os
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple, TextIO

import click

from edge_agent import config, enrolment, installation, settings_text, status
from edge_agent import identity as identity_file
from edge_agent.agent import AlreadyRunning, hold_lock
from edge_agent.checks import Said
from edge_agent.commands import DEFAULT_CONFIG
from edge_agent.commands import setup_words as words
from edge_agent.commands.doctor import show as show_findings
from edge_agent.commands.log import to_stderr
from edge_agent.commands.setup_reader import choose, parse_reader, try_it
from edge_agent.commands.shell import fail, language, this_program
from edge_agent.config import ReaderSettings
from edge_agent.doctor import examine, subject_of
from edge_agent.identity import Identity, IdentityDamaged
from edge_agent.installation import INSTALLED_AT, NotDone, Plan, Step
from edge_agent.machine import Machine
from edge_agent.release.settings import GpioInputSettings, GpioOutputSettings
from edge_agent.settings_text import NotOurs
from edge_agent.unit import UNIT
from edge_agent.uplink import NetworkFailure
from protocol.errors import Refused
from protocol.joining import from_text

START_S = 10
"""What an agent is given to start before the doctor looks at it."""


class Order(NamedTuple):
    """What the command line asked for. None: it is asked, or by --yes decided by the machine as it is."""

    config_path: Path
    """On the machine that is set up."""
    machine: Machine
    readers: tuple[str, ...]
    token: str
    unit: bool | None
    data_dir: Path
    user: str
    program: str
    wait_s: float | None
    yes: bool
    dry: bool
    lang: str

    @property
    def here(self) -> Path:
        """The settings file as this process sees it."""
        return self.config_path if self.machine.runs else self.machine.path(self.config_path)


@click.command()
@click.option("--reader", "readers", multiple=True, help="[NAME=]KIND[:WHERE]; may be given several times.")
@click.option("--token-file", type=click.File(), help="The join token; `-` reads it from standard input.")
@click.option("--unit/--no-unit", default=None, help="Start the agent as a service at every boot.")
@click.option("--data-dir", type=click.Path(path_type=Path), default=installation.DATA_DIR, show_default=True)
@click.option("--user", default=installation.USER, show_default=True, help="Whom the service runs as.")
@click.option("--program", help="Path of tapgate-edge on the machine that is set up; default: this one.")
@click.option("--root", type=click.Path(file_okay=False, path_type=Path), default=Path("/"), help="An image's folder.")
@click.option(
    "--wait-s", type=click.FloatRange(min=0), help="For the confirmation; default: 0 with --yes, else no end."
)
@click.option("--yes", is_flag=True, help="Ask nothing.")
@click.option("--dry-run", is_flag=True, help="Say what would be done, and do nothing.")
@language
@click.pass_obj
def setup(
    config_path: Path,
    readers: tuple[str, ...],
    token_file: TextIO | None,
    unit: bool | None,
    data_dir: Path,
    user: str,
    program: str | None,
    root: Path,
    wait_s: float | None,
    yes: bool,
    dry_run: bool,
    lang: str,
) -> None:
    """Make a gate of this machine: find the reader, try a card, write the settings, join central, start at boot.

    Asks, or with --yes goes by flags alone, for many machines. May be repeated: what is in place stays as it is.
    Ctrl-C leaves nothing half-written. Exit code 0: everything is in place; 1: one line says what is not.

    Example: tapgate-edge setup

    Example: tapgate-edge setup --yes --reader pcsc --token-file /media/usb/token --unit
    """
    to_stderr("error")
    machine = Machine.below(root)
    order = Order(
        config_path.absolute(),
        machine,
        readers,
        token_file.read().strip() if token_file is not None else "",
        unit,
        data_dir,
        user,
        program or (this_program(DEFAULT_CONFIG) if machine.runs else INSTALLED_AT),
        wait_s if wait_s is not None or not yes else 0.0,
        yes,
        dry_run,
        lang,
    )
    try:
        _Setup(order).run()
    except (click.Abort, KeyboardInterrupt):
        click.echo(f"\n{_said(words.STOPPED, lang)}", err=True)
        sys.exit(1)
    except (NotDone, NotOurs, Refused, NetworkFailure, AlreadyRunning, IdentityDamaged) as error:
        fail(str(error))
    except PermissionError as error:
        fail(f"{error.filename}: {_said(words.AS_ROOT, lang)}")
    except OSError as error:
        fail(str(error))


def _said(text: Said, lang: str, **values: object) -> str:
    return (text.zh if lang == "zh-TW" else text.en).format(**values)


class _Setup:
    """One run; `changed` counts what was done."""

    def __init__(self, order: Order) -> None:
        self.order, self.machine = order, order.machine
        self.changed = 0

    def run(self) -> None:
        order = self.order
        self._may_it()
        old = self._old()
        readers, text = self._readers(old)
        unit = order.unit if order.unit is not None else order.yes or self._confirm(words.UNIT)
        data_dir = old.data_dir if old is not None else order.data_dir
        plan = Plan(str(order.config_path), text, data_dir, order.program, order.user, unit, _groups(readers, old))
        homes = ("/home/", os.path.expanduser("~root/"))
        if unit and self.machine.runs and order.program.startswith(homes):
            raise NotDone(self._say(words.HOME, program=order.program))
        over_pcsc = any(reader.kind == "pcsc" for reader in readers)
        if over_pcsc and self.machine.runs and not self.machine.path("/usr/sbin/pcscd").exists():
            raise NotDone(self._say(words.NO_PCSCD))
        if text is None:
            self._tell(words.IN_PLACE, words.SETTINGS, path=order.config_path)
        self._carry_out(installation.files(self.machine, plan))
        joined = self._join(self.machine.path(data_dir))
        if unit:
            units = ["pcscd.socket", UNIT] if over_pcsc else [UNIT]
            self._carry_out(installation.services(self.machine, units, self.changed > 0, joined))
        self._end(data_dir, unit and joined)

    def _may_it(self) -> None:
        if self.machine.runs and os.geteuid() != 0 and not self.order.dry and self.order.unit is not False:
            raise NotDone(self._say(words.AS_ROOT))

    # --- settings ---------------------------------------------------------------------------------------------

    def _old(self) -> config.Config | None:
        """The settings as they are; None: there are none."""
        if not self.order.here.exists():
            return None
        try:
            return config.load(self.order.here)
        except config.ConfigError as error:
            raise NotDone(self._say(words.NO_CONFIG, why=error)) from None

    def _readers(self, old: config.Config | None) -> tuple[tuple[ReaderSettings, ...], str | None]:
        """The readers, and the settings file's new text; None: it stays."""
        order = self.order
        held = settings_text.readers_of(order.here.read_text(encoding="utf-8")) if old is not None else ()
        readers = tuple(parse_reader(text, number) for number, text in enumerate(order.readers))
        if not readers and held and (order.yes or self._confirm(words.KEEP, names=", ".join(r.name for r in held))):
            readers = held
        chosen = not readers
        readers = readers or (choose(self.machine, order.yes, order.lang),)
        if not order.yes and not order.dry:
            self._try(readers, old)
        if old is None:
            return readers, settings_text.new_text(order.data_dir, readers)
        if not chosen and readers == held:
            return readers, None
        return readers, self._changed_text(readers)

    def _changed_text(self, readers: tuple[ReaderSettings, ...]) -> str | None:
        text = self.order.here.read_text(encoding="utf-8")
        made = settings_text.with_readers(text, readers)
        if made == text:
            return None
        if not self.order.yes and not self.order.dry and not self._confirm(words.OVERWRITE, path=self.order.here):
            raise click.Abort
        return made

    def _try(self, readers: Iterable[ReaderSettings], old: config.Config | None) -> None:
        data_dir = old.data_dir if old is not None else self.order.data_dir
        if data_dir.exists() and asyncio.run(status.ask(data_dir)) is not None:
            click.echo(self._say(words.AGENT_RUNS))
            return
        for reader in readers:
            while self._confirm(words.TRY) and not try_it(reader, data_dir, self.order.lang):
                click.echo(self._say(words.AGAIN))

    # --- central ----------------------------------------------------------------------------------------------

    def _join(self, directory: Path) -> bool:
        """Whether this device has joined central, now or before."""
        order = self.order
        held = identity_file.load(directory) if directory.exists() else None
        if held is not None and held.device:
            self._tell(words.IN_PLACE, words.JOINED, device=held.device, gate=held.gate)
            return True
        token = order.token
        if not token and not order.yes and not order.dry:
            token = click.prompt(self._say(words.TOKEN), default="", show_default=False).strip()
        if not token:
            click.echo(f"! {self._say(words.NOT_JOINED)}")
            return False
        parsed = from_text(token)
        if order.dry:
            self._tell(words.WOULD, words.JOIN)
            return True
        with hold_lock(directory):
            identity = enrolment.prepare(directory, parsed)
            identity = asyncio.run(enrolment.enrol(directory, identity))
        self.changed += 1
        self._tell(words.DONE, words.JOIN)
        click.echo(self._say(words.WORDS))
        click.echo(f"  {identity.device}  {enrolment.words(identity)}")
        self._await_confirmation(identity)
        return True

    def _await_confirmation(self, identity: Identity) -> None:
        wait_s = self.order.wait_s
        if wait_s == 0:
            return

        async def wait() -> None:
            async with asyncio.timeout(wait_s):
                await enrolment.wait_until_confirmed(identity)

        try:
            click.echo(self._say(words.WAITING))
            asyncio.run(wait())
        except (TimeoutError, KeyboardInterrupt):
            click.echo(self._say(words.NOT_CONFIRMED))
        else:
            click.echo(self._say(words.CONFIRMED))

    # --- carrying out -----------------------------------------------------------------------------------------

    def _carry_out(self, steps: Iterable[Step]) -> None:
        for step in steps:
            if step.is_done():
                self._tell(words.IN_PLACE, step.what)
            elif self.order.dry:
                self._tell(words.WOULD, step.what)
            else:
                step.do()
                self.changed += 1
                self._tell(words.DONE, step.what)

    def _end(self, data_dir: Path, started: bool) -> None:
        order = self.order
        if order.dry:
            click.echo(self._say(words.DRY))
            return
        if not self.changed:
            click.echo(self._say(words.CHANGED_NOTHING))
        if self.machine.runs:
            if started:
                asyncio.run(_answer(self.machine.path(data_dir)))
            findings = examine(subject_of(order.here, self.machine, this_program(order.config_path)))
            show_findings([finding.told(order.lang) for finding in findings], order.lang)

    # --- speaking ---------------------------------------------------------------------------------------------

    def _say(self, text: Said, **values: object) -> str:
        return _said(text, self.order.lang, **values)

    def _tell(self, how: Said, what: Said, **values: object) -> None:
        mark = {words.DONE: "✓", words.IN_PLACE: "=", words.WOULD: "→"}[how]
        colon = "：" if self.order.lang == "zh-TW" else ": "
        click.echo(f"{mark} {self._say(how)}{colon}{self._say(what, **values)}")

    def _confirm(self, text: Said, **values: object) -> bool:
        return click.confirm(self._say(text, **values), default=True)


async def _answer(data_dir: Path) -> None:
    """Until the agent that was just started answers, or has had its time."""
    for _ in range(START_S * 5):
        if await status.ask(data_dir) is not None:
            return
        await asyncio.sleep(0.2)


def _groups(readers: Iterable[ReaderSettings], old: config.Config | None) -> tuple[str, ...]:
    """Of Debian, for what readers and outputs hang on."""
    serial = any(reader.path.startswith("tty:") for reader in readers)
    wired = [*old.outputs.values(), *old.inputs.values()] if old is not None else []
    gpio = any(isinstance(each, GpioOutputSettings | GpioInputSettings) for each in wired)
    return (*(["dialout"] if serial else []), *(["gpio"] if gpio else []))
