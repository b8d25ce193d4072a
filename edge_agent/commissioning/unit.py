"""The agent's systemd unit as it is installed: whom it runs as."""

from edge_agent.commissioning.machine import Machine

UNIT = "tapgate-edge.service"
FOLDERS = ("/etc/systemd/system", "/run/systemd/system", "/usr/local/lib/systemd/system", "/usr/lib/systemd/system")


def unit_text(machine: Machine) -> str | None:
    """The unit and what was laid over it; None where it is not installed."""
    for folder in FOLDERS:
        text = machine.read(f"{folder}/{UNIT}")
        if text is not None:
            over = [path.read_text(errors="replace") for path in machine.folders(f"/etc/systemd/system/{UNIT}.d")]
            return "\n".join((text, *over))
    return None


def service_user(machine: Machine) -> str | None:
    """The user that the agent runs as; None where no unit is installed."""
    text = unit_text(machine)
    if text is None:
        return None
    named = [line.partition("=")[2].strip() for line in text.splitlines() if line.startswith("User=")]
    return named[-1] if named else "root"
