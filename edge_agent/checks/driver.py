"""Between the cable and pcscd: which driver knows the reader, and what else of the machine took it first."""

from collections.abc import Iterator

from edge_agent.checks import Check, Said, Subject, Verdict, fail, not_applicable, not_known, ok, same, warn
from edge_agent.hardware import UsbDevice, drivers, modules, usb_devices
from firmware_profiles import Matched, ProfileBook

PACKAGES = {"072F": "libacsccid1 libccid"}
"""By USB vendor: Debian's packages with drivers for its readers."""


def _readers(subject: Subject) -> list[tuple[UsbDevice, Matched]] | None:
    """What is on USB and known as a card reader, by a profile or by its class; None where nobody can tell."""
    devices = usb_devices(subject.machine)
    if devices is None:
        return None
    book = ProfileBook()
    found = [(device, book.match(device.name, device.usb)) for device in devices]
    return [(device, matched) for device, matched in found if device.is_ccid or matched.why.startswith("usb ")]


def driver(subject: Subject) -> Iterator[Verdict]:
    """A driver of pcscd lists the USB identifier of each reader that is plugged in."""
    known = drivers(subject.machine)
    plugged = _readers(subject)
    if plugged is None:
        yield not_known(NO_USB)
    elif not plugged:
        yield not_applicable(NOTHING_ON_USB)
    for device, _ in plugged or ():
        names = [driver.name for driver in known if device.usb in driver.usb]
        if names:
            yield ok(same(", ".join(names)), about=f"{device.name} {device.usb}")
        else:
            package = PACKAGES.get(device.usb[:4], "libccid")
            yield fail(
                Said(f"沒有驅動程式認得 {device.usb}", f"no driver knows {device.usb}"),
                Said("pcscd 看不到這台讀卡機。", "pcscd does not see this reader."),
                f"sudo apt install {package}",
                "sudo systemctl restart pcscd",
                about=f"{device.name} {device.usb}",
            )


NO_USB = Said("核心沒有列出 USB 裝置", "the kernel lists no USB devices")
NOTHING_ON_USB = Said("USB 上沒有認得的讀卡機", "no known reader is on USB")


def in_pcsc(subject: Subject) -> Iterator[Verdict]:
    """Each reader on USB is a slot of pcscd too."""
    plugged = _readers(subject)
    if plugged is None:
        yield not_known(NO_USB)
        return
    if not subject.needs_pcsc or not plugged:
        yield not_applicable(NOTHING_ON_USB)
        return
    slots = subject.machine.slots()
    if slots is None:
        yield not_known(Said("無法詢問 pcscd", "pcscd cannot be asked"), "sudo systemctl restart pcscd")
        return
    for device, matched in plugged:
        yield _in_pcsc(device, matched, slots)


def _in_pcsc(device: UsbDevice, matched: Matched, slots: list[str]) -> Verdict:
    about, book = f"{device.name} {device.usb}", ProfileBook()
    words = [word.casefold() for word in device.name.split() if len(word) > 3]
    for slot in slots:
        same_profile = book.match(slot).profile.name == matched.profile.name and matched.why.startswith("usb ")
        if same_profile or all(word in slot.casefold() for word in words or [about]):
            return ok(same(slot), about=about)
    return fail(
        Said("接在 USB 上，但 pcscd 沒有列出", "on USB, but pcscd does not list it"),
        Said(
            "可能是驅動程式不認得、核心模組先佔用，或讀卡機卡住了。請拔掉再插上。",
            "Its driver does not know it, a kernel module took it first, or it hangs: unplug it and plug it in again.",
        ),
        "sudo systemctl restart pcscd",
        "sudo journalctl -u pcscd -n 20 --no-pager",
        about=about,
    )


# --- what is in the way -----------------------------------------------------------------------------------------------

IN_THE_WAY = ("pn533_usb", "pn533", "port100", "nfc")
"""In the order in which they can be taken out."""
BLACKLIST = "/etc/modprobe.d/tapgate-readers.conf"


def kernel_modules(subject: Subject) -> Iterator[Verdict]:
    """The kernel's own NFC drivers take readers before pcscd or nfcpy can."""
    loaded = modules(subject.machine)
    if loaded is None:
        yield not_known(Said("核心沒有列出模組", "the kernel lists no modules"))
        return
    found = [name for name in IN_THE_WAY if name in loaded]
    if not found:
        yield ok(Said("沒有佔用讀卡機的模組", "none that takes readers"))
        return
    lines = "\\n".join(f"blacklist {name}" for name in found)
    mend = (
        f"printf '{lines}\\n' | sudo tee {BLACKLIST}",
        f"sudo modprobe --remove {' '.join(found)}",
        "sudo systemctl restart pcscd",
    )
    seen = same(", ".join(found))
    if _readers(subject) or any(
        reader.kind == "nfc" for reader in (subject.settings.readers if subject.settings else ())
    ):
        means = Said(
            "核心模組佔用了讀卡機，其他程式就打不開。", "The kernel holds the reader; nobody else can open it."
        )
        yield fail(seen, means, *mend)
    else:
        means = Said(
            "插上某些讀卡機時會被核心先佔用。", "Some readers will be taken by the kernel when they are plugged in."
        )
        yield warn(seen, means, *mend)


CHECKS = (
    Check("driver", Said("讀卡機驅動程式", "Reader driver"), driver),
    Check("reader-in-pcsc", Said("pcscd 看得到讀卡機", "pcscd sees the reader"), in_pcsc),
    Check("kernel-modules", Said("核心模組", "Kernel modules"), kernel_modules),
)
