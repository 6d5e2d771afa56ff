"""The Grafana dashboards, built in Python; the JSON under `grafana/dashboards/` is written from here.

A new dashboard is a module with a function `dashboard`, its import here and its name in `DASHBOARDS`.
"""

import json

from grafana_foundation_sdk.cog.encoder import JSONEncoder

from app.monitor.dashboards import (
    attribution,
    behaviour,
    customers,
    live_shop,
    models,
    recommendations,
    segments,
    streaming,
)

DASHBOARDS = (live_shop, behaviour, customers, recommendations, attribution, segments, streaming, models)


def documents() -> dict[str, str]:
    """Every dashboard's JSON, by file name."""
    built = [module.dashboard().build() for module in DASHBOARDS]
    for board in built:
        for number, panel in enumerate(board.panels or [], start=1):
            panel.id_val = number  # Grafana wants distinct ones; fixed, so that the file stays put
    return {
        f"{str(board.uid).removeprefix('vitrine-')}.json": json.dumps(
            board, cls=JSONEncoder, indent=2, sort_keys=True, ensure_ascii=False
        )
        + "\n"
        for board in built
    }
