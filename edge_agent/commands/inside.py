"""`tapgate-edge inside`."""

import datetime as dt
import json
import time
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from edge_agent import config
from edge_agent.commands.shell import as_json, fail, language, with_settings
from edge_agent.door.inside import Inside
from edge_agent.door.inside import inside as look

WORDS = {
    "zh-TW": (
        "這個閘門的紀錄中，可能還在裡面的有 {count} 位。別的閘門看不到；全館請看中央。",
        ("進入時間", "代號", "第幾張卡", "通行", "說明"),
    ),
    "en": (
        "{count} may be inside, by this gate's own record. It does not see other gates: central knows the whole venue.",
        ("came in", "pseudonym", "card", "passage", "remark"),
    ),
}
STAFF = {"zh-TW": "工作人員放行", "en": "let in by staff"}


@click.command()
@as_json
@language
@with_settings
def inside(settings: config.Config, as_json: bool, lang: str) -> None:
    """Who may be inside, as this gate's journal tells: for an evacuation, also without a network.

    Whoever came in counts until a way out is seen here; who was not seen going through counts too.

    Example: tapgate-edge inside --json
    """
    try:
        found = look(settings.data_dir, time.time_ns() // 1_000_000)
    except OSError as error:
        fail(str(error))
    if as_json:
        click.echo(json.dumps({"count": len(found), "inside": [_told(each) for each in found]}))
        return
    sum_, titles = WORDS[lang]
    click.echo(sum_.format(count=len(found)))
    if found:
        table = Table(*titles, box=None)
        for each in found:
            at = dt.datetime.fromtimestamp(each.at_ms / 1_000).astimezone().isoformat(" ", "seconds")
            remark = STAFF[lang] if each.staff else ""
            table.add_row(at, each.who or "–", str(each.card or "–"), each.passage or "–", remark)
        Console().print(table)


def _told(each: Inside) -> dict[str, Any]:
    at = dt.datetime.fromtimestamp(each.at_ms / 1_000, dt.UTC).isoformat()
    return {"at": at, "who": each.who, "card": each.card, "passage": each.passage, "staff": each.staff}
