"""The section on value: what customers are expected to do, and how far to trust it."""

from collections.abc import Sequence

from app.insight.customer_results import Forecast, Holdout, Value, ValueRow
from app.report import charts
from app.report.blocks import Block, Section, Table, chart, table_of
from app.report.text import compact, count, decimal, percent, words
from app.report.theme import BLUE, GREEN, ORANGE


def section(found: Value) -> Section:
    """Forecasts by RFM name, how one would have done, and the models."""
    blocks: list[Block] = []
    every, *names = found.rows
    if every.purchases_90 is not None:
        blocks += [*forecast_charts(names or found.rows), forecast_table(found.rows, "Forecasts in figures", "name")]
        if found.by_segment:
            blocks.append(forecast_table(_in_words(found.by_segment), "Forecasts by customer segment", "segment"))
    elif every.expected_spend is not None:
        blocks.append(spend_table(found.rows, "What a purchase is worth", "name"))
        if found.by_segment:
            blocks.append(spend_table(_in_words(found.by_segment), "What a purchase is worth, by segment", "segment"))
    blocks.append(holdout(found.holdout))
    if found.bg_nbd.parameters or found.gamma_gamma.parameters:
        blocks.append(parameters(found))
    return Section("value", "What will customers bring?", _value_intro(found), blocks)


def _in_words(rows: Sequence[ValueRow]) -> list[ValueRow]:
    return [row.model_copy(update={"name": words(row.name)}) for row in rows]


def _value_intro(found: Value) -> str:
    every = found.rows[0]
    told = []
    if found.bg_nbd.not_identified:
        told.append(
            f"Who is still a customer is not identified: {found.bg_nbd.not_identified}. So there is no forecast of "
            "purchases."
        )
    elif every.purchases_90 is not None and every.p_alive is not None:
        told.append(
            f"{percent(every.p_alive.value)} of {count(every.customers)} customers are expected to be customers still, "
            f"and to make {count(every.purchases_90.value)} purchases in 90 days. Who never bought again counts as "
            "one: in this model nobody leaves before a second purchase."
        )
        if found.days < 90:
            told.append(f"The log has {count(found.days)} days: 90 days ahead is far.")
    if found.gamma_gamma.not_identified:
        told.append(f"What a purchase is worth is not identified: {found.gamma_gamma.not_identified}.")
    if found.correlated:
        told.append(
            f"Frequency and spend correlate ({decimal(found.correlation)}), which the model of spend rules out: money "
            "here misleads."
        )
    return " ".join(told)


def _range(forecast: Forecast | None) -> str:
    if forecast is None:
        return compact(None)
    return f"{compact(forecast.value)} ({compact(forecast.low)}–{compact(forecast.high)})"


def forecast_charts(rows: Sequence[ValueRow]) -> list[Block]:
    """What each name is expected to do in 90 days."""
    names = [row.name for row in rows]
    drawn = [("Purchases expected in 90 days", "purchases", BLUE, [row.purchases_90 for row in rows])]
    if any(row.value_90 for row in rows):
        drawn.append(("Value expected in 90 days", "value (shop currency)", ORANGE, [row.value_90 for row in rows]))
    caption = "In brackets 95 % intervals, as far as the models' parameters are uncertain; chance comes on top."
    return [
        chart(title, caption, charts.bars(names, [_forecast_panel(axis, colour, found)], room=0.6))
        for title, axis, colour, found in drawn
    ]


def _forecast_panel(axis: str, colour: str, found: Sequence[Forecast | None]) -> charts.Panel:
    values = [forecast.value if forecast else None for forecast in found]
    return charts.Panel(axis, values, [_range(forecast) for forecast in found], colours=colour)


def forecast_table(rows: Sequence[ValueRow], title: str, group: str) -> Table:
    """All forecasts of each name or segment."""

    def probability(row: ValueRow) -> str:
        found = row.p_alive
        return f"{percent(found.value)} ({percent(found.low)}–{percent(found.high)})" if found else percent(None)

    return table_of(
        rows,
        [
            (group.capitalize(), lambda row: row.name),
            ("Customers", lambda row: count(row.customers)),
            ("Still customers", probability),
            ("Purchases in 30 days", lambda row: _range(row.purchases_30)),
            ("Purchases in 90 days", lambda row: _range(row.purchases_90)),
            ("Expected of a purchase (shop currency)", lambda row: decimal(row.expected_spend)),
            ("Value in 90 days (shop currency)", lambda row: _range(row.value_90)),
        ],
        title=title,
        caption="Probabilities and spend are means, purchases and value sums over the customers of a "
        f"{group}. Where most bought once, nearly all count as customers still: look at the purchases instead.",
        wide=True,
    )


def spend_table(rows: Sequence[ValueRow], title: str, group: str) -> Table:
    """What a purchase of each name or segment is worth, where nothing is known of how many there will be."""
    return table_of(
        rows,
        [
            (group.capitalize(), lambda row: row.name),
            ("Customers", lambda row: count(row.customers)),
            ("Expected of a purchase (shop currency)", lambda row: decimal(row.expected_spend)),
        ],
        title=title,
        caption=f"Means over the customers of a {group}; who bought once counts with the mean of all.",
    )


def holdout(found: Holdout) -> Block:
    """A forecast made earlier, beside what came."""
    title = "How a forecast would have done"
    if not found.days:
        return chart(title, "the log is too short for a part of it to be held out.")
    known = f"Of {count(found.customers)} customers known on {found.calibration_end}, in the {found.days} days after"
    if found.expected is None:
        known = known[0].lower() + known[1:]
        return chart(
            title,
            f"{known}, {count(found.made)} purchases were made; none were forecast, since {found.not_identified}.",
        )
    names = [f"{row.frequency}{'+' if row is found.rows[-1] else ''}" for row in found.rows]
    panels = [
        charts.Panel("expected", [row.expected for row in found.rows], [count(row.expected) for row in found.rows]),
        charts.Panel("made", [row.made for row in found.rows], [count(row.made) for row in found.rows], colours=GREEN),
    ]
    caption = f"{known}: {count(found.expected)} purchases expected, {count(found.made)} made"
    if found.made:
        caption += (
            f" ({percent(abs(found.expected / found.made - 1))} too {'many' if found.expected > found.made else 'few'})"
        )
    return chart(
        title,
        f"{caption}. By their repeat purchases until then.",
        charts.bars(names, panels),
        table_of(
            list(zip(names, found.rows, strict=True)),
            [
                ("Repeat purchases", lambda row: row[0]),
                ("Customers", lambda row: count(row[1].customers)),
                ("Expected", lambda row: decimal(row[1].expected, 1)),
                ("Made", lambda row: count(row[1].made)),
            ],
        ),
    )


def parameters(found: Value) -> Table:
    """Both models' parameters."""
    rows = [
        (model, row)
        for model, fit in (("BG/NBD", found.bg_nbd), ("Gamma-Gamma", found.gamma_gamma))
        for row in fit.parameters
    ]
    return table_of(
        rows,
        [
            ("Model", lambda row: row[0]),
            ("Parameter", lambda row: row[1].name),
            ("Estimate", lambda row: compact(row[1].value)),
            ("Standard error", lambda row: compact(row[1].standard_error)),
            ("95 % interval", lambda row: f"{compact(row[1].low)} to {compact(row[1].high)}"),
        ],
        left=(0, 1),
        title="The models",
        caption=f"Times in weeks. Gamma-Gamma is fitted on {count(found.repeat_buyers)} repeat buyers.",
        folded=True,
        wide=True,
    )
