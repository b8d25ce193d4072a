"""Charts as SVG, drawn on the server: presentation attributes and classes only, so a strict content policy, dark mode
and print can all have them. Pure.

Series differ by class (`c1` to `c6`) and by a pattern or dash, so colour is never alone. Each chart has a title and a
description for screen readers; the numbers themselves belong in a table beside it. Texts come in the reader's language.
A value that is None is not known or not shown, and is drawn as a gap.
"""

import math
from collections.abc import Callable, Sequence
from html import escape
from typing import NamedTuple

WIDTH, HEIGHT = 640, 260
LEFT, RIGHT, TOP, BOTTOM = 56, 12, 12, 34
LEGEND = 22
"""Height of a line of the legend above a chart of several series."""
COLOURS = 6
DASHES = ("", "6 3", "2 3", "8 3 2 3", "1 4", "10 4")
SHADES = 5
Value = float | None


WIDE, NARROW = 11.5, 6.6
"""How wide a letter is: Chinese ones, and others."""


class Svg(str):
    """Markup that templates put in as it is."""

    def __html__(self) -> str:
        return self


class Series(NamedTuple):
    """A name for the legend, and a value for each label."""

    name: str
    values: Sequence[Value]


class Text(NamedTuple):
    """What a chart says to whom cannot see it. `id`: unlike any other on the page."""

    id: str
    title: str
    description: str = ""


def number(value: Value) -> str:
    """With thousands parted: 12,345 or 0.5."""
    if value is None:
        return "–"
    return f"{value:,.0f}" if value == int(value) else f"{value:,.1f}"


def ticks(highest: float, about: int = 4) -> list[float]:
    """Round values from 0 to at least the highest one."""
    if highest < 1e-6:
        return [0, 1]
    rough, size = highest / about, 1.0
    while size * 10 <= rough:
        size *= 10
    while size > rough:
        size /= 10
    step = next(size * factor for factor in (1, 2, 5, 10) if size * factor >= rough)
    step = max(step, 1.0) if highest >= 1 else step
    found = [0.0]
    while found[-1] < highest:
        found.append(round(len(found) * step, 9))
    return found


# --- the kinds of charts ----------------------------------------------------------------------------------------


def bars(text: Text, labels: Sequence[str], values: Sequence[Value]) -> Svg:
    """One bar a label."""
    return stacked(text, labels, [Series("", values)])


def stacked(text: Text, labels: Sequence[str], series: Sequence[Series]) -> Svg:
    """One bar a label, made of a piece for each series, the first at the bottom."""
    sums = [sum(each.values[at] or 0 for each in series) for at in range(len(labels))]
    area = _Area(labels, max(sums, default=0), series)
    parts = [area.axes(), _legend(text, series, _swatch)]
    width = max(1.0, area.step * 0.72)
    for at, label in enumerate(labels):
        base = 0.0
        for n, each in enumerate(series):
            value = each.values[at]
            if value:
                x, top, bottom = area.x(at) - width / 2, area.y(base + value), area.y(base)
                said = f"{label}: {number(value)}" if not each.name else f"{label}, {each.name}: {number(value)}"
                parts.append(_piece(text, n, (x, top, width, bottom - top), said))
                base += value
    return _svg(text, parts, height=area.height, patterns=len(series))


def across(text: Text, labels: Sequence[str], series: Sequence[Series]) -> Svg:
    """Bars from left to right, for names that are long: one a label, made of a piece for each series."""
    sums = [sum(each.values[at] or 0 for each in series) for at in range(len(labels))]
    room, high, top = 230, 26, TOP + _legend_height(series)
    highest = max(sums, default=0) or 1
    parts = [_legend(text, series, _swatch)]
    for at, label in enumerate(labels):
        y, x = top + at * high, float(room)
        parts.append(_label(room - 8, y + high / 2 + 4, _fitting(label, room - 10), "end"))
        for n, each in enumerate(series):
            value = each.values[at]
            if value:
                width = max(1.0, value / highest * (WIDTH - room - 70))
                said = f"{label}: {number(value)}" if not each.name else f"{label}, {each.name}: {number(value)}"
                parts.append(_piece(text, n, (x, y + 4, width, high - 8), said))
                x += width
        known = any(each.values[at] is not None for each in series)
        parts.append(_label(x + 6, y + high / 2 + 4, number(sums[at] if known else None), "start", "quiet"))
    return _svg(text, parts, height=top + max(1, len(labels)) * high + 6, patterns=len(series))


def line(text: Text, labels: Sequence[str], series: Sequence[Series]) -> Svg:
    """A line for each series."""
    highest = max((value for each in series for value in each.values if value is not None), default=0)
    area = _Area(labels, highest, series)
    parts = [area.axes(), _legend(text, series, _stroke)]
    for n, each in enumerate(series):
        dash = f' stroke-dasharray="{DASHES[n % len(DASHES)]}"' if n % len(DASHES) else ""
        for run in _runs(each.values):
            points = " ".join(f"{area.x(at):.1f},{area.y(value):.1f}" for at, value in run)
            shape = f'<polyline class="line {_stroke_class(n)}"{dash} points="{points}"/>'
            if len(run) == 1:
                x, y = points.split(",")
                shape = f'<circle class="{_colour(n)}" cx="{x}" cy="{y}" r="2.5"/>'
            parts.append(shape)
    return _svg(text, parts, height=area.height)


def heat(text: Text, rows: Sequence[str], columns: Sequence[str], values: Sequence[Sequence[Value]]) -> Svg:
    """A field for each row and column, the darker the more; each shows its number, too."""
    highest = max((value for row in values for value in row if value is not None), default=0)
    wide, high = (WIDTH - LEFT - RIGHT) / max(1, len(columns)), 26
    parts = []
    every = _every(columns, wide)
    for c, label in enumerate(columns):
        if c % every == 0:
            parts.append(_label(LEFT + (c + 0.5) * wide, TOP + 4, label, "middle", "quiet"))
    for r, (name, row) in enumerate(zip(rows, values, strict=True)):
        y = TOP + 12 + r * high
        parts.append(_label(LEFT - 6, y + high / 2 + 4, name, "end"))
        for c, value in enumerate(row):
            shade = 0 if not value or not highest else min(SHADES, 1 + int(value / highest * SHADES * 0.999))
            box = f'x="{LEFT + c * wide:.1f}" y="{y}" width="{wide - 1:.1f}" height="{high - 1}"'
            said = escape(f"{name} {columns[c]}: {number(value)}")
            parts.append(f'<rect class="heat h{shade}" {box}><title>{said}</title></rect>')
            if value and wide >= 20:
                x = LEFT + (c + 0.5) * wide - 0.5
                at = f'x="{x:.1f}" y="{y + high / 2 + 3}" text-anchor="middle"'
                parts.append(f'<text class="on h{shade}" {at}>{_short(value)}</text>')
    return _svg(text, parts, height=TOP + 18 + len(rows) * high)


def sparkline(text: Text, values: Sequence[Value], width: int = 120, height: int = 28) -> Svg:
    """A line of the size of a word, with its last value as a dot."""
    highest = max((value for value in values if value is not None), default=0) or 1
    step = (width - 6) / max(1, len(values) - 1)

    def point(at: int, value: float) -> tuple[float, float]:
        return 3 + at * step, height - 3 - value / highest * (height - 6)

    parts = []
    for run in _runs(values):
        points = " ".join("{:.1f},{:.1f}".format(*point(at, value)) for at, value in run)
        parts.append(f'<polyline class="line s1" points="{points}"/>')
    if values and values[-1] is not None:
        x, y = point(len(values) - 1, values[-1])
        parts.append(f'<circle class="c1" cx="{x:.1f}" cy="{y:.1f}" r="2"/>')
    return _svg(text, parts, width=width, height=height, kind="spark")


# --- what they are made of --------------------------------------------------------------------------------------


class _Area:
    """Where values and labels lie."""

    def __init__(self, labels: Sequence[str], highest: float, series: Sequence[Series]) -> None:
        self._labels, self._ticks = labels, ticks(highest)
        self._top = TOP + _legend_height(series)
        self.height = HEIGHT + max(0, self._top - TOP - LEGEND)
        self.step = (WIDTH - LEFT - RIGHT) / max(1, len(labels))

    def x(self, at: int) -> float:
        return LEFT + (at + 0.5) * self.step

    def y(self, value: float) -> float:
        return self.height - BOTTOM - value / self._ticks[-1] * (self.height - BOTTOM - self._top)

    def axes(self) -> str:
        parts = []
        for value in self._ticks:
            y = self.y(value)
            parts.append(f'<line class="axis" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>')
            parts.append(_label(LEFT - 6, y + 4, number(value), "end", "quiet"))
        every = _every(self._labels, self.step)
        for at in range(0, len(self._labels), every):
            parts.append(_label(self.x(at), self.height - BOTTOM + 16, self._labels[at], "middle", "quiet"))
        return "".join(parts)


def _width(label: str) -> float:
    return sum(WIDE if ord(letter) > 0x2E7F else NARROW for letter in label)


def _every(labels: Sequence[str], step: float) -> int:
    """Of the labels, each how many-th has room."""
    needed = max(map(_width, labels), default=0) + 6
    return max(1, math.ceil(needed / step))


def _fitting(label: str, room: float) -> str:
    """Cut where it is wider than that."""
    if _width(label) <= room:
        return label
    while label and _width(label) > room - WIDE:
        label = label[:-1]
    return label + "…"


def _runs(values: Sequence[Value]) -> list[list[tuple[int, float]]]:
    """The values without the gaps."""
    found: list[list[tuple[int, float]]] = [[]]
    for at, value in enumerate(values):
        if value is not None:
            found[-1].append((at, value))
        elif found[-1]:
            found.append([])
    return [run for run in found if run]


def _colour(n: int) -> str:
    return f"c{n % COLOURS + 1}"


def _stroke_class(n: int) -> str:
    return f"s{n % COLOURS + 1}"


def _label(x: float, y: float, text: str, anchor: str, kind: str = "") -> str:
    of_kind = f' class="{kind}"' if kind else ""
    return f'<text{of_kind} x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'


def _short(value: float) -> str:
    """Fits a field: 950, 1.2k, 15k."""
    if value < 1_000:
        return number(value)
    return f"{value / 1_000:.1f}k" if value < 10_000 else f"{value / 1_000:.0f}k"


def _piece(text: Text, n: int, box: tuple[float, float, float, float], said: str) -> str:
    at = 'x="{:.1f}" y="{:.1f}" width="{:.1f}" height="{:.1f}"'.format(*box)
    pattern = f'<rect fill="url(#{escape(text.id)}-p{n})" {at}/>' if n else ""
    return f'<g><title>{escape(said)}</title><rect class="{_colour(n)}" {at}/>{pattern}</g>'


def _places(series: Sequence[Series]) -> list[tuple[float, int]]:
    """Where each name of the legend stands: from the left, and in which line. Nowhere where there is but one."""
    found: list[tuple[float, int]] = []
    x, row = float(LEFT), 0
    for each in series if len(series) > 1 else ():
        wide = 36 + _width(each.name)
        if x > LEFT and x + wide > WIDTH - RIGHT:
            x, row = float(LEFT), row + 1
        found.append((x, row))
        x += wide
    return found


def _legend_height(series: Sequence[Series]) -> int:
    return LEGEND * (1 + max(row for _, row in _places(series))) if len(series) > 1 else 0


def _legend(text: Text, series: Sequence[Series], sign: Callable[[Text, int, float, float], str]) -> str:
    parts = []
    for n, (x, row) in enumerate(_places(series)):
        y = TOP + row * LEGEND
        parts.append(sign(text, n, x, y))
        parts.append(_label(x + 20, y + 6, _fitting(series[n].name, WIDTH - RIGHT - x - 20), "start"))
    return "".join(parts)


def _swatch(text: Text, n: int, x: float, y: float) -> str:
    return _piece(text, n, (x, y - 4, 14, 12), "")


def _stroke(_text: Text, n: int, x: float, y: float) -> str:
    dash = f' stroke-dasharray="{DASHES[n % len(DASHES)]}"' if n % len(DASHES) else ""
    at = f'x1="{x:.1f}" x2="{x + 16:.1f}" y1="{y + 2:.1f}" y2="{y + 2:.1f}"'
    return f'<line class="line {_stroke_class(n)}"{dash} {at}/>'


_HATCHES = (
    "M0 8L8 0",
    "M0 0L8 8",
    "M0 4H8",
    "M4 0V8",
    "M0 8L8 0M0 0L8 8",
)


def _patterns(text: Text, number_of: int) -> str:
    found = []
    for n in range(1, number_of):
        path = f'<path class="hatch" d="{_HATCHES[(n - 1) % len(_HATCHES)]}"/>'
        size = 'width="8" height="8" patternUnits="userSpaceOnUse"'
        found.append(f'<pattern id="{escape(text.id)}-p{n}" {size}>{path}</pattern>')
    return f"<defs>{''.join(found)}</defs>" if found else ""


def _svg(
    text: Text,
    parts: Sequence[str],
    *,
    width: int = WIDTH,
    height: int = HEIGHT,
    patterns: int = 0,
    kind: str = "chart",
) -> Svg:
    named = f"{escape(text.id)}-t {escape(text.id)}-d" if text.description else f"{escape(text.id)}-t"
    head = f'<title id="{escape(text.id)}-t">{escape(text.title)}</title>'
    if text.description:
        head += f'<desc id="{escape(text.id)}-d">{escape(text.description)}</desc>'
    size = f'viewBox="0 0 {width} {height}" width="{width}" height="{height}"'
    begin = f'<svg class="{f"chart {kind}".strip()}" role="img" aria-labelledby="{named}" {size} xmlns="http://www.w3.org/2000/svg">'
    return Svg(f"{begin}{head}{_patterns(text, patterns)}{''.join(parts)}</svg>")
