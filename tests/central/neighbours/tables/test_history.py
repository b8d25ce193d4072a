"""History as Parquet: what a foreign engine reads is what stands in the database, and nobody can be told from it."""

import re
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from sqlalchemy import select

from central.access.audit import DONE
from central.actions.action import ActionFailed
from central.neighbours.tables import parquet
from central.neighbours.tables.schema import SUBJECT, TABLES
from central.store.schema import audit, events, visits
from tests.central.neighbours.tables.conftest import Exporter
from tests.central.services.scenes import person

ONE_ENGINE = pytest.mark.parametrize("engine", ["sqlite"])
DOCS = Path(__file__).parents[4] / "docs" / "tables.md"
EVENTS = "read_parquet('events/*/*/*.parquet', hive_partitioning = true)"


async def test_duckdb_reads_the_same_events_as_stand_in_the_database(exporter: Exporter) -> None:
    made = await exporter.export("events")
    held = await exporter.crew.city.rows(events)
    assert made.rows == len(held)
    columns = (
        "device, epoch, sequence, epoch_ms(happened_at), gate, kind, direction, decision, reason, rule, repeat, outcome"
    )
    read = set(exporter.query(f"SELECT {columns} FROM {EVENTS}"))
    assert read == {
        (e.device, e.epoch.hex(), e.sequence, e.at_ms, e.gate, e.kind, e.direction, e.decision, e.reason, e.rule)
        + (e.repeat_of > 0, e.outcome)
        for e in held
    }
    by_part = exporter.query(
        f"SELECT month, venue, count(*) FROM {EVENTS} WHERE kind = 'tap' GROUP BY ALL ORDER BY ALL"
    )
    assert by_part == [("2026-03", "main", 6), ("2026-04", "main", 1), ("2026-04", "pool", 1)], "local months"


async def test_every_table_has_its_rows_months_and_venues(exporter: Exporter) -> None:
    for name in TABLES:
        await exporter.export(name)
    found = {path.rpartition("/")[0] for path in exporter.files() if not path.startswith("events")}
    assert found == {
        *("visits/month=2026-03/venue=main", "visits/month=2026-04/venue=main", "visits/month=2026-04/venue=pool"),
        "sessions/month=2026-03/venue=main",
        *("ledger/month=2026-03/venue=pool", "ledger/month=2026-04/venue=__HIVE_DEFAULT_PARTITION__"),
    }
    seen = exporter.query("SELECT count(*), count(left_at) FROM 'visits/*/*/*.parquet'")
    assert seen == [(len(await exporter.crew.city.rows(visits)), 1)]
    columns = "team, booked_month, minutes, state, adjustment, CAST(signed_in_at AS VARCHAR)"
    assert exporter.query(f"SELECT {columns} FROM 'sessions/*/*/*.parquet'") == [
        ("desk", "2026-03", 125, "counted", False, "2026-03-02 09:00:00+08")
    ]
    assert exporter.query(
        "SELECT what, source, target, points, closed, cause, venue FROM 'ledger/*/*/*.parquet' ORDER BY closed DESC"
    ) == [
        ("spent", "member", "venue:pool", 25, True, "event", "pool"),
        ("month", "city:issued", "member", 1_000, False, "event", None),
    ]


@ONE_ENGINE
async def test_who_it_was_is_absent_unless_asked_for_and_then_good_for_one_export(exporter: Exporter) -> None:
    for name in TABLES:
        await exporter.export(name)
        assert exporter.query(f"SELECT count(*), count({SUBJECT}) FROM '{name}/*/*/*.parquet'")[0][1] == 0
    with pytest.raises(ActionFailed, match="state the purpose"):
        await exporter.export("visits", people=True)
    told = []
    for _ in range(2):
        await exporter.export("visits", people=True, purpose="how often the same people come")
        rows = exporter.query(f"SELECT {SUBJECT}, count(*) FROM 'visits/*/*/*.parquet' GROUP BY ALL ORDER BY 2 DESC")
        told.append({name for name, _ in rows})
        assert [number for _, number in rows] == [2, 1, 1]
    assert not told[0] & told[1]
    assert not (told[0] | told[1]) & {person(number).hex() for number in range(1, 4)}


async def test_doing_it_again_gives_the_same_and_a_crash_leaves_only_whole_files(exporter: Exporter) -> None:
    async def power_cut(what: str, done: int, total: int) -> None:
        if done > 1:
            raise KeyboardInterrupt

    await exporter.export("events", until="2026-03")
    first = exporter.files()
    with pytest.raises(KeyboardInterrupt):
        await exporter.export("events", power_cut)
    assert first.items() <= exporter.files().items()
    torn = exporter.to / "events/month=2026-04/venue=pool/part-0.parquet.new"
    torn.parent.mkdir(parents=True, exist_ok=True)
    torn.write_bytes(b"PAR1")
    await exporter.export("events")
    whole = exporter.files()
    assert len(whole) == 5, "devices began in September by their clocks"
    assert not any(name.endswith(".new") for name in whole)
    await exporter.export("events")
    assert exporter.files() == whole


@ONE_ENGINE
async def test_a_span_and_venues_touch_no_other_file_and_empty_ones_go(exporter: Exporter) -> None:
    await exporter.export("events")
    whole = exporter.files()
    async with exporter.crew.city.database.write() as connection:
        await connection.execute(events.delete().where(events.c.gate == "pool-door"))
    assert (await exporter.export("events", until="2026-03")).removed == 0
    assert (await exporter.export("events", venues=["main"])).removed == 0
    assert exporter.files() == whole
    assert (await exporter.export("events", since="2026-04")).removed == 2
    assert {path.rpartition("/")[0] for path in set(whole) - set(exporter.files())} == {
        f"events/month={month}/venue=pool" for month in ("2026-04", "2026-09")
    }


@ONE_ENGINE
async def test_nothing_leaves_without_a_statement_in_the_audit_log(exporter: Exporter) -> None:
    with pytest.raises(ActionFailed, match="state anew"):
        await exporter.perform("export.history", id="0" * 32, to=str(exporter.to))
    values = {"what": "events", "since": "2026-03", "venues": ["main"], "purpose": "a report for the council"}
    await exporter.perform("export.declare", id="a" * 32, **values)
    async with exporter.crew.city.database.read() as connection:
        query = select(audit).where(audit.c.action == "export.declare").order_by(audit.c.number)
        asked, done = (await connection.execute(query)).all()
    assert (asked.who, asked.target, done.phase) == ("chen", "a" * 32, DONE)
    assert all(text in asked.body for text in ("a report for the council", "2026-03", "events"))
    await exporter.perform("export.history", id="a" * 32, to=str(exporter.to))
    exporter.crew.now("2026-04-02 12:01")
    with pytest.raises(ActionFailed, match="state anew"):
        await exporter.perform("export.history", id="a" * 32, to=str(exporter.to))
    for wrong in ({"since": "2026-3"}, {"since": "2026-04", "until": "2026-03"}, {"venues": ["moon"]}):
        with pytest.raises(ActionFailed):
            await exporter.perform("export.declare", id="b" * 32, what="events", **wrong)


@ONE_ENGINE
async def test_rows_are_written_in_groups_of_bounded_size(exporter: Exporter, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parquet, "GROUP_ROWS", 3)
    await exporter.export("events")
    file = pq.ParquetFile(exporter.to / "events/month=2026-03/venue=main/part-0.parquet")
    sizes = [file.metadata.row_group(number).num_rows for number in range(file.num_row_groups)]
    assert (set(sizes[:-1]), max(sizes), sum(sizes)) == ({3}, 3, file.metadata.num_rows)
    assert file.schema_arrow.metadata[b"tapgate.table"] == b"events.v1"


@ONE_ENGINE
async def test_the_examples_of_the_documentation_run(exporter: Exporter) -> None:
    for name in TABLES:
        await exporter.export(name)
    examples = re.findall(r"```sql\n(.*?)```", DOCS.read_text(encoding="utf-8"), re.S)
    assert len(examples) >= 4
    for example in examples:
        assert exporter.query(example), example


def test_the_documentation_names_every_column_as_it_is() -> None:
    text = DOCS.read_text(encoding="utf-8")
    for table in TABLES.values():
        part = text.partition(f"### `{table.name}`")[2].partition("\n### ")[0]
        rows = re.findall(r"^\| `(\w+)` \| (\w+) \| (yes|no) \| (.*) \|$", part, re.M)
        nullable = {True: "yes", False: "no"}
        assert rows == [(f.name, f.kind, nullable[f.nullable], f.what) for f in table.fields], table.name
