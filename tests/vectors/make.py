"""Writes the vector files: `python -m tests.vectors.make`. Running it again gives the same bytes."""

import json
from pathlib import Path

from tests.vectors import (
    binding,
    cards,
    charging,
    closing,
    configuring,
    consenting,
    deciding,
    erasing,
    fleet,
    journal,
    looking_back,
    policies,
    proving,
    publishing,
    scenario,
    sessions,
    signing,
    states,
)

HERE = Path(__file__).parent
PARTS = (
    *(cards, journal, signing, publishing, configuring, policies, deciding, looking_back, charging, sessions, states),
    binding,
    closing,
    proving,
    fleet,
    erasing,
    consenting,
)


def contents() -> dict[str, str]:
    """The text of every vector file, by file name."""
    scenario.ALL.clear()
    for part in PARTS:
        part.build()
    return {
        f"{name}.json": json.dumps(vector, ensure_ascii=False, indent=1) + "\n"
        for name, vector in sorted(scenario.ALL.items())
    }


def main() -> None:
    made = contents()
    for path in HERE.glob("*.json"):
        if path.name not in made:
            path.unlink()
    for name, text in made.items():
        (HERE / name).write_text(text, encoding="utf-8")
    print(f"{len(made)} vectors")


if __name__ == "__main__":
    main()
