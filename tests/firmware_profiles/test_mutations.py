"""However a profile file is damaged, it is refused by name, or it is a whole profile."""

import re

from hypothesis import given
from hypothesis import strategies as st

from firmware_profiles import Profile, ProfileError, parse_profile
from firmware_profiles.schema import LONGEST_PATTERN_MS
from tests.firmware_profiles.test_loader import TEXTS

VALUES = st.one_of(
    st.integers().map(str),
    st.sampled_from(["true", "[]", "{}", '""', "nan", "inf", "1979-05-27", '["9000"]', '"FF"', '"\\u0000"', "0x1F"]),
    st.text(max_size=8).map(lambda text: f'"{text}"'),
)


@st.composite
def damaged(draw: st.DrawFn) -> tuple[str, str]:
    """A shipped file with a few values, lines or characters changed."""
    stem = draw(st.sampled_from(sorted(TEXTS)))
    text = TEXTS[stem]
    for _ in range(draw(st.integers(1, 3))):
        lines = text.splitlines()
        number = draw(st.integers(0, len(lines) - 1))
        match draw(st.sampled_from(["value", "value", "value", "drop", "double", "character"])):
            case "value":
                values = list(re.finditer(r'"[^"]*"|\b[0-9][0-9A-Fx_]*\b|true|false', lines[number]))
                if values:
                    hit = draw(st.sampled_from(values))
                    lines[number] = lines[number][: hit.start()] + draw(VALUES) + lines[number][hit.end() :]
            case "drop":
                del lines[number]
            case "double":
                lines.insert(draw(st.integers(0, len(lines))), lines[number])
            case _:
                at = draw(st.integers(0, len(lines[number])))
                lines[number] = lines[number][:at] + draw(st.text(max_size=2)) + lines[number][at + 1 :]
        text = "\n".join(lines) or "#"
    return stem, text


@given(damaged())
def test_a_damaged_profile_is_refused_by_name_or_is_whole(case: tuple[str, str]) -> None:
    stem, text = case
    try:
        profile, refusal = parse_profile(stem, text), ""
    except ProfileError as error:
        profile, refusal = None, str(error)
    assert (profile is None) == refusal.startswith(f"{stem}.toml: ")
    if profile is not None:
        check(profile, stem)


def check(profile: Profile, stem: str) -> None:
    assert profile.name == stem
    assert profile.pcsc or profile.nfc
    assert profile.evidence
    if profile.pcsc is not None:
        commands = [*profile.pcsc.startup, *(step for pattern in profile.pcsc.lights.values() for step in pattern)]
        assert all(command.command.raw and command.expect for command in commands)
        assert profile.pcsc.uid_command.raw
        assert profile.pcsc.status.success
        assert all(
            sum(step.lasts_ms + step.pause_ms for step in pattern) <= LONGEST_PATTERN_MS
            for pattern in profile.pcsc.lights.values()
        )
