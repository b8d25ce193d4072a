"""What hangs on a machine: settings that do not fit are named, libraries are loaded only where they are used."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from edge_agent.config import Config, ConfigError, load
from edge_agent.release import ReleaseFailed
from edge_agent.release.dry import DryOutput
from edge_agent.release.reader import ReaderRelay
from edge_agent.release.wiring import Wiring
from tests.support.relay_board import RelayBoard, until

READER = '[[readers]]\nname = "front"\nkind = "simulated"\npath = "taps"\n'
LOCK = '[outputs.lock]\nkind = "modbus"\nboard = "relays"\nrelay = 0\n'
BOARD = '[boards.relays]\nhost = "192.0.2.1"\ntiming = "flash"\n'


def settings(tmp_path: Path, text: str) -> Config:
    path = tmp_path / "edge.toml"
    path.write_text(f'data_dir = "data"\n{text}')
    return load(path)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('[outputs.lock]\nkind = "gpio"\nlin = 3', ["outputs.lock.lin", "did you mean 'line'"]),
        ('[outputs.lock]\nkind = "gpio"', ["outputs.lock", "line"]),
        ('[outputs.lock]\nkind = "gipo"\nline = 3', ["outputs.lock", "gpio, modbus, reader, dry"]),
        ("[outputs.lock]\nline = 3", ["outputs.lock", "kind"]),
        ("[outputs]\nlock = 3", ["outputs.lock", "table"]),
        (LOCK, ["outputs.lock.board", "boards.relays"]),
        (BOARD + LOCK + LOCK.replace("lock", "gate"), ["outputs.gate", "outputs.lock"]),
        (BOARD.replace("flash", "flsh"), ["boards.relays", "timing"]),
        (BOARD + "timeout_ms = 5000", ["boards.relays", "timeout_ms", "300"]),
        ("[boards]\nrelays = 3", ["boards.relays", "table"]),
        ('[inputs.dor]\nkind = "gpio"\nline = 3', ["dor", "did you mean 'door'"]),
        ('[inputs.door]\nkind = "modbus"\nboard = "relays"\ninput = 1', ["inputs.door.board", "boards.relays"]),
        (
            '[inputs.door]\nkind = "gpio"\nline = 3\n[outputs.lock]\nkind = "gpio"\nline = 3',
            ["inputs.door", "outputs.lock"],
        ),
        ('[inputs.door]\nkind = "gpio"\nline = 3\ndebounce_ms = -1', ["inputs.door", "debounce_ms"]),
        ('[release]\noutput = "lock"', ["release.output", "outputs.lock"]),
        ('[release]\nkind = "dry"\noutput = "lock"\n[outputs.lock]\nkind = "dry"', ["release.kind", "dry"]),
        (READER + '[outputs.lock]\nkind = "reader"\nreader = "back"', ["outputs.lock.reader", "back"]),
    ],
)
def test_what_does_not_fit_is_named(tmp_path: Path, text: str, words: list[str]) -> None:
    with pytest.raises(ConfigError) as caught:
        settings(tmp_path, text)
    for word in words:
        assert word in str(caught.value)


@pytest.fixture
def board() -> Iterator[RelayBoard]:
    with RelayBoard() as made:
        yield made


def test_outputs_and_inputs_of_one_board_share_its_connection(tmp_path: Path, board: RelayBoard) -> None:
    text = f"""
        [release]
        output = "lock"
        [boards.relays]
        host = "127.0.0.1"
        port = {board.port}
        timing = "flash"
        [outputs.lock]
        kind = "modbus"
        board = "relays"
        relay = 0
        [outputs.reader-power]
        kind = "modbus"
        board = "relays"
        relay = 1
        [inputs.door]
        kind = "modbus"
        board = "relays"
        input = 0
        [inputs.fire-alarm]
        kind = "modbus"
        board = "relays"
        input = 5
        normally_closed = true
    """
    with closing(Wiring(settings(tmp_path, text))) as wiring:
        assert list(wiring.boards) == ["relays"]
        until(lambda: [each.level() for each in wiring.inputs.values()] == [False, True])
        wiring.outputs["lock"].on()
        assert board.on(0)
        wiring.outputs["reader-power"].cycle(0.1)
        assert board.pulses(1)
    assert not board.on(0), "closing leaves every output at rest"


def test_a_reader_s_relay_plays_when_somebody_drives_it(tmp_path: Path) -> None:
    wired = Wiring(settings(tmp_path, READER + '[outputs.lock]\nkind = "reader"\nreader = "front"'))
    relay = wired.outputs["lock"]
    assert isinstance(relay, ReaderRelay)
    assert relay.driven_by == "front"
    with pytest.raises(ReleaseFailed, match="front"):
        relay.pulse(1_000)
    played: list[str] = []
    wired.drive_relays(played.append)
    relay.pulse(1_000)
    relay.off()
    assert played == ["front"]
    assert not relay.can_be_cut
    with pytest.raises(ReleaseFailed, match="held"):
        relay.on()
    wired.close()


def test_no_library_is_loaded_that_is_not_used(tmp_path: Path) -> None:
    settings(tmp_path, '[outputs.lock]\nkind = "dry"')
    code = (
        "import sys; from pathlib import Path; from edge_agent.config import load;"
        " from edge_agent.release.wiring import Wiring;"
        f" wiring = Wiring(load(Path({str(tmp_path / 'edge.toml')!r})));"
        " wiring.outputs['lock'].pulse(1); wiring.close(); sys.exit(bool({'gpiod', 'pymodbus'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize(("kind", "library"), [("gpio", "gpiod"), ("modbus", "pymodbus")])
def test_a_library_that_is_missing_is_named_with_what_needs_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, library: str
) -> None:
    text = LOCK + BOARD if kind == "modbus" else '[outputs.lock]\nkind = "gpio"\nline = 17'
    monkeypatch.setattr("edge_agent.release.wiring.find_spec", lambda name: None if name == library else object())
    with pytest.raises(ImportError, match=rf"outputs\.lock needs {library}.*extra '{kind}'"):
        Wiring(settings(tmp_path, text))


def test_a_dry_output_takes_everything() -> None:
    output = DryOutput()
    output.cycle(0)
    output.on()
    output.close()
    assert output.trouble() == ""
