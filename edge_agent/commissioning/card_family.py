"""What kind of card it is, as far as its ATR or SAK tells. It never tells whose card, or which (FACTS: two MIFARE
Classic cards have the same ATR)."""

_HISTORICAL = bytes.fromhex("3B8F8001804F0CA000000306")
"""PC/SC part 3, 3.1.3.2.3: initial bytes and RID of the ATR that a reader makes up for a card with memory only."""

_BY_NAME = {
    0x0001: "MIFARE Classic 1K",
    0x0002: "MIFARE Classic 4K",
    0x0003: "MIFARE Ultralight",
    0x0026: "MIFARE Mini",
    0x0036: "MIFARE Plus 2K (SL1)",
    0x0037: "MIFARE Plus 4K (SL1)",
    0x0038: "MIFARE Plus 2K (SL2)",
    0x0039: "MIFARE Plus 4K (SL2)",
    0x003A: "MIFARE Ultralight C",
    0x003B: "FeliCa",
    0xF011: "FeliCa 212K",
    0xF012: "FeliCa 424K",
}
"""Card names of PC/SC part 3, supplement 2.01.14."""

_BY_SAK = {
    0x00: "MIFARE Ultralight / NTAG",
    0x08: "MIFARE Classic 1K",
    0x09: "MIFARE Mini",
    0x10: "MIFARE Plus 2K (SL2)",
    0x11: "MIFARE Plus 4K (SL2)",
    0x18: "MIFARE Classic 4K",
    0x20: "ISO 14443-4 (DESFire, MIFARE Plus SL3, phone)",
    0x28: "MIFARE Classic 1K (smart card or phone)",
    0x38: "MIFARE Classic 4K (smart card or phone)",
}
"""NXP AN10833, table 6."""

ISO_14443_4 = "ISO 14443-4 (DESFire, MIFARE Plus SL3, phone)"


def family(atr: bytes, sak: int | None = None) -> str:
    """The family, or "" where neither tells. The ATR goes first: it is the reader's own judgement."""
    if len(atr) >= 20 and atr.startswith(_HISTORICAL):
        return _BY_NAME.get(int.from_bytes(atr[13:15]), "")
    if sak is not None:
        return _BY_SAK.get(sak & ~0x04, "")
    return ISO_14443_4 if atr.startswith(b"\x3b") and len(atr) >= 4 and atr[1] & 0x80 else ""
