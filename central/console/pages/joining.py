"""A device joins a gate: an invitation as a QR code for ten minutes, then words that must be the same on both sides."""

import io

import segno
from markupsafe import Markup

from central.console.page import _N, Asking, Page, See, form, page

TOKEN_MS = 600_000
"""To the first use (`central.enrolment`)."""


@form("/gates/{gate}/invite", needs="device.invite")
async def invite(ask: Asking) -> Page:
    """The join token is shown this once: it stands nowhere but on this page."""
    made = await ask("device.invite", gate=ask.path["gate"])
    return Page(
        "invited.html",
        gate=ask.path["gate"],
        token=made.token,
        qr=qr(made.token),
        until_ms=ask.now_ms + TOKEN_MS,
    )


@page("/gates/{gate}/joining", needs="device.list")
async def joining(ask: Asking) -> Page:
    """Who asked to join: live, so that it appears as the device does."""
    listed = await ask("device.list", gate=ask.path["gate"])
    return Page("joining.html", live=True, every_s=1.0, gate=ask.path["gate"], devices=listed.devices)


@form("/gates/{gate}/joining", needs="device.confirm", again=joining)
async def confirm(ask: Asking) -> See:
    """The words as somebody read them off the device."""
    await ask("device.confirm", device=ask.form.get("device", ""), words=ask.form.get("words", "").strip())
    return See(f"/gates/{ask.path['gate']}/joining", said=_N("The device is confirmed: data flows."))


def qr(text: str) -> Markup:
    """The text as a picture to be held to a camera; black on white, whatever the colours of the page."""
    out = io.BytesIO()
    made = segno.make(text, error="m", micro=False)
    made.save(out, kind="svg", xmldecl=False, svgns=True, svgclass="qr", lineclass=None, omitsize=True, border=2)
    return Markup(out.getvalue().decode())  # noqa: S704 - made of modules, not of text
