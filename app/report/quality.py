"""The section on recommendation quality: models beside the baseline, with bootstrap intervals."""

from collections.abc import Callable, Sequence

from app.evaluate.names import (
    ALL,
    BLEND,
    COLD,
    HR_10,
    HR_20,
    METRIC_LABELS,
    MOST_POPULAR,
    MRR_10,
    MRR_20,
    NDCG_10,
    NDCG_20,
    RECALL_10,
    RECALL_20,
    SEGMENT,
    TARGET,
    WARM,
)
from app.evaluate.results import Quality, QualityRow, RankerChoice, find_row
from app.evaluate.targets import NEW, TARGETS, target_slice
from app.events.vocabulary import CART, PURCHASE, VIEW
from app.report import charts
from app.report.blocks import Block, Section, chart, table_of
from app.report.text import compact, count, decimal, interval, known, percent, percent_tick, score, stacked, words
from app.report.theme import BLUE, GREY, ORANGE
from app.serve.generators.popularity import Popularity

BASELINES = (Popularity.name, MOST_POPULAR)  #: what the blend must beat, first one found
AT_10 = (NDCG_10, HR_10, MRR_10, RECALL_10)
SHOWN = (*AT_10, NDCG_20, HR_20, MRR_20, RECALL_20)
TARGET_WORDS = {VIEW: "Views", CART: "Carts", PURCHASE: "Purchases", NEW: "New products"}
MOST_FEATURES = 15
FEWEST_QUERIES = 10  #: of a part: what fewer say is chance
TOO_FEW = f"Parts with fewer than {FEWEST_QUERIES} queries are left out."
FIRST_SLICES = (WARM, COLD)  #: come before the segments


def section(quality: Quality, ranker: RankerChoice | None = None) -> Section:
    """Charts and tables, one set a task, and what the learned ranker looks at."""
    blocks: list[Block] = []
    for task, rows in by_task(quality).items():
        blocks += [
            by_model(task, quality.tasks.get(task, ""), rows),
            by_slice(task, rows),
            by_target(task, rows),
            overall_table(task, rows),
            slice_table(task, rows),
        ]
    intro = (
        "Models are trained on the past and tested on what came after, against the whole catalogue. "
        "Ranges and lines are bootstrap intervals; higher is better. "
        f"Test slice: {quality.test_from} to {quality.test_to}."
    )
    if quality.rmse is not None:
        intro += f" RMSE of the ALS ratings: {decimal(quality.rmse, 3)}; nothing is chosen by it."
    if ranker is not None:
        intro += f" {ranker.sentence}"
        if ranker.tasks or ranker.leads:  # the best of several does so well in part by chance
            intro += " That was chosen on the queries whose figures are shown: these are, if anything, too good."
        if ranker.learned_until is not None:
            intro += f" It was learned from queries before {ranker.learned_until}; all that is shown is of later ones."
            blocks.append(gains(ranker))
    return Section("quality", "How good are the recommendations?", intro, blocks)


def gains(ranker: RankerChoice) -> Block:
    """What LambdaMART looks at most."""
    title, shown = "What LambdaMART looks at", ranker.gains[:MOST_FEATURES]
    if not shown:
        return chart(title)
    panel = charts.Panel(
        "share of gain", [row.share for row in shown], [percent(row.share) for row in shown], percent_tick
    )
    return chart(
        title,
        f"Each feature's share of what the splits of all trees gain, the {len(shown)} largest of {len(ranker.gains)}; "
        f"learned from {count(ranker.queries)} queries.",
        charts.bars([words(row.feature) for row in shown], [panel]),
        table_of(ranker.gains, [("Feature", lambda row: words(row.feature)), ("Gain", lambda row: percent(row.share))]),
    )


def by_task(quality: Quality) -> dict[str, list[QualityRow]]:
    """Rows of each task, in the order in which tasks are declared; a task without queries has none."""
    return {task: [row for row in quality.rows if row.task == task] for task in quality.tasks}


def baseline(rows: Sequence[QualityRow]) -> str | None:
    """Name of the popularity model to compare with."""
    return next((name for name in BASELINES if find_row(rows, name)), None)


def _overall(rows: Sequence[QualityRow]) -> list[QualityRow]:
    """Every model over all queries, the best first."""
    return sorted((row for row in rows if row.slice == ALL), key=lambda row: (-_ndcg(row), row.model))


def _ndcg(row: QualityRow) -> float:
    mean = row.metrics[NDCG_10].mean
    return mean if known(mean) else -1.0


def _dot(row: QualityRow | None, metric: str, colour: str) -> charts.Dot:
    if row is None:
        return charts.Dot(None, None, None, colour)
    value = row.metrics[metric]
    return charts.Dot(value.mean, value.low, value.high, colour)


def _colour(model: str) -> str:
    return {BLEND: BLUE}.get(model, ORANGE if model in BASELINES else GREY)


def by_model(task: str, what: str, rows: Sequence[QualityRow]) -> Block:
    """NDCG@10 and HR@10 of every model over all queries."""
    title = f"Models compared: {words(task)} task"
    overall = _overall(rows)
    if not overall:
        return chart(title)
    panels = {
        f"{METRIC_LABELS[metric]} (0 to 1)": {"": [_dot(row, metric, _colour(row.model)) for row in overall]}
        for metric in (NDCG_10, HR_10)
    }
    return chart(
        title,
        f"{what[:1].upper()}{what[1:]}. Blue is the blend, which serves; orange the popularity baselines. "
        f"{count(overall[0].queries)} queries.".strip(),
        charts.intervals([words(row.model) for row in overall], panels),
    )


def by_slice(task: str, rows: Sequence[QualityRow]) -> Block:
    """The blend beside the baseline for warm and cold users and each segment."""
    last = len(FIRST_SLICES)
    parts = [row for row in _blend_of_parts(rows) if not row.slice.startswith(TARGET)]
    parts.sort(key=lambda row: (FIRST_SLICES.index(row.slice) if row.slice in FIRST_SLICES else last, row.slice))
    return _blend_and_baseline(
        f"Who is served well: {words(task)} task",
        "The blend by warm or cold user and by segment; the number of queries is in brackets.",
        parts,
        rows,
    )


def by_target(task: str, rows: Sequence[QualityRow]) -> Block:
    """The blend beside the baseline, asked for what was viewed, put into the cart or bought, and for new products."""
    order = [target_slice(name) for name in TARGETS]
    parts = [row for row in _blend_of_parts(rows) if row.slice in order]
    parts.sort(key=lambda row: order.index(row.slice))
    title, whole = f"What is found: {words(task)} task", find_row(rows, BLEND)
    enough, few = _telling(parts)
    if len(enough) == 1 and whole is not None and enough[0].queries == whole.queries:
        return chart(title, f"all that was looked for are {part_name(enough[0].slice).lower()}. {few}".strip())
    return _blend_and_baseline(
        title,
        "The blend, asked for one kind of product alone: what was viewed, put into the cart or bought afterwards, and "
        "what nobody had touched before; the number of queries that have such a product is in brackets.",
        parts,
        rows,
    )


def _blend_of_parts(rows: Sequence[QualityRow]) -> list[QualityRow]:
    return [row for row in rows if row.model == BLEND and row.slice != ALL]


def _telling(rows: Sequence[QualityRow]) -> tuple[list[QualityRow], str]:
    """Rows of queries enough, and a sentence where there are others."""
    enough = [row for row in rows if row.queries >= FEWEST_QUERIES]
    return enough, TOO_FEW if len(enough) < len(rows) else ""


def _blend_and_baseline(title: str, what: str, parts: Sequence[QualityRow], rows: Sequence[QualityRow]) -> Block:
    parts, few = _telling(parts)
    if not parts:
        return chart(title, f"no part has {FEWEST_QUERIES} queries." if few else "")
    names = [f"{part_name(row.slice)} ({count(row.queries)})" for row in parts]
    series = {BLEND: [_dot(row, NDCG_10, BLUE) for row in parts]}
    other = baseline(rows)
    if other:
        series[words(other)] = [_dot(find_row(rows, other, row.slice), NDCG_10, ORANGE) for row in parts]
    return chart(
        title,
        f"{what} {few}".strip(),
        charts.intervals(names, {f"{METRIC_LABELS[NDCG_10]} (0 to 1)": series}),
    )


def part_name(part: str) -> str:
    """A slice in words: `segment:VIP_Customers` as `VIP Customers`, `target:purchase` as `Purchases`."""
    if part.startswith(TARGET):
        return TARGET_WORDS[part.removeprefix(TARGET)]
    return words(part.removeprefix(SEGMENT))


def _metric_column(metric: str) -> tuple[str, Callable[[QualityRow], str]]:
    return METRIC_LABELS[metric], lambda row: stacked(row.metrics[metric])


def overall_table(task: str, rows: Sequence[QualityRow]) -> Block:
    """Every metric of every model over all queries."""
    overall = _overall(rows)
    various = any(row.diversity_10 is not None for row in overall)
    return table_of(
        overall,
        [
            ("Model", lambda row: words(row.model)),
            ("Queries", lambda row: count(row.queries)),
            *(_metric_column(metric) for metric in SHOWN),
            ("Coverage @10", lambda row: percent(row.coverage_10)),
            ("Novelty @10", lambda row: decimal(row.novelty_10, 1)),
            *([("Diversity @10", lambda row: percent(row.diversity_10))] if various else []),
        ],
        title=f"All metrics: {words(task)} task",
        caption="Estimate, and its interval below it; coverage is the share of the catalogue recommended, "
        "novelty the bits that a product tells (10: one of a thousand equally popular ones)"
        f"{', diversity the share of pairs of different categories' if various else ''}, of lists that have some.",
        wide=True,
    )


def slice_table(task: str, rows: Sequence[QualityRow]) -> Block:
    """Metrics at 10 by slice and model."""
    parts, few = _telling([row for row in rows if row.slice != ALL])
    return table_of(
        parts,
        [
            ("Slice", lambda row: part_name(row.slice)),
            ("Model", lambda row: words(row.model)),
            ("Queries", lambda row: count(row.queries)),
            *(_metric_column(metric) for metric in AT_10),
        ],
        left=(0, 1),
        title=f"By slice: {words(task)} task",
        caption=few,
        folded=True,
        wide=True,
    )


def headline(task: str, rows: Sequence[QualityRow]) -> tuple[str, str, str] | None:
    """Label, value and note of the task's tile: the blend's NDCG@10 beside the baseline's."""
    own = find_row(rows, BLEND)
    if own is None:
        return None
    metric = own.metrics[NDCG_10]
    note = f"interval {score(metric.low)} to {score(metric.high)}"
    name = baseline(rows)
    other = find_row(rows, name) if name else None
    if name and other:
        theirs = other.metrics[NDCG_10]
        note += f"; {words(name)} {interval(theirs)}"
        if theirs.mean > 0:
            note += f", so {compact(metric.mean / theirs.mean)} times as high"
    return f"Blend {METRIC_LABELS[NDCG_10]}, {words(task)} task", score(metric.mean), note
