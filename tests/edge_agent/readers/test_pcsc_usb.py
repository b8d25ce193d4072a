"""From a slot's channel to a USB identifier."""

from pathlib import Path

import pytest

from edge_agent.readers.pcsc_usb import usb_id


@pytest.fixture
def devices(tmp_path: Path) -> Path:
    for name, bus, address, vendor, product in (
        ("usb1", 1, 1, "1d6b", "0002"),
        ("1-1", 1, 4, "072f", "2200"),
        ("2-1.3", 2, 4, "072f", "223b"),
    ):
        (tmp_path / name).mkdir()
        values = {"busnum": bus, "devnum": address, "idVendor": vendor, "idProduct": product}
        for key, value in values.items():
            (tmp_path / name / key).write_text(f"{value}\n")
    (tmp_path / "1-1:1.0").mkdir()  # an interface: it has no address
    return tmp_path


@pytest.mark.parametrize(
    ("channel", "usb"),
    [
        (0x0020_0104, "072F:2200"),
        (0x0020_0204, "072F:223B"),
        (0x0020_0105, ""),  # just unplugged
        (0x0001_0104, ""),  # a serial reader
        (0x0000_8C7B, ""),
        (None, ""),
    ],
)
def test_a_channel_on_usb_is_looked_up_by_bus_and_address(devices: Path, channel: int | None, usb: str) -> None:
    assert usb_id(channel, devices) == usb


def test_a_machine_without_usb_is_no_error(tmp_path: Path) -> None:
    assert usb_id(0x0020_0104, tmp_path / "nowhere") == ""


def test_a_device_that_goes_while_it_is_read_is_no_error(devices: Path) -> None:
    (devices / "1-1" / "idVendor").unlink()
    assert usb_id(0x0020_0104, devices) == ""
