"""Is everything whole that is held? Each stored row is checked against what vouches for it; nothing is changed."""

from collections import Counter

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from central.actions.access import audit_chain
from central.actions.action import Context, Params, Result, action
from central.actions.custody import verify_custody, verify_gates, verify_people, verify_published
from central.actions.custody.findings import Findings
from central.actions.places import publishing
from central.keys import STATEMENT_FILE
from protocol.envelope import Keyring, open_as
from protocol.errors import Refused
from protocol.messages import KeyStatement

MAX_SHOWN_OF_SQLITE = 20


class VerifyParams(Params, frozen=True):
    """Everything is checked."""


class Verified(Result, frozen=True):
    """`problems` 0 = whole. `checked`: how much of what was looked at."""

    problems: int
    checked: dict[str, int]


@action("verify", VerifyParams, writes=False)
async def verify(context: Context, _params: VerifyParams) -> Verified:
    """As of one instant, beside a running server. Each problem is handed out as it is found."""
    findings = Findings(context, Counter())
    async with context.database.read() as connection:
        if context.database.is_sqlite:
            await _sqlite(findings, connection)
        await _keys(findings)
        await verify_custody.check(findings, connection)
        await verify_people.check(findings, connection)
        await verify_gates.check(findings, connection)
        await verify_published.check(findings, connection)
        await audit_chain.check(findings, connection)
        if await publishing.is_owed(connection):
            await findings.problem("lists", "an import was cut short, lists trail the cards: run it again")
    return Verified(problems=findings.problems, checked=dict(findings.checked))


async def _sqlite(findings: Findings, connection: AsyncConnection) -> None:
    await findings.context.progress("database file", 0, 0)
    rows = (await connection.execute(text(f"PRAGMA integrity_check({MAX_SHOWN_OF_SQLITE})"))).scalars().all()
    for said in rows:
        if said != "ok":
            await findings.problem("database file", str(said))
    for row in (await connection.execute(text("PRAGMA foreign_key_check"))).all():
        await findings.problem(f"table {row[0]}", f"row {row[1]} names a row of {row[2]} that is not there")


async def _keys(findings: Findings) -> None:
    keys = findings.context.keys
    try:
        data = (keys.directory / STATEMENT_FILE).read_bytes()
        statement = open_as(KeyStatement, data, Keyring.of(keys.root_public))
    except (Refused, OSError) as error:
        await findings.problem("key statement", str(error))
        return
    stated = {key.public for key in statement.keys}
    for name, signer in (("receipt", keys.receipt), ("publish", keys.publish)):
        if signer.public not in stated:
            await findings.problem("key statement", f"does not name the {name} key that is in use")
    findings.count("key statements")
