"""Settings: what is wrong is named, with what would be right."""

from pathlib import Path

import pytest

from central.config import ConfigError, load, parse


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
