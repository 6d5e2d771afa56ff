"""Asks a real InfluxDB what the panels of the dashboards ask, as Grafana would."""

import json
import re
from typing import Any

from app.monitor.dashboards import documents
from tests.influxd import InfluxServer

BOARDS: dict[str, dict[str, Any]] = {name: json.loads(text) for name, text in documents().items()}
PANELS = [(name, panel) for name, board in BOARDS.items() for panel in board["panels"]]
EVERYTHING = {"segment": [".*"], "model_version": [".*"]}  # what Grafana puts for "All", by allValue


def fill(text: str, variables: dict[str, list[str]]) -> str:
    """Put the variables' values in as Grafana's `:regex` format does; a custom all value goes in as it is."""

    def value(match: re.Match[str]) -> str:
        values = variables[match[1]]
        if values == [".*"]:
            return ".*"
        escaped = [re.sub(r"[\\^$*+?.()|\[\]{}]", r"\\\g<0>", value) for value in values]
        return escaped[0] if len(escaped) == 1 else f"({'|'.join(escaped)})"

    return re.sub(r"\$\{(\w+):regex\}", value, text)


def run(
    server: InfluxServer, query: str, start: str, stop: str = "now()", variables: dict[str, list[str]] = EVERYTHING
) -> list[dict[str, str]]:
    """Rows of a panel's query, with the `v` record that Grafana would give."""
    imports = "".join(f"{line}\n" for line in query.split("\n") if line.startswith("import "))
    body = "\n".join(line for line in query.split("\n") if not line.startswith("import "))
    record = (
        f"option v = {{timeRangeStart: {start}, timeRangeStop: {stop}, windowPeriod: 10s, "
        f'defaultBucket: "{server.config.bucket}", organization: "{server.config.org}"}}\n'
    )
    return server.query(imports + record + fill(body, variables))


def default_range(name: str) -> str:
    return str(BOARDS[name]["time"]["from"]).removeprefix("now")


def unanswered(server: InfluxServer, start: str | None = None, **chosen: list[str]) -> list[str]:
    """Panels and variables without rows, each dashboard at its own range unless one is given."""
    variables = {**EVERYTHING, **chosen}
    asked = [(name, panel["title"], t["query"]) for name, panel in PANELS for t in panel["targets"]]
    asked += [
        (name, f"variable {variable['name']}", variable["query"]["query"])
        for name, board in BOARDS.items()
        for variable in board["templating"]["list"]
    ]
    return [
        f"{name}: {title}"
        for name, title, query in asked
        if not any(
            row.get("_value", "a table") != ""
            for row in run(server, query, start or default_range(name), variables=variables)
        )
    ]
