"""What must hold of central's disk after anything, given the receipts that its devices had seen by then."""

import asyncio
from pathlib import Path

from central.custody import Custodian
from central.device_keys import DeviceKeys
from central.keys import Keys
from protocol.envelope import Keyring, open_as
from protocol.events import Receipt
from protocol.messages import Role
from tests.faults.central_life import AT_MS, DATABASE, DEVICES, Device, opened
from tests.support.auditor import read_custody


def examine(directory: Path, seen: bytes) -> list[str]:
    """Findings; empty is good. Opens the database as a restarted central would."""
    keys = Keys(directory / "keys")
    ring = Keyring.of(keys.receipt.public, Role.RECEIPT)
    findings = []
    answers: dict[tuple[str, int, int], str] = {}
    last: dict[str, list[str]] = {}
    for line in (line.split() for line in seen.decode().splitlines()):
        answers.setdefault((line[1], int(line[2]), int(line[3])), line[4])
        last[line[1]] = line
        if answers[line[1], int(line[2]), int(line[3])] != line[4]:
            findings.append(f"one batch of {line[1]} got two different receipts: {line[2]}-{line[3]}")
    findings += asyncio.run(_asked_again(directory, last, keys))
    for device in map(Device, DEVICES):
        custody = read_custody(directory / DATABASE, device.name)
        findings += custody.findings
        device.upload(0, len(custody.publics) or 1)
        for (_, sequence), public in custody.publics.items():
            if sequence >= len(device.publics) or device.publics[sequence] != public:
                findings.append(f"{device.name} {sequence} in custody is not what the device sent")
        for (name, first, through), answer in answers.items():
            if name != device.name:
                continue
            receipt = open_as(Receipt, bytes.fromhex(answer), ring)
            epoch = device.epoch.hex()
            missing = [s for s in range(first, through + 1) if (epoch, s) not in custody.publics]
            if missing:
                findings.append(f"{name} has a receipt for {first}-{through}, central lacks {missing[:5]}")
            elif custody.heads[epoch, through] != receipt.head:
                findings.append(f"{name} has a receipt for another head at {through}")
    return findings


async def _asked_again(directory: Path, last: dict[str, list[str]], keys: Keys) -> list[str]:
    """The last batch of each device, sent again: the same receipt, byte for byte."""
    findings = []
    async with opened(directory) as database:
        custodian = Custodian(database, keys, DeviceKeys(database))
        for _, name, first, through, answer in last.values():
            body = Device(name).upload(int(first), int(through) - int(first) + 1)
            again = await custodian.take(body, AT_MS + 1_000_000)
            if again.answer.hex() != answer:
                findings.append(f"{name} {first}-{through}: a resend got another receipt ({again.outcome})")
    return findings
