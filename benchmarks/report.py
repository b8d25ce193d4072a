"""Rows of the table, printed for people and written for scripts."""

import json
import math
import os
import platform
import sqlite3
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec
from rich.console import Console
from rich.table import Table

OUTPUT = Path("build/bench.json")


class Row(msgspec.Struct, frozen=True):
    """One figure. `ratio` is result ÷ floor, or floor ÷ result where more is better; None without a floor."""

    name: str
    unit: str
    floor: float | None
    result: float
    ratio: float | None
    limit: str
    holds: bool
    note: str = ""


def at_most(name: str, unit: str, result: float, limit: float, note: str = "") -> Row:
    """An absolute ceiling."""
    return Row(name, unit, None, round(result, 3), None, f"<= {limit:g} {unit}", result <= limit, note)


def ratio_at_most(name: str, unit: str, floor: float, result: float, limit: float, note: str = "") -> Row:
    """A time, no more than `limit` times the floor's."""
    ratio = result / floor
    return Row(name, unit, round(floor, 3), round(result, 3), round(ratio, 2), f"<= {limit:g} x", ratio <= limit, note)


def rate_at_least(name: str, unit: str, floor: float, result: float, limit: float, note: str = "") -> Row:
    """A rate, at least `limit` times the floor's."""
    ratio = result / floor
    return Row(name, unit, round(floor), round(result), round(ratio, 2), f">= {limit:g} x", ratio >= limit, note)


def percentile(values: Sequence[float], share: float) -> float:
    """The value that `share` of all are not above."""
    return sorted(values)[min(len(values) - 1, math.ceil(share * len(values)) - 1)]


def timed_us(work: Callable[[], object], times: int) -> list[float]:
    """Microseconds of each call."""
    clock, found = time.perf_counter_ns, []
    for _ in range(times):
        start = clock()
        work()
        found.append((clock() - start) / 1_000)
    return found


def machine() -> str:
    """What the figures were measured on."""
    memory_gib = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    processor = next(
        (line.split(":")[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines() if "model name" in line),
        platform.machine(),
    )
    return (
        f"{processor}, {os.cpu_count()} cores, {memory_gib:.0f} GiB, Python {platform.python_version()}, "
        f"SQLite {sqlite3.sqlite_version}, {platform.system()} {platform.release()}"
    )


def publish(rows: list[Row]) -> bool:
    """Print the table and write the JSON. True when every limit holds."""
    table = Table(title=machine())
    for column in ("work", "unit", "floor", "result", "ratio", "limit", "holds"):
        table.add_column(column, justify="left" if column == "work" else "right")
    for row in rows:
        cells = [row.floor, row.result, row.ratio]
        table.add_row(
            row.name,
            row.unit,
            *("–" if cell is None else f"{cell:g}" for cell in cells),
            row.limit,
            "yes" if row.holds else "NO",
        )
    console = Console(width=None if sys.stdout.isatty() else 140)
    console.print(table)
    for row in rows:
        if row.note:
            console.print(f"{row.name}: {row.note}")
    OUTPUT.parent.mkdir(exist_ok=True)
    report = {"machine": machine(), "rows": [msgspec.to_builtins(row) for row in rows]}
    OUTPUT.write_text(json.dumps(report, indent=2, ensure_ascii=False) + "\n")
    return all(row.holds for row in rows)
