"""A mail server on loopback that keeps what it is sent, and can be told to misbehave."""

import asyncio
import email
import email.policy
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from email.message import EmailMessage
from typing import Any


class SmtpSink:
    """`answers`: what is said in place of the usual, by command. `hang_up_after_data`: it takes a mail, and says so to
    nobody."""

    def __init__(self) -> None:
        self.port = 0
        self.mails: list[EmailMessage] = []
        self.recipients: list[str] = []
        self.said: list[str] = []
        self.answers: dict[str, str] = {}
        self.hang_up_after_data = False

    async def talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async def say(line: str) -> None:
            writer.write(line.encode() + b"\r\n")
            await writer.drain()

        try:
            await say("220 sink")
            while line := (await reader.readline()).decode().strip():
                command = line.split(":")[0].split(" ")[0].upper()
                self.said.append(line)
                if command in self.answers:
                    await say(self.answers[command])
                elif command == "DATA":
                    await say("354 go on")
                    await self._keep(reader)
                    if self.hang_up_after_data:
                        return
                    await say("250 kept")
                elif command == "QUIT":
                    await say("221 bye")
                    return
                else:
                    if command == "RCPT":
                        self.recipients.append(line)
                    await say("250 SIZE 1000000" if command == "EHLO" else "250 ok")
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    async def _keep(self, reader: asyncio.StreamReader) -> None:
        data = (await reader.readuntil(b"\r\n.\r\n")).removesuffix(b".\r\n")
        message: Any = email.message_from_bytes(data, policy=email.policy.default)
        self.mails.append(message)


@asynccontextmanager
async def smtp_sink() -> AsyncIterator[SmtpSink]:
    """It listens while the block runs."""
    sink = SmtpSink()
    server = await asyncio.start_server(sink.talk, "127.0.0.1", 0)
    sink.port = server.sockets[0].getsockname()[1]
    try:
        yield sink
    finally:
        server.close()
        await server.wait_closed()
