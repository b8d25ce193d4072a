"""What every command has in common: settings, running an action, progress bars, tables, honest exit codes.

Exit codes: 0 done, 1 not done (one line on standard error says why), 2 wrong usage.
"""

import asyncio
import datetime as dt
import os
import sys
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from pathlib import Path
from typing import Any, BinaryIO, NoReturn

import click
import msgspec
from rich.cells import cell_len
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeRemainingColumn
from rich.table import Table

from central import operate
from central.actions.action import ActionFailed
from central.actions.registry import ACTIONS
from central.config import Config, ConfigError
from central.only_writer import Locked
from central.store.migrate import SchemaNewer
from protocol.errors import Refused

PROGRAM = "tapgate-central"

as_json = click.option("--json", "as_json", is_flag=True, help="One line of JSON, for scripts.")
readable = click.Path(exists=True, dir_okay=False, path_type=Path)
notation = click.option(
    "--notation",
    type=click.Choice(["detect", "hex", "hex-reversed", "decimal", "decimal-reversed"]),
    default="detect",
    show_default=True,
    help="How UIDs are written; `reversed`: last byte in air order first.",
)


who_option = click.option(
    "--who",
    default=operate.user_name,
    show_default="your login name",
    help="Who states this; it is kept with what is said.",
)


despite_option = click.option(
    "--despite-freeze", default="", metavar="WHY", help="Publish within a freeze, for this reason; admins only."
)


def fail(why: str) -> NoReturn:
    """One line to standard error, exit code 1."""
    click.echo(f"{PROGRAM}: {' '.join(why.split())}", err=True)
    sys.exit(1)


def act(
    settings: Config,
    name: str,
    values: dict[str, Any],
    *,
    file: Path | None = None,
    bar: bool = False,
    on_items: Callable[[Sequence[Any]], None] | None = None,
) -> dict[str, Any]:
    """The result of an action, as a map. Ends the program with 1 or 2 where there is none."""
    action = ACTIONS[name]
    try:
        params = msgspec.convert(values, action.params)
    except msgspec.ValidationError as error:
        raise click.UsageError(str(error)) from None
    with progress_bar(bar) as show:

        async def emit(items: Sequence[Any]) -> None:
            if on_items is not None:
                on_items(msgspec.to_builtins(items))

        result = finish(operate.run(settings, action, params, file=file, progress=show, emit=emit))
    return dict(result)


def finish(work: Coroutine[Any, Any, Any]) -> Any:
    """Run it to the end; failures that are for a person become one line and exit code 1."""
    try:
        return asyncio.run(work)
    except Locked as error:
        fail(f"{error}: stop it first")
    except OSError as error:
        fail(f"{error.filename}: {error.strerror}" if error.filename is not None else str(error))
    except (ActionFailed, ConfigError, SchemaNewer) as error:
        fail(str(error))
    except Refused as refused:
        fail(refused.detail)


Show = Callable[[str, int, int], Awaitable[None]]


def progress_bar(wanted: bool) -> AbstractContextManager[Show]:
    """A bar on standard error, where somebody watches."""
    console = Console(stderr=True)
    return _Bar(console) if wanted and console.is_terminal else nullcontext(_silent)


async def _silent(_what: str, _done: int, _total: int) -> None:
    pass


class _Bar(AbstractContextManager[Show]):
    def __init__(self, console: Console) -> None:
        columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
        self._progress = Progress(*columns, TimeRemainingColumn(), console=console, transient=True)
        self._task = self._progress.add_task("", total=None)

    def __enter__(self) -> Show:
        self._progress.start()
        return self._show

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    async def _show(self, what: str, done: int, total: int) -> None:
        self._progress.update(self._task, description=what, completed=done, total=total or None)


def table_in(file: Path, what: str) -> dict[str, Any]:
    """The table that a TOML or JSON file holds; ends the program with 1 where it holds none. `what` it should be."""
    try:
        data = file.read_bytes()
        decode = msgspec.json.decode if file.suffix == ".json" else msgspec.toml.decode
        body = msgspec.to_builtins(decode(data))
    except (msgspec.MsgspecError, OSError, ValueError, RecursionError) as error:
        fail(f"{file}: {error}")
    if not isinstance(body, dict):
        fail(f"{file}: {what} is a table of names and values")
    return body


@contextmanager
def private_file(path: Path) -> Iterator[BinaryIO]:
    """For its owner alone, and put in place at the end. Entered before what goes into it is had: of some there is only
    one. Ends the program with 1 where there is no such place."""
    place = path.resolve()  # what a link leads to is replaced, not the link
    if place.exists() and not place.is_file():
        fail(f"{path}: it is no file")
    aside = place.with_name(place.name + ".new")
    try:
        with open(os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        aside.replace(place)
    except OSError as error:
        fail(f"{path}: {error.strerror}")
    finally:
        with suppress(OSError):  # it is in place, or never was
            aside.unlink()


# --- showing ------------------------------------------------------------------------------------------------


def say_json(data: Any) -> None:
    """One line."""
    click.echo(msgspec.json.encode(data))


def url_in(file: Path) -> str:
    """The URL in a file, or on standard input for `-`. Never an argument: those stand in the process list and in the
    shell's history."""
    try:
        text = sys.stdin.readline() if str(file) == "-" else file.read_text("utf-8")
    except (OSError, UnicodeDecodeError):
        fail(f"{file}: no URL can be read from it")
    return text.strip()


def say(result: dict[str, Any], as_json: bool) -> None:
    """A result: JSON for a script, lines of name and value for a person."""
    if as_json:
        say_json(result)
        return
    table = Table(show_header=False, box=None)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in result.items():
        short = name.removesuffix("_ms")
        title = f"{short}_at" if short != name and short in result else short  # whether, and since when
        table.add_row(title.replace("_", " "), escape(text_of(name, value)))
    show(table)


UNFOLDED = 100_000
COPIED_BY_HAND = ("device", "words", "session")
"""Columns that a person copies into the next command: never broken over two lines."""


def say_rows(rows: Sequence[dict[str, Any]], as_json: bool, nothing: str = "", columns: str = "") -> None:
    """A list: a JSON array for a script, a table for a person.

    `nothing`: what to do where it is empty. `columns`: those of the table, by name; not given = all.
    """
    if as_json:
        say_json(rows)
        return
    if not rows:
        click.echo(nothing)
        return
    names = columns.split() or list(rows[0])
    titles = [name.removesuffix("_ms").replace("_", " ") for name in names]
    cells = [[text_of(name, row[name]) for name in names] for row in rows]
    words = [max(_longest_word(cell) for cell in column) for column in zip(titles, *cells, strict=True)]
    table = Table(box=None)
    is_wide_enough = sum(words) + 2 * len(words) <= Console().width  # more than fits would be cut off
    for name, title, word in zip(names, titles, words, strict=True):
        is_whole = name in COPIED_BY_HAND
        table.add_column(title, overflow="fold", no_wrap=is_whole, min_width=word if is_wide_enough else None)
    for row_of_cells in cells:
        table.add_row(*map(escape, row_of_cells))
    show(table)


def show(table: Table) -> None:
    """As wide as a person's terminal. A file or a pipe has no width: nothing is folded or filled up there."""
    console = Console()
    if console.is_terminal:
        console.print(table)
        return
    console.width = UNFOLDED
    with console.capture() as shown:
        console.print(table)
    for line in shown.get().splitlines():
        click.echo(line.rstrip())


def _longest_word(text: str) -> int:
    return max((cell_len(word) for word in text.split()), default=0)


LENGTHS = ("left_ms", "skew_ms", "median_skew_ms", "list_age_ms", "longest_silent_ms", "took_ms")
"""Lengths of time, where all else that ends in `_ms` is a moment."""


def length_of(value_ms: int) -> str:
    """In the largest unit of which there are two; as a rule nothing is 0."""
    for unit, unit_ms in (("days", 86_400_000), ("h", 3_600_000), ("min", 60_000)):
        if abs(value_ms) >= 2 * unit_ms:
            return f"{value_ms / unit_ms:.0f} {unit}"
    return f"{value_ms / 1_000:g} s"


def text_of(name: str, value: Any) -> str:
    """A value as a person reads it; dates in this machine's time zone."""
    if value in ("", None, [], {}):
        return "–"
    if name in ("warn_ms", "restrict_ms", "close_ms"):
        return f"{value / 3_600_000:g} h"
    if name in LENGTHS:
        return length_of(value)
    if name.endswith("_ms"):
        return "–" if value == 0 else dt.datetime.fromtimestamp(value / 1_000).astimezone().isoformat(" ", "seconds")
    if isinstance(value, list):
        return (
            "; ".join(text_of("", each) for each in value) if isinstance(value[0], dict) else ", ".join(map(str, value))
        )
    if isinstance(value, dict):
        return ", ".join(f"{key.removesuffix('_ms')}: {text_of(key, each)}" for key, each in value.items())
    return str(value)


def say_page(listed: dict[str, Any], name: str, as_json: bool, nothing: str, columns: str) -> None:
    """A page of a list, and how to get the next one."""
    if as_json:
        say_json(listed)
        return
    say_rows(listed[name], False, nothing, columns)
    if listed["next"]:
        click.echo(f"There are more: --after {listed['next']}")


def say_problems(problems: Sequence[Any], as_json: bool) -> None:
    """What a check found, a line each."""
    for problem in problems:
        if as_json:
            say_json(problem)
        else:
            click.echo(f"{problem['where']}: {problem['what']}")
