"""`export`, as an operator types it."""

import json
from pathlib import Path

from central.neighbours.tables.csv_text import Encoding
from tests.central.terminal import Operator, Served


def test_history_goes_into_a_directory_and_stands_in_the_audit_log(run: Operator, tmp_path: Path) -> None:
    to = tmp_path / "history"
    done = run.json("export", "events", "--to", str(to), "--purpose", "trends", "--who", "lin")
    assert (done["what"], done["files"], done["rows"]) == ("events", 0, 0)
    assert to.joinpath("events").is_dir()
    (tmp_path / "taken").write_text("a file")
    assert "taken" in run.refused("export", "events", "--to", str(tmp_path / "taken" / "below"))
    assert "state the purpose" in run.refused("export", "visits", "--to", str(to), "--people")
    assert "is not a month" in run.refused("export", "visits", "--to", str(to), "--since", "115-01")
    log = run.json("audit", "list", "--action", "export.declare")
    assert "trends" in json.dumps(log)


def test_a_list_goes_into_a_file_whole_or_not_at_all(run: Operator, tmp_path: Path) -> None:
    path = tmp_path / "classes.csv"
    run("member", "put", "林堃", "--domain", "library", "--class", "citizen")
    encoding: Encoding = "cp950"
    export = ("export", "list", "classes", str(path), "--domain", "library", "--encoding", encoding)
    said = run.refused(*export)
    assert "column member: CP950 has no 堃 (U+5803)" in said
    assert list(tmp_path.glob("classes.csv*")) == []
    assert "choose another mark" in run.refused(*export, "--replace", "堃")
    done = run.json(*export, "--replace", "□")
    assert done["rows"] >= 1
    assert done["replaced"][0].endswith("column member: 堃")
    assert "林□,add,citizen,,\r\n".encode(encoding) in path.read_bytes()
    run("export", "list", "offers", str(path), "--encoding", "utf-8")
    assert path.read_text() == "id,partner,title_zh,title_en,class,from,until\n"
    assert "domain: the list of flags goes by it" in run.refused("export", "list", "flags", str(path))


def test_history_is_written_beside_a_server_that_holds_the_database(served: Served, tmp_path: Path) -> None:
    done = json.loads(served("export", "visits", "--to", str(tmp_path / "history"), "--json").stdout)
    assert (done["what"], done["files"]) == ("visits", 0)
