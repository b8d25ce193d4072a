"""`tapgate-central`: the server and everything that operators do with it."""

from pathlib import Path

import click

from central import config
from central.commands import (
    accounts,
    alerts,
    attendance,
    attendance_settling,
    audit,
    bind_sessions,
    bindings,
    cards,
    classes,
    conflicts,
    consents,
    custody,
    devices,
    explain,
    exports,
    freezes,
    gate_configs,
    incidents,
    judging,
    keys,
    libraries,
    members,
    names,
    passes,
    places,
    points,
    policy_versions,
    presence,
    profiles,
    programmes,
    proof,
    rebuild,
    reporting,
    rights,
    rollouts,
    setup,
    staff,
    subscriptions,
    sync_log,
    tokens,
    visits,
    volunteer_files,
)
from central.commands.shell import PROGRAM, fail

DEFAULT_CONFIG = Path("/etc/tapgate/central.toml")


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--config",
    "config_path",
    type=click.Path(dir_okay=False, path_type=Path),
    envvar="TAPGATE_CENTRAL_CONFIG",
    help=f"The settings file; not given: {DEFAULT_CONFIG} where there is one.",
)
@click.option("--data-dir", type=click.Path(file_okay=False), help="In place of the setting.")
@click.option("--database", help="In place of the setting: sqlite:///PATH or postgresql://USER@HOST/NAME.")
@click.version_option(package_name="tapgate", prog_name=PROGRAM)
@click.pass_context
def cli(context: click.Context, config_path: Path | None, data_dir: str | None, database: str | None) -> None:
    """The Tapgate server: keeps cards and policies, publishes them to gates, and holds what happened there.

    Exit codes: 0 done, 1 not done (one line says why), 2 wrong usage.

    Example: tapgate-central --config /etc/tapgate/central.toml init
    """
    if config_path is None and DEFAULT_CONFIG.exists():
        config_path = DEFAULT_CONFIG
    try:
        context.obj = config.load(config_path, data_dir=data_dir, database=database)
    except config.ConfigError as error:
        fail(str(error))


for command in (
    setup.init,
    setup.serve,
    places.domain,
    places.venue,
    places.gate,
    places.policy,
    rollouts.rollout,
    freezes.freeze,
    profiles.profile,
    staff.staff,
    accounts.account,
    tokens.token,
    audit.audit,
    cards.card,
    classes.member,
    *rights.GROUPS,
    incidents.incident,
    consents.purpose,
    consents.notice,
    consents.consent,
    programmes.closure,
    programmes.offer,
    programmes.activity,
    passes.pass_,
    devices.device,
    keys.keys,
    custody.log,
    presence.inside,
    visits.visits,
    visits.occupancy,
    reporting.overview,
    reporting.report,
    attendance.volunteer,
    exports.export,
    points.points,
    custody.evidence,
    libraries.library,
    alerts.alert,
    alerts.health,
    subscriptions.subscription,
    explain.explain,
    conflicts.conflict,
    judging.clock,
    sync_log.sync,
    proof.proof,
    custody.verify,
    custody.journal,
    rebuild.rebuild,
    custody.backup,
    custody.restore,
):
    cli.add_command(command)
places.gate.add_command(gate_configs.config)
places.domain.add_command(rights.rotate_key)
devices.device.add_command(rights.held)
for command in (*(judging.policy_check, judging.policy_replay, judging.policy_correct), *policy_versions.COMMANDS):
    places.policy.add_command(command)
for command in (*attendance_settling.COMMANDS, *volunteer_files.COMMANDS):
    attendance.volunteer.add_command(command)
for command in (
    *(names.names, classes.flags, classes.flag, bindings.replace, bindings.lose, bindings.find_again),
    *(bindings.history, bindings.batch, bind_sessions.bind_session),
    *(members.bind, members.issue_day, members.uptake),
):
    cards.card.add_command(command)
for command in (members.find, members.show, members.put, members.number, members.reindex, *rights.OF_MEMBERS):
    classes.member.add_command(command)


def main() -> None:
    """The entry point of the program."""
    cli(prog_name=PROGRAM)


if __name__ == "__main__":
    main()
