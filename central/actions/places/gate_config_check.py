"""What a changed configuration would be, gate by gate, before anybody puts it in force."""

from typing import Annotated

import msgspec

from central import toml_text
from central.actions.action import Context, Params, Result, action
from central.actions.places.gate_configs import body_of, changed_config, concerned_gates, differences
from central.configs import read_configs
from central.difference import Line, difference


class ConfigCheckParams(Params, frozen=True):
    """As `gate.config.put` takes it."""

    body: dict[str, object]
    gates: Annotated[list[Annotated[str, msgspec.Meta(max_length=64)]], msgspec.Meta(max_length=1_000)] = []
    venue: Annotated[str, msgspec.Meta(max_length=64)] = ""
    whole: bool = False


class ConfigWouldBe(msgspec.Struct, frozen=True):
    """A gate, by path what would change there, and its whole text with the difference."""

    gate: str
    changed: list[str]
    lines: list[Line]


class ConfigsChecked(Result, frozen=True):
    """By gate."""

    gates: list[ConfigWouldBe]


@action("gate.config.check", ConfigCheckParams, writes=False)
async def config_check(context: Context, params: ConfigCheckParams) -> ConfigsChecked:
    """Nothing is changed. Fails with the path of what is wrong, as putting it would."""
    async with context.database.read() as connection:
        concerned = await concerned_gates(connection, params.gates, params.venue)
        held = await read_configs(connection, concerned)
    told = []
    for gate in concerned:
        config, ages = changed_config(held[gate], params.body, params.whole)
        before, after = body_of(held[gate]), body_of(held[gate]._replace(config=config, ages=ages))
        lines = difference(toml_text.write(before), toml_text.write(after))
        told.append(ConfigWouldBe(gate, differences(before, after), lines))
    return ConfigsChecked(gates=told)
