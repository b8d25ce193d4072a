"""The way to central: does it answer, as whom, and how long the keys that it states still hold."""

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

from edge_agent import identity as identity_file
from edge_agent.checks import (
    NOT_RUNNING,
    Check,
    Said,
    Subject,
    Verdict,
    fail,
    not_applicable,
    not_known,
    ok,
    same,
    warn,
)
from edge_agent.identity import Identity, IdentityDamaged
from edge_agent.preview import at_rest
from edge_agent.published.parts import AtRest
from edge_agent.uplink import NetworkFailure, Uplink
from protocol.envelope import Keyring
from protocol.errors import Failure, Refused
from protocol.messages import KeyStatement, Role

HELLO_S = 6.0
SOON_MS = 30 * 86_400_000

NOT_ENROLLED = Said("尚未加入中央", "not enrolled")


def _identity(subject: Subject) -> Identity | None:
    """The identity of an enrolled device; None before, and where it is damaged, which another check says."""
    try:
        found = identity_file.load(subject.data) if subject.data is not None else None
    except IdentityDamaged:
        return None
    return found if found is not None and found.url else None


def _hello(identity: Identity, directory: Path) -> KeyStatement:
    """Raises NetworkFailure, TimeoutError, Refused: as the agent would, which judges a pin's end by signed time."""
    return asyncio.run(_ask(identity, *_in_hand(directory, identity)))


async def _ask(identity: Identity, held: KeyStatement | None, signed_ms: int) -> KeyStatement:
    async with asyncio.timeout(HELLO_S), Uplink(identity, None) as uplink:
        uplink.pin(held, signed_ms)
        _, statement = await uplink.hello()
    return statement


def reachable(subject: Subject) -> Iterator[Verdict]:
    """Central says hello with a statement that its root signed."""
    identity = _identity(subject)
    if identity is None or subject.data is None:
        yield not_applicable(NOT_ENROLLED)
        return
    host, curl = (
        urlsplit(identity.url).hostname or "",
        f"curl --insecure --max-time 10 {identity.url}/v1/hello --output /dev/null",
    )
    look_up = (f"getent hosts {host}", curl, "ip route")
    try:
        statement = _hello(identity, subject.data)
    except TimeoutError:
        seen = Said(f"{identity.url}：{HELLO_S:g} 秒內沒有回應", f"{identity.url}: no answer in {HELLO_S:g} s")
        yield fail(seen, OFFLINE, *look_up)
    except NetworkFailure as failure:
        yield fail(same(f"{identity.url}: {failure}"), OFFLINE, *look_up)
    except Refused as refused:
        if _is_of_certificate(refused):
            yield ok(
                Said(f"{identity.url} 有回應（身分見「憑證」）", f"{identity.url} answers; as whom, see Certificate")
            )
        else:
            yield fail(same(f"{identity.url}: {refused}"), STRANGER, curl)
    else:
        yield ok(
            Said(f"{identity.url}，金鑰聲明 {statement.number}", f"{identity.url}, key statement {statement.number}")
        )


def _is_of_certificate(refused: Refused) -> bool:
    """The statement is the root's, the certificate is not the statement's."""
    return refused.kind is Failure.UNKNOWN_KEY and "certificate" in refused.detail


OFFLINE = Said(
    "連不上中央。閘門照常判斷與記錄，但收不到新的名單與掛失。",
    "Central cannot be reached. The gate goes on deciding and recording, without new lists and blocked cards.",
)
STRANGER = Said(
    "回應的不是這台裝置加入的中央。請檢查網址、代理伺服器與 DNS。",
    "Whatever answers is not the central that this device joined. Look at the address, proxies and DNS.",
)


def certificate(subject: Subject) -> Iterator[Verdict]:
    """The certificate shown now is one that the root vouches for (pinned), or that an authority does."""
    identity = _identity(subject)
    if identity is None or subject.data is None:
        yield not_applicable(NOT_ENROLLED)
        return
    if not identity.url.startswith("https:"):
        yield not_applicable(Said("本機連線，不用 TLS", "on this machine itself: no TLS"))
        return
    host = urlsplit(identity.url)
    shown = f"openssl s_client -connect {host.hostname}:{host.port or 443} </dev/null"
    show = f"{shown} | openssl x509 -noout -subject -dates -fingerprint -sha256"
    try:
        _hello(identity, subject.data)
    except Refused as refused:
        means = (
            STRANGER
            if not _is_of_certificate(refused)
            else Said(
                "中央的憑證不是它聲明過的那張：可能換了憑證沒有重新聲明，也可能有人在中間攔截。",
                "Central shows a certificate that it never stated: it was changed without a new statement, "
                "or somebody sits in between.",
            )
        )
        yield fail(same(str(refused)), means, show, "tapgate-central keys state --certificate CERT.pem")
    except (NetworkFailure, TimeoutError) as failure:
        if "ertificate" in str(failure):
            means = Said(
                "系統不信任這張憑證，或時鐘不對。",
                "This machine does not trust the certificate, or its clock is wrong.",
            )
            yield fail(
                same(str(failure)), means, show, "sudo apt install --reinstall ca-certificates", "timedatectl status"
            )
        else:
            yield not_known(Said("連不上中央", "central cannot be reached"))
    else:
        yield ok(
            Said("與中央聲明的相符", "one that central states")
            if identity.pinned
            else Said("系統信任", "trusted by this machine")
        )


def key_statement(subject: Subject) -> Iterator[Verdict]:
    """The statement in hand: its age, and whether each role is still filled for some time."""
    identity = _identity(subject)
    if identity is None or subject.data is None:
        yield not_applicable(NOT_ENROLLED)
        return
    statement, _ = _in_hand(subject.data, identity)
    if statement is None:
        yield not_known(Said("還沒有收到金鑰聲明", "no key statement has come yet"), f"{subject.program} status")
        return
    now_ms = time.time_ns() // 1_000_000
    days = max(0, now_ms - statement.at_ms) // 86_400_000
    seen = Said(f"第 {statement.number} 號，{days} 天前簽署", f"number {statement.number}, signed {days} days ago")
    mend = "tapgate-central keys state --certificate CERT.pem"
    ends = {role: _end_ms(statement, role) for role in Role}
    gone = [role.value for role, end_ms in ends.items() if end_ms is not None and end_ms <= now_ms]
    going = [role.value for role, end_ms in ends.items() if end_ms is not None and now_ms < end_ms <= now_ms + SOON_MS]
    if gone:
        means = Said(
            f"{'、'.join(gone)} 的金鑰已過期，中央要重新聲明。",
            f"No key for {', '.join(gone)} is valid any more; central has to state new ones.",
        )
        yield fail(seen, means, mend)
    elif going:
        means = Said(
            f"{'、'.join(going)} 的金鑰在 30 天內到期，中央要重新聲明。",
            f"Keys for {', '.join(going)} end within 30 days; central has to state new ones.",
        )
        yield warn(seen, means, mend)
    else:
        yield ok(seen)


def _end_ms(statement: KeyStatement, role: Role) -> int | None:
    """When the last key of a role ends; None: never, or there is none to end."""
    ends = [key.until_ms for key in statement.keys if role in key.roles]
    return max(ends) if ends and all(ends) else None


def _in_hand(directory: Path, identity: Identity) -> tuple[KeyStatement | None, int]:
    """The newest statement that was taken up, and the newest signed time."""
    try:
        envelopes, facts = at_rest(directory)
    except (Refused, FileNotFoundError):
        return None, 0
    signed_ms = int.from_bytes(facts.get("signed_ms", b""))
    return AtRest(envelopes, Keyring.of(identity.root_public)).statement, signed_ms


def contact(subject: Subject) -> Iterator[Verdict]:
    """What the running agent says of its own two loops."""
    status = subject.status
    if _identity(subject) is None:
        yield not_applicable(NOT_ENROLLED)
    elif status is None:
        yield not_known(NOT_RUNNING)
    elif status["central_reachable"] is None:
        yield not_known(Said("還沒有試過", "not tried yet"))
    elif not status["central_reachable"]:
        seen = Said(f"連不上，{status['backlog']} 筆尚未送出", f"not reached; {status['backlog']} events wait")
        yield fail(seen, OFFLINE, "sudo journalctl -u tapgate-edge -n 20 --no-pager")
    else:
        poll, receipt = _ago(status["poll_age_s"]), _ago(status["receipt_age_s"])
        yield ok(
            Said(
                f"{poll.zh}有回應，上次簽收{receipt.zh}，{status['backlog']} 筆尚未送出",
                f"last answer {poll.en}, last receipt {receipt.en}; {status['backlog']} events wait",
            )
        )


def _ago(age_s: int | None) -> Said:
    if age_s is None:
        return Said("（啟動後還沒有）", "not since it started")
    return Said(f"{age_s} 秒前", f"{age_s} s ago")


CHECKS = (
    Check("central", Said("中央有回應", "Central answers"), reachable),
    Check("certificate", Said("憑證", "Certificate"), certificate),
    Check("key-statement", Said("金鑰聲明", "Key statement"), key_statement),
    Check("contact", Said("閘門與中央的連線", "The agent's contact with central"), contact),
)
