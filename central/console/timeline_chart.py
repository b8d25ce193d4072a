"""A device's timeline as a drawing: an epoch a row, time from left to right; a gap is the loudest thing in it. Pure.

Kinds differ by shape and pattern as well as by colour. The same stands in a table beside it.
"""

from collections.abc import Mapping, Sequence
from html import escape
from typing import NamedTuple, Protocol

from central.console.charts import Svg, Text

WIDTH, LEFT, RIGHT, TOP, ROW, BOTTOM = 960, 132, 16, 52, 50, 26
BAR = 14
LEAST, LEAST_MISSING = 3.0, 12.0
"""Pixels: what lasted a second must be seen beside what lasted a week."""
CLASSES = {"live": "good", "queued": "warn", "untrusted": "off", "forked": "bad", "missing": "bad"}
ORDER = ("live", "queued", "untrusted", "forked", "missing")


class Drawn(Protocol):
    """What a run says (`timeline_runs.Run`)."""

    @property
    def kind(self) -> str: ...
    @property
    def first(self) -> int: ...
    @property
    def through(self) -> int: ...
    @property
    def from_ms(self) -> int: ...
    @property
    def until_ms(self) -> int: ...
    @property
    def received_until_ms(self) -> int: ...
    @property
    def resent(self) -> int: ...
    @property
    def delay_ms(self) -> int: ...


class Row(NamedTuple):
    """An epoch. `marks`: when evidence of it was kept, and what that is called."""

    label: str
    runs: Sequence[Drawn]
    marks: Sequence[tuple[int, str]] = ()


class Span(NamedTuple):
    """From when to when is drawn, and the moments that are named below."""

    since_ms: int
    until_ms: int
    ticks: Sequence[tuple[int, str]] = ()

    def x(self, at_ms: int) -> float:
        """Where a moment lies; what is outside lies at the edge."""
        part = (at_ms - self.since_ms) / max(1, self.until_ms - self.since_ms)
        return LEFT + min(1.0, max(0.0, part)) * (WIDTH - LEFT - RIGHT)


def timeline(text: Text, rows: Sequence[Row], span: Span, words: Mapping[str, str]) -> Svg:
    """`words`: what each kind of run is called, and `resent`, `evidence`."""
    height = TOP + max(1, len(rows)) * ROW + BOTTOM
    parts = [_legend(text, words), *(_tick(span, at_ms, label, height) for at_ms, label in span.ticks)]
    for at, row in enumerate(rows):
        y = TOP + at * ROW
        parts.append(f'<line class="axis" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y + ROW}" y2="{y + ROW}"/>')
        parts.append(_said(LEFT - 8, y + ROW / 2 + 4, row.label, "end"))
        parts += [_run(text, span, run, y, words) for run in sorted(row.runs, key=_is_missing)]
        parts += [_mark(span.x(at_ms), y + ROW - 10, said) for at_ms, said in row.marks]
    return _svg(text, parts, height)


def _is_missing(run: Drawn) -> bool:
    """What is missing is drawn last, over everything."""
    return run.kind == "missing"


def _run(text: Text, span: Span, run: Drawn, y: float, words: Mapping[str, str]) -> str:
    begins = span.x(run.from_ms)
    least = LEAST_MISSING if run.kind == "missing" else LEAST
    width = max(least, span.x(run.until_ms) - begins)
    begins = min(begins, WIDTH - RIGHT - width)
    said = f"{words[run.kind]}: {run.first}–{run.through}"
    if run.resent:
        said += f", {words['resent']}: {run.resent}"
    shapes = _shape(text, run.kind, begins, y + 18, width)
    if run.kind == "missing":
        shapes += _said(begins + width / 2, y + 11, f"! {run.through + 1 - run.first}", "middle", "alarm")
    elif run.kind == "queued":  # how long it waited: from the last event to its arrival
        line = f'x1="{begins + width:.1f}" x2="{span.x(run.received_until_ms):.1f}" y1="{y + 25}" y2="{y + 25}"'
        shapes += f'<line class="edge" stroke-dasharray="3 3" {line}/>'
    if run.resent:
        shapes += _said(begins - 3, y + 30, f"↻ {run.resent}", "end", "quiet")
    return f"<g><title>{escape(said)}</title>{shapes}</g>"


def _shape(text: Text, kind: str, x: float, y: float, width: float) -> str:
    """A missing run is a tall hollow box, a forked one stands below the others."""
    if kind == "missing":
        box = f'x="{x:.1f}" y="{y - 4:.1f}" width="{width:.1f}" height="{BAR + 8}"'
        return f'<rect class="gap-box" fill="url(#{escape(text.id)}-missing)" stroke-dasharray="4 2" {box}/>'
    top, high = (y + BAR + 2, 8) if kind == "forked" else (y, BAR)
    box = f'x="{x:.1f}" y="{top:.1f}" width="{width:.1f}" height="{high}"'
    shape = f'<rect class="{CLASSES[kind]}" {box}/>'
    return shape if kind == "live" else shape + f'<rect fill="url(#{escape(text.id)}-{kind})" {box}/>'


def _mark(x: float, y: float, said: str) -> str:
    points = f"{x - 5:.1f},{y + 8:.1f} {x + 5:.1f},{y + 8:.1f} {x:.1f},{y - 1:.1f}"
    return f'<g><title>{escape(said)}</title><polygon class="warn" points="{points}"/></g>'


def _tick(span: Span, at_ms: int, label: str, height: int) -> str:
    x = span.x(at_ms)
    line = f'<line class="axis" x1="{x:.1f}" x2="{x:.1f}" y1="{TOP - 6}" y2="{height - BOTTOM + 4}"/>'
    return line + _said(x, height - 8, label, "middle", "quiet")


def _legend(text: Text, words: Mapping[str, str]) -> str:
    parts, x = [], 8.0
    for kind in ORDER:
        parts.append(_shape(text, kind, x, 10 if kind != "forked" else -2, 18))
        parts.append(_said(x + 24, 22, words[kind], "start"))
        x += 46 + _width(words[kind])
    parts.append(_mark(x + 8, 13, words["evidence"]))
    parts.append(_said(x + 20, 22, words["evidence"], "start"))
    x += 42 + _width(words["evidence"])
    return "".join([*parts, _said(x, 22, f"↻ {words['resent']}", "start")])


def _width(text: str) -> float:
    return sum(12.5 if ord(letter) > 0x2E7F else 6.8 for letter in text)


def _said(x: float, y: float, text: str, anchor: str, kind: str = "") -> str:
    of_kind = f' class="{kind}"' if kind else ""
    return f'<text{of_kind} x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'


_HATCHES = {"queued": "M0 8L8 0", "untrusted": "M4 0V8", "forked": "M0 0L8 8"}


def _svg(text: Text, parts: Sequence[str], height: int) -> Svg:
    of = escape(text.id)
    size = 'width="8" height="8" patternUnits="userSpaceOnUse"'
    hatches = [
        f'<pattern id="{of}-{kind}" {size}><path class="hatch" d="{path}"/></pattern>'
        for kind, path in _HATCHES.items()
    ]
    hatches.append(f'<pattern id="{of}-missing" {size}><path class="gap-line" d="M0 8L8 0"/></pattern>')
    head = f'<title id="{of}-t">{escape(text.title)}</title><desc id="{of}-d">{escape(text.description)}</desc>'
    box = f'viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}"'
    begin = f'<svg class="chart timeline" role="img" aria-labelledby="{of}-t {of}-d" {box} xmlns="http://www.w3.org/2000/svg">'
    return Svg(f"{begin}{head}<defs>{''.join(hatches)}</defs>{''.join(parts)}</svg>")
