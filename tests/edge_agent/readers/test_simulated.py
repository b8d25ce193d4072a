"""SimulatedReader: scripts, FIFOs, standard input and the lines in them."""

import os
from pathlib import Path

import pytest
import structlog

from edge_agent.readers import CardRead, ReaderFacts, ReaderState
from edge_agent.readers.simulated import LONGEST_LINE, SimulatedReader, Wait, parse_line
from tests.support.reader_run import ReaderRun

A, B = bytes.fromhex("2A83155E"), bytes.fromhex("5E15832A")


@pytest.mark.parametrize(
    ("line", "meaning"),
    [
        ("2A83155E", CardRead("door", A)),
        ("  2a:83-15 5e  # the mayor", CardRead("door", A)),
        ("2A83155E sak=20 ATR=3B8F80", CardRead("door", A, bytes.fromhex("3B8F80"), 0x20)),
        ("04A1B2C3D4E5F6", CardRead("door", bytes.fromhex("04A1B2C3D4E5F6"))),
        ("04", CardRead("door", b"\x04")),
        ("wait 0.5", Wait(0.5)),
        ("# nothing", None),
        ("   ", None),
    ],
)
def test_a_line_means_a_tap_a_pause_or_nothing(line: str, meaning: CardRead | Wait | None) -> None:
    assert parse_line("door", line) == meaning


@pytest.mark.parametrize(
    "line",
    [
        "2A83155",
        "2A83155G",
        "00" * 11,
        "sak=20",
        "2A83155E sak=2040",
        "2A83155E sak=",
        "2A83155E pin=1234",
        "wait",
        "wait long",
        "wait -1",
        "wait nan",
        "wait 1 2",
    ],
)
def test_a_bad_line_is_refused_without_repeating_it(line: str) -> None:
    with pytest.raises(ValueError) as refusal:
        parse_line("door", line)
    assert "2A83155" not in str(refusal.value)
    assert "1234" not in str(refusal.value)


def test_a_script_is_played_to_its_end_and_the_reader_stays_ready(tmp_path: Path) -> None:
    script = tmp_path / "script"
    script.write_text("2A83155E\n2A83155E\nwait 0.01\n5E 15 83 2A")
    with ReaderRun(SimulatedReader("door", str(script))) as run:
        run.wait_for_taps(3)
    assert run.uids == [A, A, B]
    assert [state for state, _ in run.states] == [ReaderState.STARTING, ReaderState.READY]


def test_bad_lines_are_named_by_number_and_passed_over(tmp_path: Path) -> None:
    script = tmp_path / "script"
    script.write_bytes(b"2A83155E\nhello\n\xff\xfe\n" + b"0" * 50_000 + b"\n5E15832A\n")
    with structlog.testing.capture_logs() as logs, ReaderRun(SimulatedReader("door", str(script))) as run:
        run.wait_for_taps(2)
    assert run.uids == [A, B]
    assert [(entry["line"], entry["why"]) for entry in logs] == [
        (2, "the UID is not pairs of hexadecimal digits"),
        (3, "not UTF-8"),
        (4, f"longer than {LONGEST_LINE} bytes"),
    ]


def test_a_fifo_outlives_its_writers(tmp_path: Path) -> None:
    fifo = tmp_path / "taps"
    os.mkfifo(fifo)
    with ReaderRun(SimulatedReader("door", str(fifo))) as run:
        run.wait_for_state(ReaderState.READY)
        for count, text in enumerate(("2A83155E\n", "5E15832A\n", "2A83155E\n"), start=1):
            with fifo.open("w") as writer:
                writer.write(text)
            run.wait_for_taps(count)
    assert run.uids == [A, B, A]


def test_a_line_written_in_pieces_is_one_tap(tmp_path: Path) -> None:
    fifo = tmp_path / "taps"
    os.mkfifo(fifo)
    with ReaderRun(SimulatedReader("door", str(fifo))) as run:
        run.wait_for_state(ReaderState.READY)
        for piece in ("2A83", "155E", "\n"):
            with fifo.open("w") as writer:
                writer.write(piece)
        run.wait_for_taps(1)
    assert run.uids == [A]


def test_standard_input_is_a_source(monkeypatch: pytest.MonkeyPatch) -> None:
    readable, writable = os.pipe()
    kept = os.dup(0)
    os.dup2(readable, 0)
    try:
        with ReaderRun(SimulatedReader("door", "-")) as run:
            os.write(writable, b"2A83155E\n")
            run.wait_for_taps(1)
            os.close(writable)
    finally:
        os.dup2(kept, 0)
        os.close(kept)
        os.close(readable)
    assert run.uids == [A]


def test_a_source_that_comes_late_is_waited_for(tmp_path: Path) -> None:
    script = tmp_path / "script"
    with ReaderRun(SimulatedReader("door", str(script))) as run:
        run.wait_for_state(ReaderState.ABSENT)
        (tmp_path / "new").write_text("2A83155E\n")
        (tmp_path / "new").rename(script)
        run.wait_for_taps(1)
    assert run.uids == [A]


def test_a_source_that_cannot_be_read_is_wedged(tmp_path: Path) -> None:
    with ReaderRun(SimulatedReader("door", str(tmp_path))) as run:
        run.wait_for_state(ReaderState.WEDGED)


def test_stop_ends_a_pause(tmp_path: Path) -> None:
    script = tmp_path / "script"
    script.write_text("2A83155E\nwait 3600\n5E15832A\n")
    with ReaderRun(SimulatedReader("door", str(script))) as run:
        run.wait_for_taps(1)
        assert run.end() < 1.5
    assert run.uids == [A]


def test_a_source_that_could_not_be_read_is_tried_again_when_it_is_asked(tmp_path: Path) -> None:
    source = tmp_path / "taps"
    source.mkdir()
    reader = SimulatedReader("door", str(source))
    with ReaderRun(reader) as run:
        for ask in (reader.reopen, reader.re_establish):
            run.wait_for_state(ReaderState.WEDGED)
            source.rmdir() if source.is_dir() else source.unlink()
            source.write_text("2A83155E\n")
            told = len(run.taps)
            ask()
            run.wait_for_taps(told + 1)
            source.unlink()
            source.mkdir()
            reader.reopen()
    assert run.uids == [A, A]


@pytest.mark.parametrize("kind", ["script", "fifo"])
def test_its_beat_goes_on_in_a_pause_and_at_a_quiet_source(tmp_path: Path, kind: str) -> None:
    source = tmp_path / kind
    source.write_text("wait 3600\n") if kind == "script" else os.mkfifo(source)
    reader = SimulatedReader("door", str(source))
    with ReaderRun(reader) as run:
        run.wait_for_state(ReaderState.READY)
        before_s = reader.beat_s()
        run.wait_until(lambda: reader.beat_s() > before_s)


def test_what_it_plays_is_its_hardware() -> None:
    assert SimulatedReader("door", "-").facts() == ReaderFacts(hardware="-")
