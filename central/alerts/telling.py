"""Send what is to be told: a mail over SMTP, a request to a webhook. The only file that does.

Whatever may have been heard already is not sent again from here: only a connection that never came to be is tried
again at once. The rest waits in the outbox.
"""

import asyncio
import smtplib
import ssl
from collections.abc import Callable
from email.message import EmailMessage
from email.utils import formatdate
from pathlib import Path
from typing import Any, NamedTuple

import aiohttp
from tenacity import AsyncRetrying, retry_if_exception_type, stop_after_attempt, wait_random_exponential

from central.alerts.addresses import mail_fault, webhook_fault
from central.config import MailConfig

TIMEOUT_S = 10.0
"""Of one request, and of each step of a mail: all steps together stay below `outbox.TAKEN_MS`."""
ATTEMPTS = 3
DELIVERY_HEADER = "Tapgate-Delivery"
"""The same for the same message, however often it is sent."""


Session = aiohttp.ClientSession


def open_session() -> Session:
    """For webhooks, to be closed by whoever opens it. No proxy of the environment sees what is told."""
    return aiohttp.ClientSession(trust_env=False)


class NotTold(Exception):
    """It was not taken. The text is one line for a person, without addresses and secrets."""


class NotReached(NotTold):
    """Nobody was there to hear anything."""


class Letter(NamedTuple):
    """A mail. `delivery` makes its Message-ID, so that a reader's program shows a second one as the same."""

    to: str
    subject: str
    text: str
    delivery: str
    at_ms: int


async def mail(settings: MailConfig | None, letter: Letter) -> None:
    """Raises NotTold."""
    if settings is None:
        raise NotTold("no mail server is configured: state [mail] in the server's settings")
    if mail_fault(letter.to):
        raise NotTold("the contact's mail address is none")
    message = _message(settings.sender, letter)
    await _retried(lambda: asyncio.to_thread(_deliver, settings, message))


async def post(session: Session, url: str, delivery: str, body: dict[str, Any]) -> None:
    """Raises NotTold, also for any answer but 2xx; a redirect is not followed."""
    if webhook_fault(url):
        raise NotTold("the contact's webhook is none")
    await _retried(lambda: _post(session, url, delivery, body))


async def _retried(work: Callable[[], Any]) -> None:
    stop, wait = stop_after_attempt(ATTEMPTS), wait_random_exponential(multiplier=0.2, max=2)
    async for attempt in AsyncRetrying(stop=stop, wait=wait, retry=retry_if_exception_type(NotReached), reraise=True):
        with attempt:
            await work()


# --- mail -------------------------------------------------------------------------------------------------------


def _message(sender: str, letter: Letter) -> EmailMessage:
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = sender, letter.to, letter.subject
    message["Date"] = formatdate(letter.at_ms / 1_000)
    message["Message-ID"] = f"<{letter.delivery}@{sender.rpartition('@')[2]}>"
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(letter.text)
    return message


def _deliver(settings: MailConfig, message: EmailMessage) -> None:
    password = _password(settings.password_file) if settings.password_file is not None else ""
    try:
        server = _connected(settings)
    except ssl.SSLError as error:
        raise NotTold(f"the mail server did not prove who it is ({error.reason})") from None
    except (OSError, smtplib.SMTPException) as error:
        raise NotReached(f"the mail server was not reached ({type(error).__name__})") from None
    try:
        with server:
            if settings.security == "starttls":
                server.starttls(context=ssl.create_default_context())
            if settings.user:
                server.login(settings.user, password)
            server.send_message(message)
    except ssl.SSLError as error:
        raise NotTold(f"the mail server did not prove who it is ({error.reason})") from None
    except smtplib.SMTPResponseException as error:
        raise NotTold(f"the mail server answered {error.smtp_code}") from None
    except smtplib.SMTPRecipientsRefused as error:
        codes = sorted({code for code, _ in error.recipients.values()})
        raise NotTold(f"the mail server refused the address ({', '.join(map(str, codes))})") from None
    except (OSError, smtplib.SMTPException) as error:
        raise NotTold(f"the mail server broke off ({type(error).__name__})") from None


def _connected(settings: MailConfig) -> smtplib.SMTP:
    if settings.security == "tls":
        context = ssl.create_default_context()
        return smtplib.SMTP_SSL(settings.host, settings.port, timeout=TIMEOUT_S, context=context)
    return smtplib.SMTP(settings.host, settings.port, timeout=TIMEOUT_S)


def _password(path: Path) -> str:
    try:
        return path.read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError):
        raise NotTold("the file of the mail password cannot be read: see mail.password_file") from None


# --- webhooks ---------------------------------------------------------------------------------------------------


async def _post(session: Session, url: str, delivery: str, body: dict[str, Any]) -> None:
    timeout = aiohttp.ClientTimeout(total=TIMEOUT_S)
    headers = {DELIVERY_HEADER: delivery}
    try:
        request = session.post(url, json=body, headers=headers, timeout=timeout, allow_redirects=False)
        async with request as response:
            status = response.status
    except aiohttp.ClientConnectorCertificateError:
        raise NotTold("the webhook did not prove who it is") from None
    except aiohttp.ClientConnectorError as error:
        raise NotReached(f"the webhook was not reached ({type(error.os_error).__name__})") from None
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        raise NotTold(f"the webhook broke off ({type(error).__name__})") from None
    if not 200 <= status < 300:
        more = ": redirects are not followed" if 300 <= status < 400 else ""
        raise NotTold(f"the webhook answered {status}{more}")
