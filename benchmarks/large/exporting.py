"""Every event as Parquet, by the command that an analyst runs: how long it takes, and how much memory at the most."""

import subprocess
import sys
import time
from pathlib import Path

import duckdb

from benchmarks.report import Row, at_most
from central.config import Config

MEMORY_MB, EVENTS_A_S = 400.0, 20_000
"""Ten times the events take ten times as long, and no more memory."""


def run(config: Config, directory: Path, engine: str, events: int) -> list[Row]:
    """Of a database that no server has open."""
    settings, to = directory / "central.toml", directory / "history"
    lines = {"data_dir": config.data_dir, "database": config.database, "keys_dir": config.keys_dir, "tls": "none"}
    settings.write_text("".join(f'{name} = "{value}"\n' for name, value in lines.items()))
    command = ["tapgate-central", "--config", str(settings), "export", "events", "--to", str(to), "--json"]
    start = time.perf_counter()
    with subprocess.Popen(command, executable=Path(sys.executable).with_name(command[0])) as process:
        most_kb = 0
        while process.poll() is None:
            most_kb = max(most_kb, _peak_kb(process.pid))
            time.sleep(0.05)
    seconds = time.perf_counter() - start
    if process.returncode != 0:
        raise RuntimeError("the export failed: see above")
    (count,) = duckdb.execute(f"SELECT count(*) FROM '{to}/**/*.parquet'").fetchall()[0]
    if count != events:
        raise RuntimeError(f"{count:,} rows were exported of {events:,} events")
    name = f"{engine}: {events:,} events exported as Parquet"
    return [
        at_most(name, "s", seconds, events / EVENTS_A_S),
        at_most(f"{name}, memory at the most", "MB", most_kb / 1_024, MEMORY_MB),
    ]


def _peak_kb(pid: int) -> int:
    """Of memory, until now. What the system counts for a child that ended has its parent's in it."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("VmHWM:")), 0)
