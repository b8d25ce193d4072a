"""What the demonstration puts in the place of other people's systems does what theirs have to do."""

import base64
import json
import time
from datetime import datetime

import aiohttp

from central.neighbours.events.signing import headers, new_secret, shown
from central.neighbours.settings import Library, library_fault
from central.neighbours.sip2.line import opened, tls_context
from central.neighbours.sip2.meaning import Standing, loan_of, patron_of
from central.neighbours.sip2.requests import checkin, checkout, patron_information
from deploy.demo.library import TITLES, toy_library
from deploy.demo.receiver import TOLERANCE_S, receiving

NOW = datetime(2026, 11, 29, 12, 0, 0)


async def test_the_toy_library_lends_a_book_once_and_takes_it_back() -> None:
    async with toy_library() as toy:
        library = Library(id="toy", domain="library", host="127.0.0.1", port=toy.port, tls="none")
        assert library_fault(library) == ""
        toy.holds.add("L1")
        async with opened(library, "", tls_context) as line:
            first = loan_of(await line.ask(checkout("", "L1", "T0001", NOW)), "T0001")
            second = loan_of(await line.ask(checkout("", "L2", "T0001", NOW)), "T0001")
            stands = [patron_of(await line.ask(patron_information("", each, NOW)), NOW.date()) for each in ("L1", "L2")]
            back = [loan_of(await line.ask(checkin("", "", "T0001", NOW)), "T0001").done for _ in range(2)]
            no_such = loan_of(await line.ask(checkout("", "L1", "T0009", NOW)), "T0009")
    assert (first.done, first.title, first.due[-5:]) == (True, TITLES["T0001"], "23:59")
    assert (second.done, second.due) == (False, "")
    assert [(each.standing, each.hold_ready) for each in stands] == [(Standing.GOOD, True), (Standing.GOOD, False)]
    assert back == [True, False]
    assert no_such.done is False


async def test_the_receiver_takes_what_is_signed_for_it_and_nothing_else() -> None:
    secret, body, now_s = new_secret(), json.dumps({"id": "e1"}).encode(), int(time.time())
    old_s = now_s - TOLERANCE_S - 60
    good = headers("d1", now_s, body, [new_secret(), secret])
    async with receiving() as receiver, aiohttp.ClientSession() as session:

        async def post(said: dict[str, str], sent: bytes = body) -> int:
            async with session.post(receiver.url, data=sent, headers=said) as answer:
                return answer.status

        assert await post(good) == 503, "before the secret is known"
        receiver.secret = shown(secret)
        assert base64.b64decode(receiver.secret.removeprefix("whsec_")) == secret
        assert [await post(good), await post(good)] == [204, 204]
        assert receiver.events == {"e1": {"id": "e1"}}
        forged = [headers("d1", now_s, body, [new_secret()]), headers("d1", old_s, body, [secret]), {}]
        assert [await post(each) for each in forged] == [401, 401, 401]
        assert await post(good, body + b" ") == 401
        assert receiver.refused == 4
