"""A real spreadsheet program: opens what we wrote, and writes what we must read."""

import subprocess
from pathlib import Path
from xml.etree import ElementTree

_OFFICE = "{urn:oasis:names:tc:opendocument:xmlns:office:1.0}"
_TABLE = "{urn:oasis:names:tc:opendocument:xmlns:table:1.0}"
_TEXT = "{urn:oasis:names:tc:opendocument:xmlns:text:1.0}"
MOST_COLUMNS = 1_000
UTF8_COMMAS = ("--infilter=CSV:44,34,76,1",)


def converted(file: Path, to: str) -> Path:
    """The same table as LibreOffice writes it; `to`: such as `xls`."""
    profile = file.parent / "libreoffice"
    subprocess.run(
        [
            "soffice",
            *(UTF8_COMMAS if file.suffix == ".csv" else ()),
            f"-env:UserInstallation=file://{profile}",
            "--headless",
            "--convert-to",
            to,
        ]
        + ["--outdir", str(file.parent / "converted"), str(file)],
        check=True,
        capture_output=True,
        timeout=120,
    )
    return file.parent / "converted" / f"{file.stem}.{to.partition(':')[0]}"


def cells(file: Path) -> list[list[str | float]]:
    """What LibreOffice sees in the first sheet: text cells as texts, number cells as numbers, formulas not at all."""
    root = ElementTree.parse(converted(file, "fods")).getroot()
    rows = []
    for row in root.iter(f"{_TABLE}table-row"):
        found: list[str | float] = []
        for cell in row.iter(f"{_TABLE}table-cell"):
            assert f"{_TABLE}formula" not in cell.attrib
            kind = cell.get(f"{_OFFICE}value-type")
            text = "".join("".join(part.itertext()) for part in cell.iter(f"{_TEXT}p"))
            value = float(cell.attrib[f"{_OFFICE}value"]) if kind == "float" else text
            found += [value] * min(int(cell.get(f"{_TABLE}number-columns-repeated", "1")), MOST_COLUMNS)
        while found and found[-1] == "":
            found.pop()
        if found:
            rows.append(found)
    return rows
