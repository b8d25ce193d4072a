"""Settings: a wrong key is named with the nearest right one, a wrong value with where it stands."""

import re
import sys
from pathlib import Path

import pytest

from edge_agent.config import ConfigError, load, make_reader
from edge_agent.readers.simulated import SimulatedReader

GOOD = """
data_dir = "data"
poll_wait_s = 10
[journal]
max_mib = 64
[[readers]]
name = "front"
kind = "simulated"
path = "taps"
[release]
kind = "dry"
path = "released"
"""


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "edge.toml"
    path.write_text(text)
    return path


def test_settings_are_read_and_paths_are_relative_to_the_file(tmp_path: Path) -> None:
    config = load(written(tmp_path, GOOD))
    assert config.data_dir == tmp_path / "data"
    assert config.limits().journal_bytes == 64 * 1024**2
    assert config.retry_max_s == 30
    (reader,) = config.readers
    assert reader.path == str(tmp_path / "taps")
    assert config.release.path == tmp_path / "released"
    assert isinstance(make_reader(reader), SimulatedReader)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("data_dri = 'x'", ["data_dri", "did you mean 'data_dir'"]),
        ("data_dir = 'x'\npoll_wait = 3", ["poll_wait", "did you mean 'poll_wait_s'"]),
        ("data_dir = 'x'\n[[readers]]\nnmae = 'a'\nkind = 'pcsc'", ["readers.nmae", "did you mean 'name'"]),
        ("data_dir = 'x'\n[journal]\nkeep_day = 3", ["journal.keep_day", "did you mean 'keep_days'"]),
        ("data_dir = 'x'\n[release]\nfoo = 1", ["release.foo", "kind, path"]),
        ("data_dir = 'x'\npoll_wait_s = 'ten'", ["poll_wait_s", "int"]),
        ("data_dir = 'x'\npoll_wait_s = 0", ["poll_wait_s", ">= 1"]),
        ("data_dir = 'x'\n[[readers]]\nname = 'a'\nkind = 'magic'", ["readers", "kind", "magic"]),
        ("data_dir = 'x'\n[[readers]]\nname = 'a'\nkind = 'pcsc'\n[[readers]]\nname = 'a'\nkind = 'nfc'", ["two", "a"]),
        ("poll_wait_s = 3", ["data_dir"]),
        ("data_dir = 'x'\ndata_dir = 'y'", ["edge.toml"]),
        ("not toml at all", ["edge.toml"]),
        ("data_dir = 3", ["data_dir"]),
        ("readers = 3\ndata_dir = 'x'", ["readers"]),
        ("journal = [3]\ndata_dir = 'x'", ["journal"]),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, text: str, words: list[str]) -> None:
    with pytest.raises(ConfigError) as caught:
        load(written(tmp_path, text))
    for word in words:
        assert word in str(caught.value)


def test_a_file_that_is_not_there_or_not_text_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="none.toml"):
        load(tmp_path / "none.toml")
    (tmp_path / "edge.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match=r"edge\.toml"):
        load(tmp_path / "edge.toml")


def test_reader_libraries_are_loaded_only_where_they_are_configured(tmp_path: Path) -> None:
    config = load(written(tmp_path, GOOD))
    for name in ("smartcard", "nfc"):
        sys.modules.pop(name, None)
    make_reader(config.readers[0])
    assert "smartcard" not in sys.modules
    assert "nfc" not in sys.modules


EXAMPLE = Path(__file__).parents[2] / "deploy" / "edge.example.toml"


def test_the_example_can_be_used_as_it_is() -> None:
    assert [reader.kind for reader in load(EXAMPLE).readers] == ["pcsc"]


def test_everything_that_the_example_shows_is_a_setting(tmp_path: Path) -> None:
    shown = re.sub(r"^# (?=\[|\w+ = )", "", EXAMPLE.read_text(), flags=re.MULTILINE)
    path = tmp_path / "edge.toml"
    path.write_text(shown)
    settings = load(path)
    assert len(settings.readers) == 2
    assert settings.screen is not None
    assert settings.release.output in settings.outputs
    assert settings.inputs.keys() == {"door", "exit-button"}
