"""`tapgate-edge doctor`."""

import json
import sys
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.markup import escape

from edge_agent.commands.log import to_stderr
from edge_agent.commands.shell import as_json, language, this_program
from edge_agent.commissioning.machine import Machine
from edge_agent.doctor import examine, fails, subject_of

MARKS = {
    "ok": ("green", "✓"),
    "warn": ("yellow", "!"),
    "fail": ("bold red", "✗"),
    "not-applicable": ("dim", "–"),
    "not-known": ("cyan", "?"),
}
SUMS = {
    "zh-TW": "正常 {ok}，注意 {warn}，故障 {fail}，無法得知 {not-known}，不適用 {not-applicable}",
    "en": "{ok} ok, {warn} to mind, {fail} failing, {not-known} not known, {not-applicable} not applicable",
}


@click.command()
@as_json
@language
@click.pass_obj
def doctor(config_path: Path, as_json: bool, lang: str) -> None:
    """Look at everything that this gate needs, and say what mends what is wrong. Changes nothing.

    Exit code 0: nothing fails; 1: something does. Run it with sudo, so that it may look everywhere.

    Example: tapgate-edge doctor --lang en
    """
    to_stderr("critical")
    findings = examine(subject_of(config_path, Machine(), this_program(config_path)))
    told = [finding.told(lang) for finding in findings]
    failing = fails(findings)
    if as_json:
        click.echo(json.dumps({"failing": failing, "findings": told}, ensure_ascii=False))
    else:
        show(told, lang)
    sys.exit(1 if failing else 0)


def _about(text: str, lang: str) -> str:
    return "" if not text else f"（{text}）" if lang == "zh-TW" else f" ({text})"


def show(told: list[dict[str, Any]], lang: str) -> None:
    """For a person: one line a finding, and under what is not well what it means and what mends it."""
    console = Console(highlight=False, soft_wrap=True)
    width = max(len(finding["id"]) for finding in told)
    for finding in told:
        style, mark = MARKS[finding["result"]]
        about = _about(finding["about"], lang)
        colon = "：" if lang == "zh-TW" else ": "
        line = f"{finding['title']}{about}{colon}{finding['seen']}"
        console.print(f"[{style}]{mark} {finding['id']:<{width}}[/] {escape(line)}")
        if finding["means"]:
            console.print(f"    {escape(finding['means'])}")
        for command in finding["mend"]:
            console.print(f"    [bold]$ {escape(command)}[/]")
    counts = {result: sum(finding["result"] == result for finding in told) for result in MARKS}
    console.print(f"\n{SUMS[lang].format(**counts)}")
