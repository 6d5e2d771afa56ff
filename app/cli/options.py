"""What several commands share: flags made of settings, and the sets of them that go together."""

import json
from collections.abc import Callable
from typing import Any

import click

from app.core.settings import Settings

Command = Callable[..., Any]

SPARK_SETTINGS = ("master", "driver_memory", "shuffle_partitions")
json_option = click.option("--json", "as_json", is_flag=True, help="Print the summary as JSON, for machines.")


def setting_options(*names: str) -> Callable[[Command], Command]:
    """Flags for some of the settings; help, default and variable come from their declaration."""

    def add(command: Command) -> Command:
        for name in reversed(names):
            declared = Settings.model_fields[name]
            flag = f"--{name.replace('_', '-')}"
            default = json.dumps(declared.default) if isinstance(declared.default, dict) else declared.default
            text = f"{declared.description} [default: {default}; variable VITRINE_{name.upper()}]"
            if isinstance(declared.default, bool):
                command = click.option(flag, name, is_flag=True, default=None, help=text)(command)
            else:
                command = click.option(flag, name, metavar="VALUE", default=None, help=text)(command)
        return command

    return add
