"""How long a closing by staff holds (SPEC §7.10)."""

from typing import Any

from tests.vectors.scenario import NOW, scenario

HOUR_MS = 3_600_000
CLOSING: dict[str, Any] = {
    "from_ms": NOW,
    "until_ms": NOW + HOUR_MS,
    "boot_id": "b0" * 8,
    "monotonic_ms": 5_000,
    "clock": 0,
}
AT: dict[str, Any] = {"at_ms": NOW, "monotonic_ms": 5_000, "boot_id": "b0" * 8, "clock": 0}
OTHER_BOOT = {"boot_id": "b1" * 8, "monotonic_ms": 1_000}


def ends_in_ms(closing: dict[str, Any], at: dict[str, Any]) -> int | None:
    left_ms = closing["until_ms"] - at["at_ms"]
    if closing["boot_id"] == at["boot_id"]:
        left_ms = closing["monotonic_ms"] + HOUR_MS - at["monotonic_ms"]
    elif max(closing["clock"], at["clock"]) > 1:
        return None
    return left_ms if left_ms > 0 else 0


def build() -> None:
    later, last, end = NOW + 60_000, NOW + HOUR_MS - 1, NOW + HOUR_MS
    for name, closing, at, rule in (
        ("begins", {}, {}, "It holds from its event on."),
        ("last-moment", {}, {"monotonic_ms": 5_000 + HOUR_MS - 1}, "Until its end."),
        ("over", {}, {"monotonic_ms": 5_000 + HOUR_MS}, "The end is excluded."),
        ("wall-clock-jumped", {}, {"at_ms": 0, "clock": 2}, "Within a boot no wall clock is asked."),
        ("wrong-clock-in-one-boot", {"clock": 2}, {"monotonic_ms": 65_000}, "Nor one that was wrong when it began."),
        ("next-boot", {}, {**OTHER_BOOT, "at_ms": later, "clock": 1}, "After a restart the clock decides."),
        ("next-boot-last-moment", {}, {**OTHER_BOOT, "at_ms": last}, "Until its end."),
        ("next-boot-over", {}, {**OTHER_BOOT, "at_ms": end}, "The end is excluded."),
        ("next-boot-behind", {}, {**OTHER_BOOT, "at_ms": end, "clock": 2}, "A wrong clock opens nothing."),
        ("next-boot-ahead", {}, {**OTHER_BOOT, "at_ms": end, "clock": 3}, "A wrong clock opens nothing."),
        ("begun-by-a-wrong-clock", {"clock": 2}, {**OTHER_BOOT, "at_ms": end}, "Its end was never known: by PIN."),
    ):
        closed, moment = CLOSING | closing, AT | at
        given = {"do": "closing-ends", "closing": closed, "at": moment}
        scenario(f"closing-{name}", "7.10", rule, given, {"in_ms": ends_in_ms(closed, moment)})
