"""`make bench-large`: ten million events into SQLite and into PostgreSQL, p95 of every page, all of them exported, a
thousand agents, a key rotated under a million cards.

python -m benchmarks.large --events 100000 --engine sqlite   tries it out in a minute.
"""

import asyncio
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import asyncpg
import click
from rich.console import Console

from benchmarks import report
from benchmarks.large import exporting, pages, rotation, thousand
from benchmarks.large.seed import seed
from central.config import Config, parse
from central.store.database import open_database
from central.store.migrate import migrate_async
from tests.support.postgres import cluster

console = Console(stderr=True)


@click.command()
@click.option("--events", default=10_000_000, show_default=True)
@click.option("--gates", default=1_000, show_default=True)
@click.option("--engine", "engines", multiple=True, default=("sqlite", "postgresql"), show_default=True)
@click.option("--agents", default=1_000, show_default=True, help="0: leave them out.")
@click.option("--cards", default=1_000_000, show_default=True, help="Under the key that is rotated; 0: leave that out.")
def main(events: int, gates: int, engines: tuple[str, ...], agents: int, cards: int) -> None:
    """Seed a city, open every page, block a card before a thousand agents, rotate a domain's key. Exit code 1 when a
    limit is missed."""
    Path("build").mkdir(exist_ok=True)
    report.OUTPUT = Path("build/bench-large.json")
    rows: list[report.Row] = []
    with tempfile.TemporaryDirectory(dir="build", prefix="bench-large-") as name:
        directory = Path(name).resolve()
        for engine in engines:
            with _url(engine, directory) as url:
                config, figures = asyncio.run(_city(engine, url, directory / engine, events, gates))
                rows += figures
                console.print(f"{engine}: exporting {events:,} events")
                rows += exporting.run(config, directory / engine, engine, events)
        if agents:
            console.print(f"measuring a block before {agents:,} agents")
            rows += asyncio.run(thousand.run(directory / "thousand", agents))
        if cards:
            console.print(f"measuring the rotation of a key under {cards:,} cards")
            rows += asyncio.run(rotation.run(directory / "rotation", cards))
    sys.exit(0 if report.publish(rows) else 1)


async def _city(engine: str, url: str, directory: Path, events: int, gates: int) -> tuple[Config, list[report.Row]]:
    directory.mkdir(parents=True, exist_ok=True)
    now_ms = time.time_ns() // 1_000_000
    keys = pages.keys_of(directory, now_ms)
    config = parse(
        {"data_dir": str(directory / "data"), "database": url, "keys_dir": str(directory / "keys"), "tls": "none"}
    )
    config.data_dir.mkdir(parents=True, exist_ok=True)
    if engine == "postgresql":
        server, _, name = url.rpartition("/")
        connection = await asyncpg.connect(f"{server}/postgres")
        await connection.execute(f'CREATE DATABASE "{name}"')
        await connection.close()
    await migrate_async(url)
    async with open_database(url) as database:
        console.print(f"{engine}: seeding {events:,} events of {gates:,} gates")
        start = time.perf_counter()
        city = await seed(database, url, keys, events, gates, now_ms)
        console.print(f"{engine}: {events:,} events in {time.perf_counter() - start:.0f} s; measuring pages")
        await pages.add_account(database)
        return config, await pages.run(database, keys, config, city, engine)


@contextmanager
def _url(engine: str, directory: Path) -> Iterator[str]:
    if engine == "sqlite":
        yield f"sqlite:///{directory / 'central.db'}"
        return
    with cluster() as server:
        yield f"{server}/large"


if __name__ == "__main__":
    main()
