"""Cards issued or bound again in bulk: what followed, and taking a batch back."""

from central.console.page import _N, Answer, Asking, Page, See, form, page

PER_PAGE = 50
TAPS_SHOWN = 50
KINDS = {"issue": _N("Cards issued in bulk"), "rebind": _N("Cards bound again")}


@page("/batches", needs="card.batch.list")
async def batches_page(ask: Asking) -> Answer:
    """The newest first."""
    found = await ask("card.batch.list", after=ask.query.get("after", ""), limit=PER_PAGE)
    return Page("batches.html", found=found, kinds=KINDS)


@page("/batches/{name}", needs="card.batch.show")
async def batch_page(ask: Asking) -> Answer:
    """Taps that are somebody else's since."""
    return await _shown(ask, None)


@form("/batches/{name}/undo", needs="card.batch.undo", again=batch_page)
async def batch_undone(ask: Asking) -> Answer:
    """First what it would do, then, when that was seen, in truth."""
    applied = ask.form.get("apply") == "true"
    done = await ask("card.batch.undo", name=ask.path["name"], apply=applied)
    if applied:
        return See(f"/batches/{ask.path['name']}", _N("The batch is taken back."))
    return await _shown(ask, done)


async def _shown(ask: Asking, plan: object) -> Page:
    kept = list(ask.items)
    effects = await ask("card.batch.show", name=ask.path["name"])
    taps = ask.items[:TAPS_SHOWN]
    return Page("batch.html", effects=effects, taps=taps, plan=plan, kept=kept, kinds=KINDS)
