"""Charts: well-formed, safe under a strict content policy, and readable without seeing them."""

import re
import xml.etree.ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from central.console.charts import Series, Svg, Text, across, bars, heat, line, number, sparkline, stacked, ticks

SVG = "{http://www.w3.org/2000/svg}"
TEXT = Text("chart-1", "Visits <by> day", 'busiest: "Monday" & Tuesday')
values = st.lists(st.one_of(st.none(), st.floats(0, 1e9), st.integers(0, 10**9)), min_size=0, max_size=40)


def drawn(svg: Svg) -> ET.Element:
    root = ET.fromstring(svg)
    assert root.tag == f"{SVG}svg"
    return root


def every(values: list[float | None]) -> list[Svg]:
    labels = [f"<{n}>" for n in range(len(values))]
    two = [Series("a&b", values), Series("長者", values)]
    return [
        bars(TEXT, labels, values),
        stacked(TEXT, labels, two),
        across(TEXT, labels, two),
        line(TEXT, labels, two),
        heat(TEXT, ["一", "二"], labels, [values, values]),
        sparkline(TEXT, values),
    ]


@given(values)
def test_whatever_the_values_it_is_drawn_within_its_frame(values: list[float | None]) -> None:
    for svg in every(values):
        root = drawn(svg)
        wide, high = map(float, root.attrib["viewBox"].split()[2:])
        for box in root.iter(f"{SVG}rect"):
            x, y, width, height = (float(box.attrib[name]) for name in ("x", "y", "width", "height"))
            assert -0.1 <= x <= x + width <= wide + 0.1
            assert -0.1 <= y <= y + height <= high + 0.1
        for shape in root.iter(f"{SVG}polyline"):
            for point in shape.attrib["points"].split():
                x, y = map(float, point.split(","))
                assert -0.1 <= x <= wide + 0.1
                assert -0.1 <= y <= high + 0.1


def test_every_chart_says_its_title_and_description_and_has_neither_style_nor_script() -> None:
    for svg in every([1, None, 3.5]):
        root = drawn(svg)
        assert root.attrib["role"] == "img"
        title, description = root.attrib["aria-labelledby"].split()
        said = {part.attrib["id"]: part.text for part in root if "id" in part.attrib}
        assert (said[title], said[description]) == (TEXT.title, TEXT.description)
        assert not re.search(r"<style|style=|<script|\son\w+=|href", svg)
        assert svg.__html__() is svg


def test_series_differ_by_more_than_colour() -> None:
    root = drawn(stacked(TEXT, ["Mon"], [Series(name, [1.0]) for name in "abcdef"]))
    pieces = [group for group in root.iter(f"{SVG}g") if (group.findtext(f"{SVG}title") or "").startswith("Mon")]
    fills = [tuple(part.attrib.get("fill", part.attrib.get("class")) for part in group)[1:] for group in pieces]
    assert len(set(fills)) == 6
    used = {fill for group in fills for fill in group if fill and fill.startswith("url")}
    assert used == {f"url(#{pattern.attrib['id']})" for pattern in root.iter(f"{SVG}pattern")}
    root = drawn(line(TEXT, ["a", "b"], [Series(name, [1.0, 2.0]) for name in "abcdef"]))
    dashes = [shape.attrib.get("stroke-dasharray", "") for shape in root.iter(f"{SVG}polyline")]
    assert len(set(dashes)) == 6


def test_what_is_not_known_is_a_gap() -> None:
    root = drawn(line(TEXT, list("abcde"), [Series("", [1, 2, None, 4, 5])]))
    assert len(list(root.iter(f"{SVG}polyline"))) == 2
    assert "–" in [part.text for part in drawn(across(TEXT, ["a"], [Series("", [None])])).iter(f"{SVG}text")]


def test_labels_never_stand_over_each_other() -> None:
    days = [f"09-{day:02}" for day in range(1, 31)] * 3
    root = drawn(bars(TEXT, days, [1.0] * 90))
    places = [float(part.attrib["x"]) for part in root.iter(f"{SVG}text") if "-" in (part.text or "")]
    assert min(b - a for a, b in zip(places, places[1:], strict=False)) > 33


@pytest.mark.parametrize(
    ("highest", "expected"), [(0, [0, 1]), (1, [0, 1]), (7, [0, 2, 4, 6, 8]), (95, [0, 50, 100]), (0.4, None)]
)
def test_axes_have_round_values(highest: float, expected: list[float] | None) -> None:
    found = ticks(highest)
    assert found[-1] >= highest
    assert expected is None or found == expected


def test_numbers_are_told_as_people_write_them() -> None:
    assert [number(value) for value in (None, 0, 1234567, 2.25)] == ["–", "0", "1,234,567", "2.2"]
