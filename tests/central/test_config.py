"""Settings: what is wrong is named, with what would be right."""

from datetime import time
from pathlib import Path

import pytest

from central.config import ConfigError, load, parse

LIBRARY = {"id": "tc", "domain": "city", "host": "sip.example"}


def test_without_a_file_there_are_defaults(tmp_path: Path) -> None:
    config = load(None, data_dir=tmp_path)
    assert config.database == f"sqlite:///{tmp_path}/central.db"
    assert (config.keys_dir, config.url, config.pinned) == (tmp_path / "keys", "https://127.0.0.1:8443", True)


def test_a_file_is_read_and_the_command_line_wins(tmp_path: Path) -> None:
    file = tmp_path / "central.toml"
    file.write_text('data_dir = "/srv/tapgate"\nport = 1\nhost = "::1"\ntls = "none"\n')
    config = load(file, port=9, host=None)
    assert (config.data_dir, config.port, config.url) == (Path("/srv/tapgate"), 9, "http://[::1]:9")
    assert not config.pinned


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"datadir": "x"}, "there is no setting 'datadir'; did you mean 'data_dir'?"),
        ({"zzz": 1}, "there is no setting 'zzz'; known are data_dir"),
        ({"port": "8443"}, "Expected `int`, got `str`"),
        ({"port": 70_000}, "'port' is 70000"),
        ({"tls": "none", "host": "0.0.0.0"}, "plain HTTP is served on loopback only"),
        ({"tls": "files"}, "state 'certificate' and 'private_key'"),
        ({"database": "mysql://x"}, "'database' begins with"),
        ({"url": "gates.example"}, "it begins with https://"),
        ({"console_url": "console.example"}, "'console_url' is 'console.example'"),
        ({"mail": {"host": "mail.example"}}, "missing required field `sender`"),
        ({"mail": {"host": "mail.example", "sender": "tapgate"}}, "'mail.sender': 'tapgate' is no mail address"),
        ({"mail": {"host": "mail.example", "sender": "a@b.example", "security": "none"}}, "on loopback only"),
        ({"mail": {"host": "mail.example", "sender": "a@b.example", "user": "a"}}, "belong together"),
        ({"mail": {"host": "", "sender": "a@b.example"}}, "both are needed"),
        ({"libraries": [{"id": "tc", "domain": "city"}]}, "missing required field `host`"),
        ({"libraries": [LIBRARY | {"id": "Main Library"}]}, "'id' and 'class_name' have"),
        ({"libraries": [LIBRARY | {"encoding": "utf8"}]}, "library 'tc': 'encoding' is 'utf8'; known are utf-8"),
        ({"libraries": [LIBRARY | {"user": "tapgate"}]}, "'user' and 'password_file' belong together"),
        ({"libraries": [LIBRARY | {"expiry_field": "expiry"}]}, "two letters, such as PA"),
        ({"libraries": [LIBRARY | {"quiet": "23-06"}]}, "such as 23:00-06:00"),
        ({"libraries": [LIBRARY | {"per_minute": 0}]}, "'per_minute' 1 to 600"),
        ({"libraries": [LIBRARY | {"answer_s": 61}]}, "at most 60"),
        ({"libraries": [LIBRARY, LIBRARY]}, "'tc' stands there twice"),
        ({"libraries": [LIBRARY | {"password": "geheim"}]}, "unknown field `password`"),
        ({"alerts": {"silent_s": 1}}, "`$.alerts.silent_s`"),
        ({"alerts": {"silence_s": 60}}, "unknown field `silence_s`"),
    ],
)
def test_what_is_wrong_is_named(values: dict, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse(values, "central.toml")
    assert str(caught.value).startswith("central.toml: ")
    assert said in str(caught.value)


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="No such file"):
        load(tmp_path / "none.toml")
    (tmp_path / "bad.toml").write_text("port =")
    with pytest.raises(ConfigError, match=r"bad\.toml"):
        load(tmp_path / "bad.toml")


@pytest.mark.parametrize(
    ("quiet", "held", "free"),
    [("23:00-06:00", ["23:00", "03:00", "05:59"], ["06:00", "22:59"]), ("12:00-13:00", ["12:00"], ["13:00", "11:59"])],
)
def test_quiet_hours_of_a_library_run_past_midnight(quiet: str, held: list[str], free: list[str]) -> None:
    (library,) = parse({"libraries": [LIBRARY | {"quiet": quiet}]}).libraries
    hours = library.quiet_hours()
    assert hours is not None
    assert all(hours.holds(time.fromisoformat(at)) for at in held)
    assert not any(hours.holds(time.fromisoformat(at)) for at in free)
