"""Incidents with personal data, on the page Privacy: written down, who was told of them, closed."""

from central.console.page import _N, Asking, See, form
from central.console.pages.privacy import privacy


@form("/privacy/incidents", needs="incident.open", again=privacy)
async def opened(ask: Asking) -> See:
    """Something happened."""
    values = {"what": ask.form.get("incident_what", "").strip(), "device": ask.form.get("incident_device", "").strip()}
    await ask("incident.open", **values, learned=ask.form.get("incident_learned", "").strip() or "now")
    return See("/privacy", _N("It is written down; an alert follows when a day is left."))


@form("/privacy/incidents/{id}/told", needs="incident.told", again=privacy)
async def told(ask: Asking) -> See:
    """The authority, or those concerned."""
    whom, when = ask.form.get("whom", ""), ask.form.get("told_when", "").strip() or "now"
    await ask("incident.told", id=ask.path["id"], whom=whom, when=when, note=ask.form.get("told_note", "").strip())
    return See("/privacy", _N("It is written down that they were told."))


@form("/privacy/incidents/{id}/close", needs="incident.close", again=privacy)
async def closed(ask: Asking) -> See:
    """Nobody is reminded of it any more."""
    await ask("incident.close", id=ask.path["id"], why=ask.form.get("close_why", "").strip())
    return See("/privacy", _N("The incident is closed."))
