"""The closing summary of a run, for people."""

from app.evaluate.names import ALL, BLEND, HR_10, METRIC_LABELS, MOST_POPULAR, NDCG_10
from app.evaluate.results import Quality
from app.insight.behaviour_results import Behaviour
from app.insight.customer_results import Customers
from app.insight.results import Exploration
from app.results.run import Cleaning, RunResult


def summary_lines(result: RunResult) -> list[str]:
    """What a run found and where it lies, a line each."""
    lines = _cleaning(result.cleaning)
    if result.exploration:
        lines += _exploration(result.exploration)
    if result.behaviour:
        lines += _behaviour(result.behaviour)
    if result.segments:
        lines += [
            f"Segment {row.segment_id} {row.segment}: {row.users:,} users ({row.share:.1%})"
            for row in result.segments.rows
        ]
    lines += [
        f"Profile {row.profile}: {row.users:,} users ({row.share:.1%})" for row in result.profiles or () if row.users
    ]
    if result.customers:
        lines += _customers(result.customers)
    if result.quality:
        lines += _quality(result.quality)
    if result.ranker:
        lines.append(result.ranker.sentence)
    if result.gate:
        published = "published" if result.gate.published else "NOT published"
        lines.append(f"Bundle {result.version} {published}: {result.gate.reason}")
    if result.synthetic:
        lines.append("Synthetic data: these figures say nothing about a real shop.")
    return lines + _paths(result)


def _cleaning(rows: Cleaning) -> list[str]:
    return [
        f"{rows.read:,} rows read: {rows.kept:,} kept, {rows.duplicates:,} exact duplicates dropped, "
        f"{rows.rejected:,} rejected",
        *(f"  rejected, {reason}: {count:,}" for reason, count in rows.reasons.items()),
        *(f"  left out, {reason}: {count:,}" for reason, count in rows.left_out.items()),
    ]


def _exploration(found: Exploration) -> list[str]:
    events = found.events
    missing = {row.column: row.missing for row in events.missing}
    return [
        ", ".join(f"{row.events:,} {row.event_type}" for row in events.event_mix if row.events),
        f"{missing['category_code']:,} missing category codes, {missing['brand']:,} missing brands, "
        f"{events.prices_not_positive:,} prices <= 0",
        f"{events.users:,} users, {events.products:,} products, {found.sessions.count:,} sessions, "
        f"{events.first} to {events.last}",
    ]


def _behaviour(found: Behaviour) -> list[str]:
    lines = []
    if found.funnel:
        reached = zip(found.funnel.steps, found.funnel.total.sessions, strict=True)
        lines.append("Sessions that reach " + ", ".join(f"{step}: {sessions:,}" for step, sessions in reached))
    if found.carts:
        lines += [
            f"{row.lines:,} cart lines left behind" + (f", worth {row.value:,.2f}" if row.value is not None else "")
            for row in found.carts.outcomes
            if row.outcome == "left"
        ]
    return lines


def _customers(found: Customers) -> list[str]:
    lines = [f"{row.name}: {row.customers:,} customers, {row.revenue_share:.1%} of spending" for row in found.rfm]
    value = found.value
    if value is None:
        return lines
    if value.bg_nbd.not_identified:
        lines.append(f"Who is still a customer is not identified: {value.bg_nbd.not_identified}")
    every = value.rows[0]
    if every.p_alive and every.purchases_90:
        lines.append(
            f"{every.p_alive.value:.1%} of {every.customers:,} customers are expected to be customers still, and "
            f"to make {every.purchases_90.value:,.0f} purchases in 90 days"
        )
    if value.gamma_gamma.not_identified:
        lines.append(f"What a purchase is worth is not identified: {value.gamma_gamma.not_identified}")
    if value.correlated:
        lines.append(f"Frequency and spend correlate ({value.correlation:.2f}): values mislead")
    return lines


def _quality(quality: Quality) -> list[str]:
    lines = []
    for row in quality.rows:
        if row.slice == ALL and row.model in (BLEND, MOST_POPULAR):
            ndcg, hit_rate = row.metrics[NDCG_10], row.metrics[HR_10]
            lines.append(
                f"Task {row.task}, {row.model.replace('_', ' ')}: {METRIC_LABELS[NDCG_10]} {ndcg.mean:.4f} "
                f"[{ndcg.low:.4f}, {ndcg.high:.4f}], {METRIC_LABELS[HR_10]} {hit_rate.mean:.4f}, "
                f"{row.queries:,} queries"
            )
    return lines


def _paths(result: RunResult) -> list[str]:
    paths = result.paths
    named = {
        "Bundle": paths.bundle,
        "Recommendations": paths.merged_csv,
        "Report": paths.report,
        "Cleaned events": paths.cleaned,
        "Rejected rows": paths.rejected,
        "Segments": paths.segments,
        "Customers": paths.customers,
        "Product rates": paths.performance,
        "Figures as tables": paths.figures,
        "All figures (JSON)": paths.run,
    }
    width = max(len(name) for name in named)
    return [f"{name:<{width}}  {path}" for name, path in named.items() if path is not None]
