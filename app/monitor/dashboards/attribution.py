"""What lists lead to: clicks, carts and purchases of the API's lists, by source, reason and variant."""

from grafana_foundation_sdk.builders.dashboard import Dashboard
from grafana_foundation_sdk.models.common import StackingMode

from app.monitor.dashboards.common import COUNT, SHARE, Panel, chart, grid, new, number, ranking, version_variable
from app.monitor.dashboards.flux import per_window, points, ranked, rolling_ratio, total, total_ratio
from app.monitor.dashboards.variants import against, by_variant
from app.monitor.schema import ATTRIBUTED_EVENTS, ATTRIBUTED_LISTS, ATTRIBUTED_PLACES

_ONCE = "A list counts once, however often it is clicked; a window's figures rise as long as its lists may be clicked."
_RATES = (("clicked", "Click-through"), ("bought", "Conversion"))


def dashboard() -> Dashboard:
    """Click-through and conversion of lists, by source, reason and variant; the events behind them."""
    board = new(
        "What lists lead to",
        "attribution",
        "What users did with the lists of the API, from posted events that name the list they come from, by the time "
        "at which the lists were answered.",
        since="now-24h",
        refresh="30s",
        variables=[version_variable(ATTRIBUTED_LISTS)],
    )
    for panel in (*_figures(), *_charts(), *_rankings(), *_variants()):
        board.with_panel(panel)
    return board


def _figures() -> tuple[Panel, ...]:
    return (
        number(
            "Lists answered",
            "Lists that the API answered.",
            total(points(ATTRIBUTED_LISTS, "answered")),
            unit=COUNT,
            width=5,
            name="Lists",
        ),
        *(
            number(
                title,
                f"Share of lists with a product that was then {done}. {_ONCE}",
                total_ratio(points(ATTRIBUTED_LISTS, what, "answered"), what, "answered"),
                unit=SHARE,
                width=5,
                name=name,
                decimals=2,
            )
            for what, title, name, done in (
                ("clicked", "Click-through", "Click-through", "viewed"),
                ("carted", "Into the cart", "Into the cart", "put into the cart"),
                ("bought", "Conversion of lists", "Conversion", "bought"),
            )
        ),
        number(
            "Revenue by lists (shop currency)",
            "Price × quantity of purchases that name a list with the product.",
            total(points(ATTRIBUTED_LISTS, "revenue")),
            unit=COUNT,
            width=4,
            name="Revenue",
        ),
    )


def _charts() -> tuple[Panel, ...]:
    return (
        *(
            chart(
                f"{rate} of places by source",
                f"{what.capitalize()} places over places shown, over the last ten points of the chart.",
                rolling_ratio(points(ATTRIBUTED_PLACES, what, "shown"), what, "shown", "generator"),
                unit=SHARE,
                name="${__field.labels.generator}",
                interval="5m",
            )
            for what, rate in _RATES
        ),
        chart(
            "Click-through of lists by variant",
            "Clicked lists over lists answered, over the last ten points of the chart.",
            rolling_ratio(points(ATTRIBUTED_LISTS, "clicked", "answered"), "clicked", "answered", "variant"),
            unit=SHARE,
            name="${__field.labels.variant}",
            interval="5m",
        ),
        chart(
            "Events that name a list",
            "By what became of them: of an event on an unknown list, the list is too old, or was lost with a killed "
            "server, or the client made its id up.",
            per_window(points(ATTRIBUTED_EVENTS, "events"), "outcome"),
            unit=COUNT,
            name="${__field.labels.outcome}",
            stacked=StackingMode.NORMAL,
            interval="5m",
        ),
    )


def _rankings() -> tuple[Panel, ...]:
    return tuple(
        ranking(
            f"{rate} by reason",
            f"{what.capitalize()} places over places shown, by the kind of reason that was shown with them.",
            ranked(total_ratio(points(ATTRIBUTED_PLACES, what, "shown"), what, "shown", "reason"), "reason"),
            unit=SHARE,
        )
        for what, rate in _RATES
    )


def _variants() -> tuple[Panel, ...]:
    units = dict.fromkeys(("rate", "low", "high", "difference"), SHARE)
    names = {
        "experiment": "Experiment",
        "variant": "Variant",
        "answered": "Lists",
        "rate": "Share",
        "difference": "Challenger − champion",
        "low": "From",
        "high": "To",
        "verdict": "Verdict",
    }
    return tuple(
        panel
        for what, title in _RATES
        for panel in (
            grid(
                f"{title} by variant",
                "Of lists to users who take part in the experiment, with 95 % intervals (Wilson).",
                by_variant(what),
                units={name: units[name] for name in ("rate", "low", "high")},
                names={name: names[name] for name in ("experiment", "variant", "answered", "rate", "low", "high")},
                width=12,
                height=6,
            ),
            grid(
                f"{title}: challenger against champion",
                "Difference of the two shares with its 95 % interval (Newcombe). Lists of one user are counted as if "
                "they were of many, so the true interval is wider.",
                against(what),
                units={name: units[name] for name in ("difference", "low", "high")},
                names={name: names[name] for name in ("experiment", "difference", "low", "high", "verdict")},
                width=12,
                height=6,
            ),
        )
    )
