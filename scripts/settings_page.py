"""Write docs/settings.md from the settings: `python scripts/settings_page.py docs/settings.md`."""

import json
import sys
from pathlib import Path

from app.cli import main
from app.core.settings import Settings

HEAD = """# Settings

Every setting is a variable `VITRINE_<NAME>`; many are also flags of commands. A flag wins over the variable,
the variable over the default. Only `app.core.settings` reads them; the retraining job also passes them
on to the training that it starts. Tables of weights are JSON. `vitrine settings` prints the same list.

This page is written from [`app/core/settings.py`](../app/core/settings.py) by `make docs`.

| variable | default | meaning | flag of |
|---|---|---|---|
"""


def page() -> str:
    """The page's text."""
    return HEAD + "".join(_row(name) for name in Settings.model_fields)


def _row(name: str) -> str:
    declared = Settings.model_fields[name]
    meaning = (declared.description or "").replace("|", "\\|").replace("<", "&lt;")
    return f"| `VITRINE_{name.upper()}` | {_default(declared.default)} | {meaning} | {_commands(name)} |\n"


def _default(value: object) -> str:
    if value is None:
        return "none"
    return f"`{json.dumps(value) if isinstance(value, dict | bool) else value}`"


def _commands(name: str) -> str:
    """Commands that have the setting as a flag; one of the same name that means something else is left out."""
    flag = f"`--{name.replace('_', '-')}`"
    takers = [
        command.name
        for command in main.commands.values()
        if any(option.name == name and f"VITRINE_{name.upper()}" in (option.help or "") for option in command.params)
    ]
    return f"{flag}: {', '.join(sorted(filter(None, takers)))}" if takers else ""


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(page(), encoding="utf-8")
