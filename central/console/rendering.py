"""Templates into HTML: the words of a language, numbers and times as people read them, everything escaped."""

import datetime as dt
import hashlib
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

import jinja2
from jinja2 import Environment
from markupsafe import Markup, escape

from central.console.failure_words import in_words
from central.console.words import say
from protocol.reasons import TEXTS, Reason
from protocol.time_zones import CITY

FOLDER = Path(__file__).parent
STATIC = FOLDER / "static"
PREFIX = "/console"
KIB = 1024


@cache
def environment(lang: str) -> Environment:
    """One for each language; an unknown variable in a template is an error, never an empty place."""
    env = Environment(
        loader=jinja2.FileSystemLoader(FOLDER / "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        extensions=["jinja2.ext.i18n", "jinja2.ext.loopcontrols"],
    )
    env.install_gettext_callables(  # type: ignore[attr-defined]
        lambda text: say(lang, text), lambda one, many, n: say(lang, one if n == 1 else many), newstyle=True
    )
    env.filters.update(
        when=when,
        day=day,
        ago=lambda ms, now_ms: ago(lang, ms, now_ms),
        duration=lambda ms: duration(lang, ms),
        size=size,
        number=number,
        short=short,
        reason_text=lambda code: reason_text(lang, code),
        in_words=lambda message: in_words(lang, message),
    )
    env.globals.update(url=url, static=static, lang=lang)
    return env


def render(lang: str, template: str, data: dict[str, Any]) -> str:
    """A whole page."""
    return environment(lang).get_template(template).render(data)


def render_block(lang: str, template: str, block: str, data: dict[str, Any]) -> str:
    """One block of a page."""
    found = environment(lang).get_template(template)
    context = found.new_context(data)
    next(iter(found.root_render_func(context)), None)  # to its first line: only then are macros from elsewhere known
    return "".join(found.blocks[block](context))


def url(path: str, **query: Any) -> str:
    """An address within the console; what is None or empty is left out of the query."""
    given = {name: value for name, value in query.items() if value not in (None, "", False)}
    return PREFIX + path + (f"?{urlencode(given, doseq=True)}" if given else "")


@cache
def static(name: str) -> str:
    """The address of a static file; it changes when the file does, so browsers may keep it for ever."""
    digest = hashlib.sha256((STATIC / name).read_bytes()).hexdigest()[:12]
    return f"{PREFIX}/static/{name}?v={digest}"


# --- filters ----------------------------------------------------------------------------------------------------


def when(at_ms: int | None, zone: str = "", seconds: bool = True) -> Markup:
    """A moment, local to a venue."""
    if not at_ms:
        return Markup("–")
    local = _local(at_ms, zone)
    text = local.strftime("%Y-%m-%d %H:%M:%S" if seconds else "%Y-%m-%d %H:%M")
    return Markup('<time datetime="{}">{}</time>').format(local.isoformat(timespec="milliseconds"), text)


def day(at_ms: int | None, zone: str = "") -> Markup:
    """The day of a moment, local to a venue."""
    if not at_ms:
        return Markup("–")
    text = _local(at_ms, zone).date().isoformat()
    return Markup('<time datetime="{}">{}</time>').format(text, text)


def _local(at_ms: int, zone: str) -> dt.datetime:
    return dt.datetime.fromtimestamp(at_ms / 1000, ZoneInfo(zone) if zone else CITY)


def duration(lang: str, ms: int | None) -> str:
    """A length of time in its two largest units."""
    if ms is None:
        return "–"
    sign, left = ("−" if ms < 0 else ""), abs(ms)
    if left < 1_000:
        return f"{sign}{left} {say(lang, 'ms')}"
    parts: list[str] = []
    for unit, unit_ms in (("d", 86_400_000), ("h", 3_600_000), ("min", 60_000), ("s", 1_000)):
        count, left = divmod(left, unit_ms)
        if count or parts:
            parts.append(f"{count} {say(lang, unit)}")
        if len(parts) == 2:
            break
    return sign + " ".join(part for part in parts if not part.startswith("0 "))


def ago(lang: str, at_ms: int | None, now_ms: int) -> Markup:
    """How long before now, with the moment itself for who wants to know."""
    if not at_ms:
        return Markup("–")
    local = _local(at_ms, "").isoformat(timespec="seconds")
    text = say(lang, "%(time)s ago") % {"time": duration(lang, max(0, now_ms - at_ms) // 1_000 * 1_000 or 0)}
    return Markup('<time datetime="{}" title="{}">{}</time>').format(local, local, text)


def size(count: int | None) -> str:
    """Bytes."""
    if count is None:
        return "–"
    amount = float(count)
    for unit in ("B", "KiB", "MiB", "GiB", "TiB"):
        if amount < KIB or unit == "TiB":
            return f"{amount:.0f} {unit}" if amount >= 10 or unit == "B" else f"{amount:.1f} {unit}"
        amount /= KIB
    raise AssertionError


def number(count: float | None) -> str:
    """With thousands apart."""
    return "–" if count is None else f"{count:,}"


def short(text: str, digits: int = 8) -> Markup:
    """The beginning of a long hex name, the whole of it for who wants to copy it."""
    if len(text) <= digits + 2:
        return escape(text)
    return Markup('<span class="hex" title="{}">{}…</span>').format(text, text[:digits])


def reason_text(lang: str, code: str) -> str:
    """What a reason code means, in one sentence; the code itself where this version does not know it."""
    try:
        return TEXTS[Reason(code)][0 if lang == "zh-TW" else 1]
    except (ValueError, KeyError):
        return code
