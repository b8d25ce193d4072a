"""Which of several PC/SC slots is the one that citizens tap on. Pure."""

from collections.abc import Callable, Iterable

from firmware_profiles import Profile


def choose(slots: Iterable[str], match: str | None, profile_of: Callable[[str], Profile]) -> str | None:
    """The first slot whose name contains `match` (not given: any) and that its profile takes for a contactless one.

    Slots that a profile prefers go first; those that it skips (SAM, contact slot) are taken only where `match` fits
    nothing else. None where none fits.
    """
    named = [slot for slot in slots if match is None or match in slot]
    suits = [(slot, profile_of(slot).pcsc) for slot in named]
    contactless = [(slot, pcsc) for slot, pcsc in suits if pcsc is not None and not pcsc.skips(slot)]
    certain = [slot for slot, pcsc in contactless if pcsc.prefers(slot) or not pcsc.contactless]
    left = named if match is not None else []
    return next(iter((*certain, *(slot for slot, _ in contactless), *left)), None)
