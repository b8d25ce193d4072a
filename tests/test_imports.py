"""Who may import whom, and what no file of this repository may hold."""

import ast
import os
import re
import sys
from collections.abc import Iterator
from fnmatch import fnmatch
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
FOLDERS = ("protocol", "firmware_profiles", "edge_agent", "central")

MAY_IMPORT = {
    "protocol": {"protocol"},
    "firmware_profiles": {"firmware_profiles"},
    "edge_agent": {"edge_agent", "protocol", "firmware_profiles"},
    "central": {"central", "protocol", "firmware_profiles"},
}

OWNERS: dict[str, tuple[str, ...]] = {
    "msgspec": ("*",),
    # cryptography stands alone: whoever signs or seals goes through these
    "cryptography": ("protocol/envelope.py", "central/keys.py", "central/tls.py", "central/access/totp.py"),
    # the network
    "aiohttp": (
        "central/alerts/telling.py",
        "central/app.py",
        "central/*_api.py",
        "central/operate.py",
        "central/console/*",
        "central/neighbours/*",
        "edge_agent/uplink.py",
        "edge_agent/screen/*",
    ),
    "yarl": ("central/neighbours/events/posting.py",),
    "smtplib": ("central/alerts/telling.py",),
    "tenacity": ("central/alerts/telling.py", "central/custody.py", "edge_agent/patience.py"),
    "ssl": (
        *("central/alerts/telling.py", "central/app.py", "central/neighbours/sip2/line.py", "central/tls.py"),
        "edge_agent/uplink.py",
    ),
    # databases
    "sqlalchemy": ("central/*",),
    "alembic": ("central/store/*",),
    "asyncpg": ("central/wakeups.py", "central/store/*"),
    "aiosqlite": ("central/store/*",),
    "sqlite_utils": ("edge_agent/journal/migrations.py",),
    "sqlite3": (
        "central/store/*",
        "edge_agent/journal/database.py",
        "edge_agent/door/inside.py",
        "edge_agent/published/list*.py",
        "edge_agent/journal/migrations.py",
        "edge_agent/journal/outbox.py",
        "edge_agent/preview.py",
        "edge_agent/journal/salvage.py",
        "edge_agent/journal/schema.py",
        "edge_agent/status.py",
        "edge_agent/journal/store.py",
        "edge_agent/journal/transaction.py",
        "edge_agent/journal/verify.py",
    ),
    # readers and relays
    "smartcard": ("edge_agent/readers/pcsc*.py",),
    "nfc": ("edge_agent/readers/nfc*.py",),
    "gpiod": ("edge_agent/release/gpio.py",),
    "pymodbus": ("edge_agent/release/modbus.py",),
    "serial": ("edge_agent/readers/*",),
    # tables in and out
    "pyarrow": ("central/neighbours/tables/parquet.py",),
    "xlrd": ("central/neighbours/vols/roster.py",),
    "xlwt": ("central/neighbours/vols/workbook.py",),
    # people
    "click": ("*/__main__.py", "*/commands/*"),
    "rich": ("*/__main__.py", "*/commands/*"),
    "jinja2": ("central/console/*", "edge_agent/screen/*"),
    "markupsafe": ("central/console/*",),
    "multidict": ("central/console/*",),
    "argon2": ("central/*",),
    "segno": ("central/*",),
    "holidays": ("central/*",),
    # what is going on
    "structlog": ("central/*", "edge_agent/*"),
    "prometheus_client": ("*/metrics.py",),
}
"""Every library outside the standard one, and the standard ones that touch the world, by the files that own it."""

PURE = (
    "protocol/*",
    "firmware_profiles/book.py",
    "firmware_profiles/schema.py",
    "firmware_profiles/values.py",
    "central/access/lockout.py",
    "central/access/totp.py",
    "central/alerts/backoff.py",
    "central/alerts/conditions.py",
    "central/alerts/incidents.py",
    "central/alerts/letters.py",
    "central/alerts/limits.py",
    "central/alerts/wording.py",
    "central/actions/custody/timeline_runs.py",
    "central/claim.py",
    "central/console/changes.py",
    "central/details.py",
    "central/ingest.py",
    "central/inside.py",
    "central/masking.py",
    "central/difference.py",
    "central/rollouts/course.py",
    "central/rollouts/freezing.py",
    "central/rollouts/halting.py",
    "central/toml_text.py",
    "central/services/judging/account.py",
    "central/services/judging/charges.py",
    "central/services/judging/chips.py",
    "central/services/judging/clocks.py",
    "central/services/judging/corrections.py",
    "central/services/judging/exits.py",
    "central/services/judging/kinds.py",
    "central/services/judging/possible.py",
    "central/services/judging/rejudge.py",
    "central/services/judging/replay.py",
    "central/services/judging/seen.py",
    "central/services/judging/turned_away.py",
    "central/console/charts.py",
    "central/neighbours/sip2/dates.py",
    "central/neighbours/sip2/frames.py",
    "central/neighbours/sip2/meaning.py",
    "central/neighbours/sip2/requests.py",
    "central/neighbours/tables/rows.py",
    "central/neighbours/tables/schema.py",
    "central/neighbours/vols/hours.py",
    "central/neighbours/vols/identity.py",
    "central/neighbours/vols/roc.py",
    "central/neighbours/vols/sheet.py",
    "central/people/*",
    "central/reporting/counting.py",
    "central/reporting/gate_state.py",
    "central/reporting/health_over_time.py",
    "central/reporting/suppression.py",
    "central/services/marks.py",
    "central/services/visits/closing.py",
    "central/services/visits/occupancy.py",
    "central/services/visits/report.py",
    "central/services/visits/stays.py",
    "central/services/attendance/hours.py",
    "central/services/attendance/local.py",
    "central/services/attendance/months.py",
    "central/services/attendance/pairing.py",
    "central/services/attendance/rules.py",
    "central/services/attendance/sheet.py",
    "central/services/attendance/stated.py",
    "central/services/attendance/teams.py",
    "central/services/points/allotment.py",
    "central/services/points/books.py",
    "central/services/points/ledger.py",
    "central/services/points/plans.py",
    "central/services/points/stated.py",
    "central/services/points/volunteering.py",
    "edge_agent/sync.py",
    "edge_agent/door/debounce.py",
    "edge_agent/door/fitness.py",
    "edge_agent/door/flutter.py",
    "edge_agent/door/passage/*",
    "edge_agent/readers/lights.py",
    "edge_agent/readers/presentation.py",
    "edge_agent/readers/answering.py",
    "edge_agent/readers/case.py",
    "edge_agent/readers/fitting.py",
    "edge_agent/readers/supervision.py",
    "edge_agent/support/redaction.py",
    "edge_agent/screen/situation.py",
    "edge_agent/screen/view.py",
    "edge_agent/screen/wording.py",
)
"""Files without clock, network, disk or log: what they know, they are told."""

WORLDLY = {
    *("asyncio", "glob", "http", "io", "logging", "multiprocessing", "os", "pathlib", "random", "secrets", "select"),
    *("shutil", "signal", "socket", "sqlite3", "ssl", "subprocess", "tempfile", "threading", "time", "urllib"),
    *("aiohttp", "alembic", "asyncpg", "prometheus_client", "rich", "click", "sqlalchemy", "structlog", "tenacity"),
}

BOUND_NAMES = ("utils.py", "util.py", "helpers.py", "helper.py", "manager.py", "managers.py", "misc.py", "common.py")
MAX_LINES = 400
SKIPPED = {
    ".git",
    ".venv",
    ".venv-sip2",
    "build",
    "__pycache__",
    ".mypy_cache",
    ".ruff_cache",
    ".pytest_cache",
    ".hypothesis",
}

# The words are put together here, so that this file does not hold them.
HOSTS = [
    ".".join(parts)
    for parts in (
        ("pypi", "org"),
        ("pypi", "python", "org"),
        ("pythonhosted", "org"),
        ("deb", "debian", "org"),
        ("security", "debian", "org"),
        ("archive", "ubuntu", "com"),
        ("registry", "npmjs", "org"),
        ("npmjs", "com"),
        ("conda", "anaconda", "org"),
    )
]
MACHINE_PATHS = re.compile(r"(?<![\w.~-])/(?:" + "|".join(("wo" + "rk", "ro" + "ot")) + r")/")
UNFINISHED = re.compile(r"\b(?:" + "|".join(("TO" + "DO", "FIX" + "ME")) + r")\b")


def sources(*folders: str) -> list[Path]:
    """The Python files of these folders."""
    found = [path for folder in folders for path in sorted((ROOT / folder).rglob("*.py"))]
    return [path for path in found if not SKIPPED & set(path.parts)]


@cache
def texts() -> tuple[tuple[str, str], ...]:
    """Every text file of the repository: its place and what stands in it."""
    return tuple(_texts())


def _texts() -> Iterator[tuple[str, str]]:
    for folder, below, names in os.walk(ROOT):
        below[:] = [name for name in below if name not in SKIPPED and not name.endswith(".egg-info")]
        for name in set(names) - SKIPPED:  # `.git` is a file where a checkout is one of several
            path = Path(folder, name)
            try:
                yield place(path), path.read_text(encoding="utf-8")
            except (UnicodeDecodeError, FileNotFoundError):
                continue


def place(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@cache
def imports(path: Path) -> tuple[str, ...]:
    """The full name of every module that a file imports, by statement or by call."""
    return tuple(_imports(path))


def _imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield "." * node.level + (node.module or "")
        elif isinstance(node, ast.Call) and called(node) in ("import_module", "__import__"):
            yield node.args[0].value if isinstance(node.args[0], ast.Constant) else "(computed)"


def called(call: ast.Call) -> str:
    """The last name of what is called."""
    return getattr(call.func, "attr", getattr(call.func, "id", ""))


def is_any_of(where: str, patterns: tuple[str, ...]) -> bool:
    return any(fnmatch(where, pattern) for pattern in patterns)


@pytest.mark.parametrize("folder", FOLDERS)
def test_folders_import_only_those_they_may(folder: str) -> None:
    offences = [
        f"{place(path)} imports {module}"
        for path in sources(folder)
        for module in imports(path)
        if module.partition(".")[0] in {*FOLDERS, "tests", "deploy", "benchmarks"} - MAY_IMPORT[folder]
    ]
    assert offences == []


def test_imports_say_in_full_what_they_import() -> None:
    offences = [
        f"{place(path)} imports {module}"
        for path in sources(*FOLDERS)
        for module in imports(path)
        if module.startswith(".") or module == "(computed)"
    ]
    assert offences == []


def test_libraries_are_imported_only_where_they_are_owned() -> None:
    offences = []
    for path in sources(*FOLDERS):
        for module in imports(path):
            library = module.partition(".")[0]
            if library in FOLDERS or (library in sys.stdlib_module_names and library not in OWNERS):
                continue
            if not is_any_of(place(path), OWNERS.get(library, ())):
                offences.append(f"{place(path)} imports {module}")
    assert offences == []


@pytest.mark.parametrize("folder", ["protocol", "firmware_profiles"])
def test_shared_folders_need_only_msgspec(folder: str) -> None:
    offences = [
        f"{place(path)} imports {module}"
        for path in sources(folder)
        for module in imports(path)
        if module.partition(".")[0] not in {*sys.stdlib_module_names, "msgspec", folder}
        and not (place(path) == "protocol/envelope.py" and module.startswith("cryptography."))
    ]
    assert offences == []


def test_pure_files_touch_nothing() -> None:
    offences = []
    for path in sources(*FOLDERS):
        if not is_any_of(place(path), PURE):
            continue
        offences += [f"{place(path)} imports {name}" for name in imports(path) if name.partition(".")[0] in WORLDLY]
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and called(node) in ("open", "print", "input", "now", "utcnow", "today"):
                offences.append(f"{place(path)}:{node.lineno} calls {called(node)}")
            if isinstance(node, ast.AsyncFunctionDef):
                offences.append(f"{place(path)}:{node.lineno} is asynchronous")
    assert offences == []


def test_pure_files_exist() -> None:
    places = [place(path) for path in sources(*FOLDERS)]
    assert [pattern for pattern in PURE if not any(fnmatch(where, pattern) for where in places)] == []


def test_no_file_is_longer_than_a_reader_can_hold() -> None:
    lengths = {place(path): path.read_text(encoding="utf-8").count("\n") for path in sources(*FOLDERS)}
    assert {where: lines for where, lines in lengths.items() if lines > MAX_LINES} == {}


def test_no_file_is_named_for_being_a_rest() -> None:
    assert [where for where, _ in texts() if where.rpartition("/")[2] in BOUND_NAMES] == []


def test_no_file_names_a_registry() -> None:
    assert [(where, host) for where, text in texts() for host in HOSTS if host in text.lower()] == []


def test_no_file_names_a_path_of_somebodys_machine() -> None:
    assert [(where, hit[0]) for where, text in texts() if (hit := MACHINE_PATHS.search(text))] == []


def test_nothing_is_left_for_later() -> None:
    assert [(where, hit[0]) for where, text in texts() if (hit := UNFINISHED.search(text))] == []


def test_lock_files_hold_a_hash_for_every_release() -> None:
    for path in ROOT.glob("requirements*.lock"):
        releases = re.split(r"\n(?=\S)", path.read_text(encoding="utf-8").strip())
        without = [release.partition(" ")[0] for release in releases if "--hash=sha256:" not in release]
        assert without == [], path.name


# --- the rules bite: each on a file that breaks it --------------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "found"),
    [
        ("import nfc.clf", ["nfc.clf"]),
        ("def f():\n    from smartcard import scard", ["smartcard"]),
        ("import importlib\nx = importlib.import_module('nfc.clf')", ["importlib", "nfc.clf"]),
        ("__import__(name)", ["(computed)"]),
        ("from . import gate", ["."]),
    ],
)
def test_an_import_is_seen_however_it_is_written(tmp_path: Path, code: str, found: list[str]) -> None:
    path = tmp_path / "file.py"
    path.write_text(code, encoding="utf-8")
    assert list(imports(path)) == found


def test_words_that_are_looked_for_are_the_right_ones() -> None:
    assert MACHINE_PATHS.search("cd /" + "work" + "/main")
    assert not MACHINE_PATHS.search("https://example.tw/v1" + "/work" + "/net")
    assert UNFINISHED.search("# TO" + "DO: later")
    assert not UNFINISHED.search("mastodon")
