"""A library system out of somebody else's SIP2 server (`pysip2`), run by the interpreter of an environment of its own.

    .venv-sip2/bin/python tests/support/sip2_peer.py utf-8      # prints its port; ends with its standard input

Only that environment has `pysip2`; nothing here is imported by the tests.
"""

import sys

import anyio
from pysip2 import (
    CHECKIN,
    CHECKOUT,
    LOGIN,
    PATRON_INFORMATION,
    PATRON_STATUS,
    CheckinResponse,
    CheckoutResponse,
    LoginResponse,
    PatronInformationResponse,
    PatronStatusResponse,
    SIP2Server,
)

FINE = " " * 14
PATRONS = {
    "P1": {"patron_status": FINE, "hold_items_count": "0002", "overdue_items_count": "0000", "valid_patron": "Y"},
    "P2": {"patron_status": "    Y" + " " * 9, "hold_items_count": "0000", "overdue_items_count": "0001"},
    "P3": {"patron_status": FINE, "hold_items_count": "0000", "overdue_items_count": "0000", "valid_patron": None},
}
"""P2 lost the card, which still counts as valid; of P3 it is not said whether it does."""
TITLES = {"B1": "紅樓夢" if sys.argv[1] != "latin-1" else "Müller's book"}
loans: dict[str, str] = {}
app = SIP2Server(institution_id="TC", encoding=sys.argv[1], login_required=True, error_detection="required")


@app.route(LOGIN)
async def login(asked, _context):
    return LoginResponse(ok="1" if asked.login_password == "geheim" else "0")


def about(asked, context, found):
    known = {"patron_status": "Y" + " " * 13, "valid_patron": "N"} if found is None else {"valid_patron": "Y"} | found
    return known | {
        "language": asked.language,
        "transaction_date": context.now_18(),
        "institution_id": "TC",
        "patron_identifier": "2" + asked.patron_identifier,  # the library's own number
        "personal_name": "Jose\u0301" if sys.argv[1] == "utf-8" else "X",
    }


@app.route(PATRON_STATUS)
async def status(asked, context):
    said = about(asked, context, PATRONS.get(asked.patron_identifier))
    return PatronStatusResponse(**{name: value for name, value in said.items() if not name.endswith("count")})


@app.route(PATRON_INFORMATION)
async def information(asked, context):
    counts = ("hold_items", "overdue_items", "charged_items", "fine_items", "recall_items", "unavailable_holds")
    zeros = {f"{name}_count": "0000" for name in counts}
    return PatronInformationResponse(**zeros | about(asked, context, PATRONS.get(asked.patron_identifier)))


@app.route(CHECKOUT)
async def checkout(asked, context):
    item = asked.item_identifier
    ok = item in TITLES and item not in loans and asked.patron_identifier in PATRONS
    if ok:
        loans[item] = asked.patron_identifier
    return CheckoutResponse(
        ok="1" if ok else "0",
        renewal_ok="N",
        magnetic_media="U",
        desensitize="Y" if ok else "N",
        transaction_date=context.now_18(),
        institution_id="TC",
        patron_identifier=asked.patron_identifier,
        item_identifier=item,
        title_identifier=TITLES.get(item, ""),
        due_date="2026-12-20" if ok else "",
        screen_message=() if ok else ("not for loan",),
    )


@app.route(CHECKIN)
async def checkin(asked, context):
    ok = loans.pop(asked.item_identifier, None) is not None
    return CheckinResponse(
        ok="1" if ok else "0",
        resensitize="Y",
        magnetic_media="U",
        alert="N",
        transaction_date=context.now_18(),
        institution_id="TC",
        item_identifier=asked.item_identifier,
        permanent_location="main",
        title_identifier=TITLES.get(asked.item_identifier, ""),
    )


async def main():
    async with app.start() as port:
        print(port, flush=True)
        await anyio.to_thread.run_sync(sys.stdin.read, abandon_on_cancel=True)


anyio.run(main)
