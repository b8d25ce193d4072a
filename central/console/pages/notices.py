"""Notices: what people are told before they agree, to read out, to print, and to write anew."""

from typing import Any

import msgspec

from central.console.page import _N, Asking, Page, See, form, page

ITEMS = {
    "collector": _N("Who collects"),
    "purpose": _N("What for"),
    "categories": _N("Which data"),
    "use": _N("How long, where, by whom and how it is used"),
    "rights": _N("Your rights"),
    "refusal": _N("If you do not agree"),
}
"""What each of the six is called, in the order of the law."""
LANGUAGES = {"zh": "中文", "en": "English"}
"""Each by its own name, as the two halves of a notice are called."""
LONGEST = 2_000


@page("/privacy/notices/{purpose}", needs="notice.show")
async def notice(ask: Asking) -> Page:
    """As people are told it."""
    named = await _named(ask)
    if named["purpose"] is not None and not named["purpose"].notice:
        return Page("privacy_notice.html", shown=None, told=None, items=ITEMS, **named)
    shown = await ask("notice.show", purpose=ask.path["purpose"], version=ask.query.number("version", 0))
    told = shown.notice.en if ask.lang == "en" else shown.notice.zh
    return Page("privacy_notice.html", shown=shown, told=told, items=ITEMS, **named)


@page("/privacy/notices/{purpose}/new", needs="notice.put")
async def notice_form(ask: Asking) -> Page:
    """What was told last, to be changed; empty where nothing was told yet."""
    named = await _named(ask)
    newest = named["purpose"].notice if named["purpose"] else 0
    held = (await ask("notice.show", purpose=ask.path["purpose"])).notice if newest else None
    texts = msgspec.to_builtins(held) if held else {lang: dict.fromkeys(ITEMS, "") for lang in LANGUAGES}
    return Page(
        "privacy_notice_new.html",
        texts=texts,
        version=newest + 1,
        items=ITEMS,
        languages=LANGUAGES,
        longest=LONGEST,
        **named,
    )


@form("/privacy/notices/{purpose}", needs="notice.put", again=notice_form)
async def notice_put(ask: Asking) -> See:
    """What is told from now on."""
    purpose = ask.path["purpose"]
    before = await _named(ask)
    text = {lang: {item: _written(ask, lang, item) for item in ITEMS} for lang in LANGUAGES}
    shown = await ask("notice.put", purpose=purpose, notice=text)
    is_new = before["purpose"] is None or shown.version > before["purpose"].notice
    said = (
        _N("From now on people are told version %(version)s.") if is_new else _N("Version %(version)s says so already.")
    )
    return See(f"/privacy/notices/{purpose}", said, {"version": shown.version})


def _written(ask: Asking, lang: str, item: str) -> str:
    return ask.form.get(f"{lang}_{item}", "").replace("\r\n", "\n").strip()


async def _named(ask: Asking) -> dict[str, Any]:
    """The purpose, and what it is called; None where there is none, which the actions say."""
    found = {each.id: each for each in (await ask("purpose.list")).purposes}.get(ask.path["purpose"])
    title = ask.path["purpose"] if found is None else found.title_en if ask.lang == "en" else found.title_zh
    return {"purpose": found, "purpose_title": title}
