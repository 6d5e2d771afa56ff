"""The section on recommendation quality: models beside the baseline, with bootstrap intervals."""

from collections.abc import Mapping, Sequence
from typing import Any

from app.report import charts
from app.report.blocks import Block, Columns, Section, chart, table_of
from app.report.text import compact, count, decimal, interval, known, percent, score, stacked, words
from app.report.theme import BLUE, GREY, ORANGE

Rows = Sequence[Mapping[str, Any]]
MODEL = "blend"  #: what serves
BASELINES = ("popularity", "most_popular")  #: what the blend must beat, first one found
METRICS = {
    "ndcg_10": "NDCG@10",
    "hr_10": "HR@10",
    "mrr_10": "MRR@10",
    "recall_10": "Recall@10",
    "ndcg_20": "NDCG@20",
    "hr_20": "HR@20",
    "mrr_20": "MRR@20",
    "recall_20": "Recall@20",
}
SLICES = ("warm", "cold")  #: come before the segments
SHORT = ("ndcg_10", "hr_10", "mrr_10", "recall_10")  #: metrics of the table by slice


def section(data: Mapping[str, Any]) -> Section:
    """Charts and tables of `run["quality"]`, one set a task."""
    rows = data.get("rows") or []
    tasks = data.get("tasks") or {}
    blocks: list[Block] = []
    for task in dict.fromkeys([*tasks, *(row["task"] for row in rows)]):
        here = [row for row in rows if row["task"] == task]
        blocks += [
            by_model(task, tasks.get(task, ""), here),
            by_slice(task, here),
            overall_table(task, here),
            slice_table(task, here),
        ]
    intro = (
        "Models are trained on the past and tested on what came after, against the whole catalogue. "
        "Ranges and lines are bootstrap intervals; higher is better."
    )
    if data.get("test_from") and data.get("test_to"):
        intro += f" Test slice: {data['test_from']} to {data['test_to']}."
    if data.get("rmse") is not None:
        intro += f" RMSE of the ALS ratings: {decimal(data['rmse'], 3)}; nothing is chosen by it."
    return Section("quality", "Recommendation quality", intro, blocks)


def find(rows: Rows, model: str, part: str = "all") -> Mapping[str, Any] | None:
    """The row of a model on a slice."""
    return next((row for row in rows if row["model"] == model and row["slice"] == part), None)


def baseline(rows: Rows) -> str | None:
    """Name of the popularity model to compare with."""
    return next((name for name in BASELINES if find(rows, name)), None)


def _value(row: Mapping[str, Any], metric: str) -> float:
    mean = (row.get(metric) or {}).get("mean")
    return mean if mean is not None and known(mean) else -1.0


def _dot(row: Mapping[str, Any] | None, metric: str, colour: str) -> charts.Dot:
    value = (row or {}).get(metric) or {}
    return charts.Dot(value.get("mean"), value.get("low"), value.get("high"), colour)


def _colour(model: str) -> str:
    return {MODEL: BLUE}.get(model, ORANGE if model in BASELINES else GREY)


def by_model(task: str, what: str, rows: Rows) -> Block:
    """NDCG@10 and HR@10 of every model over all queries."""
    title = f"Models compared: {words(task)} task"
    overall = sorted(
        (row for row in rows if row["slice"] == "all"),
        key=lambda row: (-_value(row, "ndcg_10"), row["model"]),
    )
    if not overall:
        return chart(title, what)
    panels = {
        f"{METRICS[metric]} (0 to 1)": {"": [_dot(row, metric, _colour(row["model"])) for row in overall]}
        for metric in ("ndcg_10", "hr_10")
    }
    return chart(
        title,
        f"{what[:1].upper()}{what[1:]}. Blue is the blend, which serves; orange the popularity baselines. "
        f"{count(overall[0]['queries'])} queries.".strip(),
        charts.intervals([words(row["model"]) for row in overall], panels),
    )


def by_slice(task: str, rows: Rows) -> Block:
    """The blend beside the baseline for warm and cold users and each segment."""
    title = f"Who is served well: {words(task)} task"
    parts = [row for row in rows if row["model"] == MODEL and row["slice"] != "all"]
    parts.sort(key=lambda row: (SLICES.index(row["slice"]) if row["slice"] in SLICES else len(SLICES), row["slice"]))
    if not parts:
        return chart(title)
    names = [f"{part_name(row['slice'])} ({count(row['queries'])})" for row in parts]
    series = {MODEL: [_dot(row, "ndcg_10", BLUE) for row in parts]}
    other = baseline(rows)
    if other:
        series[words(other)] = [_dot(find(rows, other, row["slice"]), "ndcg_10", ORANGE) for row in parts]
    return chart(
        title,
        "The blend by warm or cold user and by segment; the number of queries is in brackets.",
        charts.intervals(names, {"NDCG@10 (0 to 1)": series}),
    )


def part_name(part: str) -> str:
    """A slice in words: `segment:VIP_Customers` as `VIP Customers`."""
    return words(part.removeprefix("segment:"))


def overall_table(task: str, rows: Rows) -> Block:
    """Every metric of every model over all queries."""
    overall = sorted(
        (row for row in rows if row["slice"] == "all"),
        key=lambda row: (-_value(row, "ndcg_10"), row["model"]),
    )
    columns: Columns = {"model": ("Model", words), "queries": ("Queries", count)}
    columns |= {name: (text, stacked) for name, text in METRICS.items()}
    columns["coverage_10"] = ("Coverage @10", percent)
    return table_of(
        overall,
        columns,
        title=f"All metrics: {words(task)} task",
        caption="Estimate, and its interval below it; coverage is the share of the catalogue recommended.",
        wide=True,
    )


def slice_table(task: str, rows: Rows) -> Block:
    """Metrics at 10 by slice and model."""
    parts = [row for row in rows if row["slice"] != "all"]
    columns: Columns = {
        "slice": ("Slice", part_name),
        "model": ("Model", words),
        "queries": ("Queries", count),
    }
    columns |= {name: (METRICS[name], stacked) for name in SHORT}
    return table_of(parts, columns, left=(0, 1), title=f"By slice: {words(task)} task", folded=True, wide=True)


def headline(task: str, rows: Rows) -> tuple[str, str, str] | None:
    """Label, value and note of the task's tile: the blend's NDCG@10 beside the baseline's."""
    own = find(rows, MODEL)
    if own is None or not own.get("ndcg_10"):
        return None
    metric = own["ndcg_10"]
    note = f"interval {score(metric.get('low'))} to {score(metric.get('high'))}"
    other = baseline(rows)
    if other:
        theirs = (find(rows, other) or {}).get("ndcg_10") or {}
        note += f"; {words(other)} {interval(theirs)}"
        if theirs.get("mean") and known(metric.get("mean")):
            note += f", so {compact(metric['mean'] / theirs['mean'])} times as high"
    return f"Blend NDCG@10, {words(task)} task", score(metric.get("mean")), note
