"""What outcomes, kinds of event, steps of a check and their findings are called on pages of the sync log."""

from central.console.page import _N

OUTCOMES = {
    "accepted": ("good", _N("Accepted"), _N("In custody, with a receipt.")),
    "held": ("warn", _N("Held"), _N("In custody; this server does not know its kind yet.")),
    "refused": ("bad", _N("Not accepted"), _N("Kept, but it is no event that counts; its receipt says why.")),
    "untrusted": ("bad", _N("Untrusted"), _N("It came after its device was revoked. Nothing is counted by it.")),
    "forked": ("bad", _N("Forked"), _N("It contradicts other events of the same names. Kept as evidence.")),
    "gap": ("warn", _N("Gap"), _N("Events before it were missing; the device was asked to send them again.")),
    "fork": ("bad", _N("Fork"), _N("Two histories of one device: its disk was copied or set back.")),
    "loss": ("bad", _N("Lost for ever"), _N("The device declared that events before it are gone for ever.")),
    "broken-chain": ("bad", _N("Broken chain"), _N("Its events do not lead to the head that was signed.")),
    "other-device": ("bad", _N("In another's name"), _N("One device signed it in the name of another.")),
    "other-epoch": ("bad", _N("Another epoch"), _N("Its first event does not state the epoch that it is of.")),
    "alarm": ("bad", _N("Alarm"), _N("A join token came again with other keys.")),
    "resent": ("busy", _N("Came again"), _N("The same bytes came more than once and got the same receipt.")),
}
"""How it looks, what it is called, and what it means."""

EVENT_OUTCOMES = ("accepted", "held", "refused", "untrusted")
BATCH_OUTCOMES = ("accepted", "untrusted", "forked", "resent")
EVIDENCE = ("gap", "fork", "loss", "broken-chain", "other-device", "other-epoch", "alarm")

KINDS = {
    "tap": _N("Tap"),
    "passage": _N("Passage"),
    "admit": _N("Let in by hand"),
    "undo": _N("Taken back"),
    "start": _N("Start of the agent"),
    "reader": _N("Reader"),
    "release-failed": _N("The way was not freed"),
    "input": _N("Input"),
    "config": _N("Published part"),
    "store": _N("The agent's store"),
    "closure": _N("Closed by staff"),
    "bind": _N("Card taken to be bound"),
    "consent": _N("Consent stated at the screen"),
}
PASSAGES = {
    "taken": _N("went through"),
    "not-taken": _N("did not go through"),
    "unknown": _N("could not be seen"),
    "forced": _N("forced"),
    "held": _N("held open"),
    "closed": _N("closed again"),
}
DECISIONS = {"granted": ("good", _N("granted")), "denied": ("bad", _N("denied"))}
CLOCKS = {
    "trusted": ("good", _N("trusted")),
    "unconfirmed": ("warn", _N("not confirmed since the machine started")),
    "behind": ("bad", _N("behind")),
    "ahead": ("bad", _N("ahead")),
}
PERSONAL = {
    "none": _N("There is none."),
    "held": _N("It is held here. It is in a proof only where that is asked for."),
    "destroyed": _N("It was destroyed. The proof holds without it."),
    "evidence": _N("It rests with the evidence."),
}

STEPS = {
    "form": _N("Form"),
    "root": _N("Root"),
    "keys": _N("Keys of central"),
    "device": _N("Device"),
    "batch": _N("Signature of the device"),
    "chain": _N("Chain"),
    "event": _N("Place in the batch"),
    "personal": _N("Personal part"),
    "receipt": _N("Receipt"),
    "custody": _N("Custody"),
    "stored": _N("Stored row"),
}
FINDINGS = {
    "holds": ("good", _N("holds")),
    "fails": ("bad", _N("fails")),
    "not-checked": ("off", _N("not checked")),
}
SENTENCES = (
    _N("Not checked: it needs what was not found above."),
    _N("The file is no proof, or is damaged: {why}."),
    _N("The file is whole and of the kind {type}."),
    _N("The file goes by the root {root}: compare it with the one that you trust."),
    _N("The file goes by the root {root}, not by {yours}."),
    _N("The file goes by the root that is trusted here, {root}."),
    _N("The root is no Ed25519 key."),
    _N("The root signed key statement {number}."),
    _N("Central enrolled device {device} with key {key}."),
    _N("The key of the device is no Ed25519 key."),
    _N("The batch is of {device}, not of {other}."),
    _N("Device {device} signed the batch of epoch {epoch}, events {first} to {through}."),
    _N("The events of the batch do not lead to the head that was signed."),
    _N("The chain leads from the signed beginning of the epoch to head {head}."),
    _N("The chain leads from head {before} to head {head}."),
    _N("Event 0 does not stand on the beginning of its epoch."),
    _N("Event 0 is no signed statement of its epoch ({why})."),
    _N("Event 0 states another epoch."),
    _N("The batch holds no event {sequence}."),
    _N("The batch holds other bytes at {sequence} than this event's."),
    _N("The bytes at {sequence} are no event ({why})."),
    _N("The event at {sequence} says that it is {said}."),
    _N("Event {name} stands in the batch in these very bytes."),
    _N("The personal part is not the one that was signed."),
    _N("The personal part has the digest that was signed, {digest}."),
    _N("The personal part was left out; its digest is {digest}."),
    _N("The event has no personal part."),
    _N("There is no receipt: central signed none for this batch."),
    _N("The receipt is of other events."),
    _N("Central signed a receipt for these events, at {at}."),
    _N("Untrusted: central revoked device {device} at {at} and had this event only later."),
    _N("Forked: these events contradict others of the same names and are kept as evidence only."),
    _N("Refused by central: {why}."),
    _N("In custody, held: {why}."),
    _N("In custody, accepted."),
    _N("The key statement does not hold ({why})."),
    _N("The enrolment of the device does not hold ({why})."),
    _N("The enrolment of the device cannot be read ({why})."),
    _N("The enrolment of the device is of another device, {device}."),
    _N("The batch does not hold ({why})."),
    _N("The receipt does not hold ({why})."),
    _N("The receipt cannot be read ({why})."),
    _N("The receipt is of another device, {device}."),
    _N("The revocation does not hold ({why})."),
    _N("The revocation cannot be read ({why})."),
    _N("The revocation is of another device, {device}."),
    _N("The row that is searched was altered: {why}."),
    _N("The row that is searched says what was signed."),
)
"""Every sentence that a check can say (`protocol.proof_check`, `actions.custody.event_shown`); a test compares them."""
