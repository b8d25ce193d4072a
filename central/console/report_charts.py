"""Which chart shows which report, with its words."""

from collections.abc import Sequence
from typing import Any

from central.console.charts import Series, Svg, Text, across, heat, line, stacked
from central.console.gate_states import BADGES
from central.console.page import _N
from central.console.rendering import reason_text
from central.console.words import say

WEEKDAYS = (_N("Mon"), _N("Tue"), _N("Wed"), _N("Thu"), _N("Fri"), _N("Sat"), _N("Sun"))
MOST_BARS = 62
"""More are drawn as a line."""
MOST_ACROSS = 40
MOST_REASONS = 5
STATES = ("online", "behind", "silent", "alarm")


def _text(lang: str, id_: str, title: str) -> Text:
    return Text(id_, say(lang, title), say(lang, "The table below says the same in numbers."))


def visits_chart(lang: str, by: str, labels: Sequence[str], series: Sequence[Series]) -> Svg | None:
    """Names from left to right, times as bars, many times as lines."""
    text = _text(lang, "visits", _N("Visits"))
    if not labels:
        return None
    if by in ("venue", "all"):
        if by == "all" and len(series) > 1:  # parts beside each other: one sum of them says nothing
            return across(text, [each.name for each in series], [Series("", [each.values[0] for each in series])])
        return across(text, labels[:MOST_ACROSS], [Series(s.name, s.values[:MOST_ACROSS]) for s in series])
    short = [label[5:] if by == "day" else label for label in labels]
    return (line if len(labels) > MOST_BARS else stacked)(text, short, series)


def week_chart(lang: str, week: Sequence[Sequence[float]]) -> Svg:
    """Hours of an average week."""
    text = _text(lang, "week", _N("Visits of an average week"))
    rows = [say(lang, day) for day in WEEKDAYS]
    return heat(text, rows, [f"{hour:02d}" for hour in range(24)], [[round(value) for value in row] for row in week])


def reasons_chart(lang: str, by: str, labels: Sequence[str], found: Any) -> Svg | None:
    """The most frequent reasons, and one piece for all others."""
    text = _text(lang, "denials", _N("Denied taps"))
    if not found.rows:
        return None
    if by == "reason":
        return across(text, labels[:MOST_ACROSS], [Series("", [row.denied for row in found.rows[:MOST_ACROSS]])])
    codes = list(found.reasons)[:MOST_REASONS]
    series = [Series(short_reason(lang, code), [row.reasons.get(code, 0) for row in found.rows]) for code in codes]
    if len(found.reasons) > MOST_REASONS:
        rest = [row.denied - sum(row.reasons.get(code, 0) for code in codes) for row in found.rows]
        series.append(Series(say(lang, _N("Others")), rest))
    if by in ("gate", "venue"):
        return across(text, labels[:MOST_ACROSS], [Series(s.name, s.values[:MOST_ACROSS]) for s in series])
    short = [label[5:] if by == "day" else label for label in labels]
    return (line if len(labels) > MOST_BARS else stacked)(text, short, series)


def short_reason(lang: str, code: str) -> str:
    """Its first sentence, without the advice to the person at the gate."""
    return reason_text(lang, code).split("。")[0].split(". ")[0]


def devices_chart(lang: str, days: Sequence[Any]) -> Svg | None:
    """Of the time that is known, in percent."""
    text = _text(lang, "devices", _N("Time of all devices together, in percent"))
    known = [sum(day.states_ms.get(state, 0) for state in STATES) for day in days]
    if not any(known):
        return None
    series = [
        Series(
            say(lang, BADGES[state][1]),
            [day.states_ms.get(state, 0) / of * 100 if of else None for day, of in zip(days, known, strict=True)],
        )
        for state in STATES
    ]
    return stacked(text, [day.day[5:] for day in days], series)
