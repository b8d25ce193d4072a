"""Is the audit log as it was written? Each row is hashed again, from the first.

A row that was altered, left out or put in between breaks the chain at its place; one whose content was struck, since
a person was erased, does not. Rows cut off at the end leave no
trace in what remains: whoever wants to know keeps the newest number and its head elsewhere, and compares.
"""

from collections import Counter

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from central.access.audit import FIRST_HEAD, chained, head_of, is_about
from central.actions.action import Context, Params, Result, action
from central.actions.custody.findings import Findings
from central.store.schema import audit

SLICE = 5_000
WHERE = "audit log"


class AuditVerifyParams(Params, frozen=True):
    """All of it."""


class AuditVerified(Result, frozen=True):
    """`problems` 0 = whole. `newest` and its `head`: to be kept elsewhere, and found again next time."""

    problems: int
    rows: int
    newest: int
    head: str


@action("audit.verify", AuditVerifyParams, writes=False)
async def audit_verify(context: Context, _params: AuditVerifyParams) -> AuditVerified:
    """Check the chain of the whole audit log. Each problem is handed out as it is found."""
    findings = Findings(context, Counter())
    async with context.database.read() as connection:
        newest, head = await check(findings, connection)
    rows = findings.checked["audit rows"]
    return AuditVerified(problems=findings.problems, rows=rows, newest=newest, head=head.hex())


async def check(findings: Findings, connection: AsyncConnection) -> tuple[int, bytes]:
    """The newest number and its head as they stand."""
    number, head = 0, FIRST_HEAD
    query = select(audit).order_by(audit.c.number).limit(SLICE)
    while rows := (await connection.execute(query.where(audit.c.number > number))).all():
        for row in rows:
            if row.number != number + 1:
                await findings.problem(WHERE, f"rows {number + 1} to {row.number - 1} are missing")
            elif row.head != head_of(head, chained(row)) or not is_about(row):
                await findings.problem(WHERE, f"row {row.number} is not as it was written, or the one before it")
            number, head = row.number, row.head
        findings.count("audit rows", len(rows))
        await findings.context.progress(WHERE, number, 0)
    return number, head
