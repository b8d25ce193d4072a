"""Between the cable and pcscd: which driver knows the reader, and what else of the machine took it first."""

from collections.abc import Iterator
from pathlib import Path

from edge_agent.checks import Check, Said, Subject, Verdict, fail, not_applicable, not_known, ok, same, warn
from edge_agent.checks.service import NO_PCSC
from edge_agent.commissioning.hardware import Driver, UsbDevice, drivers, modules, usb_devices
from edge_agent.commissioning.plugged_in import own_book
from firmware_profiles import Matched, Profile, ProfileBook, load_folder

PACKAGES = {"072F": "libacsccid1 libccid"}
"""By USB vendor: Debian's packages with drivers for its readers."""


def _readers(subject: Subject) -> list[tuple[UsbDevice, Matched]] | None:
    """What is on USB and known as a card reader, by a profile or by its class; None where nobody can tell."""
    devices = usb_devices(subject.machine)
    if devices is None:
        return None
    book = own_book(subject.machine, subject.settings)
    found = [(device, book.match(device.name, device.usb)) for device in devices]
    return [(device, matched) for device, matched in found if device.is_ccid or matched.why.startswith("usb ")]


def _about(device: UsbDevice) -> str:
    return f"{device.name} {device.usb}".strip()


NO_USB = Said("核心沒有列出 USB 裝置", "the kernel lists no USB devices")
NOTHING_ON_USB = Said("USB 上沒有認得的讀卡機", "no known reader is on USB")


def driver(subject: Subject) -> Iterator[Verdict]:
    """A driver of pcscd lists the USB identifier of each PC/SC reader that is plugged in."""
    if not subject.needs_pcsc:
        yield not_applicable(NO_PCSC)
        return
    known, plugged = drivers(subject.machine), _readers(subject)
    if plugged is None:
        yield not_known(NO_USB)
        return
    for_pcsc = [device for device, matched in plugged if matched.profile.pcsc is not None]
    for device in for_pcsc:
        names = [driver.name for driver in known if device.usb in driver.usb]
        yield ok(same(", ".join(names)), about=_about(device)) if names else _no_driver(device)
    if not for_pcsc:
        yield not_applicable(NOTHING_ON_USB)


def _no_driver(device: UsbDevice) -> Verdict:
    return fail(
        Said(f"沒有驅動程式認得 {device.usb}", f"no driver knows {device.usb}"),
        Said("pcscd 看不到這台讀卡機。", "pcscd does not see this reader."),
        f"sudo apt install {PACKAGES.get(device.usb[:4], 'libccid')}",
        "sudo systemctl restart pcscd",
        about=_about(device),
    )


def escape(subject: Subject) -> Iterator[Verdict]:
    """The driver passes on the commands that some profiles send to the reader itself, for light and sound."""
    if not subject.needs_pcsc:
        yield not_applicable(NO_PCSC)
        return
    known, plugged = drivers(subject.machine), _readers(subject)
    if plugged is None:
        yield not_known(NO_USB)
        return
    needing = [(device, matched.profile.pcsc.escape) for device, matched in plugged if matched.profile.pcsc is not None]
    wanted = [(device, wants.driver_option) for device, wants in needing if wants is not None and wants.driver_option]
    for device, option in wanted:
        yield _escape(device, option, [driver for driver in known if device.usb in driver.usb])
    if not wanted:
        yield not_applicable(Said("目前接的讀卡機不需要", "no reader that is plugged in needs it"))


def _escape(device: UsbDevice, option: int, its: list[Driver]) -> Verdict:
    about = _about(device)
    lacking = [driver for driver in its if driver.options is not None and driver.options & option != option]
    if not its or any(driver.options is None for driver in its):
        return not_known(Said("看不出驅動程式的設定", "the driver's setting cannot be told"), about=about)
    if not lacking:
        return ok(same(", ".join(f"{driver.plist}: 0x{driver.options:04X}" for driver in its)), about=about)
    driver = lacking[0]
    value = f"0x{(driver.options or 0) | option:04X}"
    return warn(
        same(f"{driver.plist}: ifdDriverOptions 0x{driver.options:04X}"),
        Said(
            "驅動程式會擋下一些給讀卡機的指令：卡照樣讀得到，但燈號和聲音可能不對。",
            "The driver holds back some commands to the reader: cards are read, but light and sound may be wrong.",
        ),
        f"sudo sed -i '/ifdDriverOptions/{{n;s/0x[0-9A-Fa-f]*/{value}/}}' {driver.plist}",
        "sudo systemctl restart pcscd",
        about=about,
    )


def in_pcsc(subject: Subject) -> Iterator[Verdict]:
    """Each reader on USB is a slot of pcscd too."""
    if not subject.needs_pcsc:
        yield not_applicable(NO_PCSC)
        return
    plugged = _readers(subject)
    if plugged is None:
        yield not_known(NO_USB)
        return
    plugged = [(device, matched) for device, matched in plugged if matched.profile.pcsc is not None]
    if not plugged:
        yield not_applicable(NOTHING_ON_USB)
        return
    slots = subject.machine.slots()
    if slots is None:
        yield not_known(Said("無法詢問 pcscd", "pcscd cannot be asked"), "sudo systemctl restart pcscd")
        return
    for device, matched in plugged:
        yield _in_pcsc(device, matched, slots)


def _in_pcsc(device: UsbDevice, matched: Matched, slots: list[str]) -> Verdict:
    about, book = _about(device), ProfileBook()
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

IN_THE_WAY = ("pn533_usb", "pn533_uart", "pn533", "port100", "nfc")
"""The kernel's NFC drivers, in the order in which they can be taken out."""
BLACKLIST = "/etc/modprobe.d/tapgate-readers.conf"


def kernel_modules(subject: Subject) -> Iterator[Verdict]:
    """The kernel's own NFC drivers take readers before pcscd or nfcpy can."""
    loaded = modules(subject.machine)
    if loaded is None:
        yield not_known(Said("核心沒有列出模組", "the kernel lists no modules"))
        return
    taken = {name for _, matched in _readers(subject) or () for name in matched.profile.kernel_modules}
    over_nfc = any(reader.kind == "nfc" for reader in (subject.settings.readers if subject.settings else ()))
    order = (*IN_THE_WAY, *sorted(taken.difference(IN_THE_WAY)))
    found = [name for name in order if name in loaded]
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
    if over_nfc or taken.intersection(found):
        means = Said(
            "核心模組佔用了讀卡機，其他程式就打不開。", "The kernel holds the reader; nobody else can open it."
        )
        yield fail(seen, means, *mend)
    else:
        means = Said(
            "插上某些讀卡機時會被核心先佔用。", "Some readers will be taken by the kernel when they are plugged in."
        )
        yield warn(seen, means, *mend)


# --- profiles ---------------------------------------------------------------------------------------------------------


def profiles_here(subject: Subject) -> tuple[dict[str, Profile], dict[str, str]]:
    """This machine's own profiles, and the files that are refused, with the reason."""
    return load_folder(subject.machine.path(_folder(subject)), subject.machine.owner)


def _folder(subject: Subject) -> Path:
    return subject.settings.profiles_dir if subject.settings is not None else Path("/etc/tapgate/profiles")


def own_profiles(subject: Subject) -> Iterator[Verdict]:
    """Each profile of this machine's own can be used."""
    (profiles, refused), folder = profiles_here(subject), _folder(subject)
    means = Said("這個檔不會被採用，仍用原來的。", "This file is not used; the one before it is.")
    for name, why in refused.items():
        yield fail(same(why), means, f"sudoedit {folder}/{name}", about=name)
    if profiles:
        yield ok(same(", ".join(sorted(profiles))))
    elif not refused:
        yield not_applicable(Said(f"沒有（{folder}）", f"there are none ({folder})"))


CHECKS = (
    Check("driver", Said("讀卡機驅動程式", "Reader driver"), driver),
    Check("reader-in-pcsc", Said("pcscd 看得到讀卡機", "pcscd sees the reader"), in_pcsc),
    Check("escape", Said("讀卡機的燈號與聲音（escape）", "Light and sound (escape)"), escape),
    Check("kernel-modules", Said("核心模組", "Kernel modules"), kernel_modules),
    Check("own-profiles", Said("自訂的機型設定檔", "Own profiles"), own_profiles),
)
