"""Does the machine know the time, and does the agent trust it?"""

from collections.abc import Iterator

from edge_agent.checks import NOT_RUNNING, Check, Said, Subject, Verdict, fail, not_known, ok, same, warn

UNSYNCHRONISED = Said(
    "離線時時鐘會慢慢偏掉；偏太多時閘門只能依規則限制進入。",
    "Offline the clock drifts; once it is too far off, the gate can only do what the rule for such clocks says.",
)


def time_sync(subject: Subject) -> Iterator[Verdict]:
    """systemd's word, which knows chrony and ntpd too; where there is none, chrony's own."""
    ran = subject.machine.run(("timedatectl", "show"))
    told = dict(line.split("=", 1) for line in ran.text.splitlines() if "=" in line) if ran is not None else {}
    if "NTPSynchronized" in told:
        yield _by_systemd(told)
        return
    ran = subject.machine.run(("chronyc", "-c", "tracking"))
    fields = ran.text.strip().split(",") if ran is not None and ran.code == 0 else []
    if len(fields) < 14:
        yield not_known(
            Said("timedatectl 和 chronyc 都沒有回答", "neither timedatectl nor chronyc answers"), "timedatectl status"
        )
    elif fields[-1] == "Not synchronised":
        yield warn(same("chrony: not synchronised"), UNSYNCHRONISED, "chronyc sources", "sudo chronyc makestep")
    else:
        yield ok(same(f"chrony: {fields[1]}, {float(fields[4]):+.3f} s"))


def _by_systemd(told: dict[str, str]) -> Verdict:
    if told["NTPSynchronized"] == "yes":
        return ok(Said("已與時間伺服器同步", "synchronised with a time server"))
    if told.get("CanNTP") == "no":
        seen = Said("沒有安裝校時服務", "no time service is installed")
        return warn(seen, UNSYNCHRONISED, "sudo apt install systemd-timesyncd", "sudo timedatectl set-ntp true")
    if told.get("NTP") == "no":
        seen = Said("自動校時已關閉", "time synchronisation is switched off")
        return warn(seen, UNSYNCHRONISED, "sudo timedatectl set-ntp true")
    return warn(
        Said("自動校時已開啟，但還沒同步", "switched on, not synchronised yet"),
        UNSYNCHRONISED,
        "timedatectl timesync-status",
        "sudo systemctl restart systemd-timesyncd",
    )


def agent_clock(subject: Subject) -> Iterator[Verdict]:
    """By the newest time that central signed."""
    word = subject.status.get("clock") if subject.status is not None else None
    mend = ("sudo timedatectl set-ntp true", "timedatectl status")
    means = Said("閘門不信任這個時鐘，可能拒絕進入。", "The gate does not trust this clock and may deny entry.")
    if word == "trusted":
        yield ok(Said("與中央的時間相符", "agrees with central's signed time"))
    elif word == "unconfirmed":
        yield warn(
            Said("開機後還沒有收到中央的時間", "central's signed time has not come since the machine started"),
            Said("連上中央後會自動確認。", "It is confirmed as soon as central is reached."),
            f"{subject.program} status",
        )
    elif word == "behind":
        yield fail(Said("時鐘慢了兩分鐘以上", "the clock is more than two minutes behind"), means, *mend)
    elif word == "ahead":
        yield fail(Said("時鐘快了兩分鐘以上", "the clock is more than two minutes ahead"), means, *mend)
    else:
        yield not_known(NOT_RUNNING)


CHECKS = (
    Check("time-sync", Said("自動校時", "Time synchronisation"), time_sync),
    Check("clock", Said("閘門的時鐘", "The gate's clock"), agent_clock),
)
