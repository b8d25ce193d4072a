"""`tapgate-edge setup`: from a machine with a reader to a gate, by questions or by flags."""

import asyncio
import os
import shutil
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple, TextIO

import click

from edge_agent import config, status
from edge_agent.agent import AlreadyRunning
from edge_agent.commands import DEFAULT_CONFIG
from edge_agent.commands import setup_words as words
from edge_agent.commands.doctor import show as show_findings
from edge_agent.commands.log import to_stderr
from edge_agent.commands.setup_central import join
from edge_agent.commands.setup_operator import Operator
from edge_agent.commands.setup_reader import choose, parse_reader, try_it
from edge_agent.commands.shell import fail, language, this_program
from edge_agent.commissioning import installation, settings_text
from edge_agent.commissioning.installation import INSTALLED_AT, NotDone, Plan
from edge_agent.commissioning.machine import Machine
from edge_agent.commissioning.settings_text import NotOurs
from edge_agent.commissioning.unit import UNIT
from edge_agent.config import ReaderSettings
from edge_agent.doctor import examine, subject_of
from edge_agent.identity import IdentityDamaged
from edge_agent.release.settings import GpioInputSettings, GpioOutputSettings
from edge_agent.screen.kiosk import BROWSERS
from edge_agent.uplink import NetworkFailure
from protocol.errors import Refused

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
    screen: bool | None
    data_dir: Path
    user: str
    program: str
    wait_s: float | None
    yes: bool
    lang: str

    @property
    def here(self) -> Path:
        """The settings file as this process sees it."""
        return self.config_path if self.machine.runs else self.machine.path(self.config_path)


@click.command()
@click.option("--reader", "readers", multiple=True, help="[NAME=]KIND[:WHERE]; may be given several times.")
@click.option("--token-file", type=click.File(), help="The join token; `-` reads it from standard input.")
@click.option("--unit/--no-unit", default=None, help="Start the agent as a service at every boot.")
@click.option("--screen/--no-screen", default=None, help="Show the kiosk page full-screen at every boot.")
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
    screen: bool | None,
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
        screen,
        data_dir,
        user,
        program or (this_program(DEFAULT_CONFIG) if machine.runs else INSTALLED_AT),
        wait_s if wait_s is not None or not yes else 0.0,
        yes,
        lang,
    )
    operator = Operator(lang, yes, dry_run)
    try:
        _Setup(order, operator).run()
    except (click.Abort, KeyboardInterrupt):
        click.echo(f"\n{operator.text(words.STOPPED)}", err=True)
        sys.exit(1)
    except (NotDone, NotOurs, Refused, NetworkFailure, AlreadyRunning, IdentityDamaged) as error:
        fail(str(error))
    except PermissionError as error:
        fail(f"{error.filename}: {operator.text(words.AS_ROOT)}")
    except OSError as error:
        fail(str(error))


class _Setup:
    """One run."""

    def __init__(self, order: Order, operator: Operator) -> None:
        self.order, self.machine, self.operator = order, order.machine, operator

    def run(self) -> None:
        order = self.order
        self._may_it()
        old = self._old()
        readers, text = self._readers(old)
        unit = order.unit if order.unit is not None else order.yes or self.operator.confirm(words.UNIT)
        screen = (
            order.screen
            if order.screen is not None
            else not order.yes and self.operator.confirm(words.SCREEN, default=False)
        )
        text = self._with_screen(text, old) if screen else text
        data_dir = old.data_dir if old is not None else order.data_dir
        groups = _groups(readers, old)
        plan = Plan(str(order.config_path), text, data_dir, order.program, order.user, unit, screen, groups)
        over_pcsc = any(reader.kind == "pcsc" for reader in readers)
        if self.machine.runs:
            self._can_be(plan, over_pcsc)
        if text is None:
            self.operator.tell(words.IN_PLACE, words.SETTINGS, path=order.config_path)
        self.operator.carry_out(installation.files(self.machine, plan))
        joined = join(self.operator, self.machine.path(data_dir), order.token, order.wait_s)
        units = [*(["pcscd.socket"] if over_pcsc else []), UNIT] if unit else []
        if screen and not installation.is_desktop(self.machine):
            units.append(installation.KIOSK_UNIT)
        if units:
            self.operator.carry_out(installation.services(self.machine, units, self.operator.changed > 0, joined))
        self._end(data_dir, unit and joined)
        if screen and self.machine.runs and self.operator.changed:
            self.operator.say(words.NEXT_BOOT)

    def _can_be(self, plan: Plan, over_pcsc: bool) -> None:
        """What setting up does not install is there. Raises NotDone, saying how to install it."""
        if plan.unit and plan.program.startswith(("/home/", os.path.expanduser("~root/"))):
            raise NotDone(self.operator.text(words.HOME, program=plan.program))
        if over_pcsc and not self.machine.path("/usr/sbin/pcscd").exists():
            raise NotDone(self.operator.text(words.NO_PCSCD))
        if plan.screen:
            has_cage = self.machine.path("/usr/bin/cage").exists() or installation.is_desktop(self.machine)
            if not has_cage or not any(map(shutil.which, BROWSERS)):
                raise NotDone(self.operator.text(words.NO_BROWSER))

    def _may_it(self) -> None:
        if self.machine.runs and os.geteuid() != 0 and not self.operator.dry and self.order.unit is not False:
            raise NotDone(self.operator.text(words.AS_ROOT))

    # --- settings ---------------------------------------------------------------------------------------------

    def _old(self) -> config.Config | None:
        """The settings as they are; None: there are none."""
        if not self.order.here.exists():
            return None
        try:
            return config.load(self.order.here)
        except config.ConfigError as error:
            raise NotDone(self.operator.text(words.NO_CONFIG, why=error)) from None

    def _readers(self, old: config.Config | None) -> tuple[tuple[ReaderSettings, ...], str | None]:
        """The readers, and the settings file's new text; None: it stays."""
        order = self.order
        held = settings_text.readers_of(order.here.read_text(encoding="utf-8")) if old is not None else ()
        readers = tuple(parse_reader(text, number) for number, text in enumerate(order.readers))
        if (
            not readers
            and held
            and (order.yes or self.operator.confirm(words.KEEP, names=", ".join(r.name for r in held)))
        ):
            readers = held
        chosen = not readers
        readers = readers or (choose(self.machine, order.yes, order.lang),)
        if self.operator.is_asked:
            self._try(readers, old)
        if old is None:
            return readers, settings_text.new_text(order.data_dir, readers)
        if not chosen and readers == held:
            return readers, None
        before = order.here.read_text(encoding="utf-8")
        return readers, self._agreed(before, settings_text.with_readers(before, readers))

    def _with_screen(self, text: str | None, old: config.Config | None) -> str | None:
        if text is not None or old is None:
            return settings_text.with_screen(text or "")
        before = self.order.here.read_text(encoding="utf-8")
        return self._agreed(before, settings_text.with_screen(before))

    def _agreed(self, before: str, after: str) -> str | None:
        """The settings file's new text; None: it stays. Raises click.Abort where a person does not want it."""
        if before == after:
            return None
        if self.operator.is_asked and not self.operator.confirm(words.OVERWRITE, path=self.order.here):
            raise click.Abort
        return after

    def _try(self, readers: Iterable[ReaderSettings], old: config.Config | None) -> None:
        data_dir = old.data_dir if old is not None else self.order.data_dir
        if data_dir.exists() and asyncio.run(status.ask(data_dir)) is not None:
            self.operator.say(words.AGENT_RUNS)
            return
        for reader in readers:
            while self.operator.confirm(words.TRY) and not try_it(reader, data_dir, self.order.lang):
                self.operator.say(words.AGAIN)

    def _end(self, data_dir: Path, started: bool) -> None:
        order = self.order
        if self.operator.dry:
            self.operator.say(words.DRY)
            return
        if not self.operator.changed:
            self.operator.say(words.CHANGED_NOTHING)
        if self.machine.runs:
            if started:
                asyncio.run(_answer(self.machine.path(data_dir)))
            findings = examine(subject_of(order.here, self.machine, this_program(order.config_path)))
            show_findings([finding.told(order.lang) for finding in findings], order.lang)


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
