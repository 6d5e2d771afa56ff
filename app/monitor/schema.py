"""The measurements in InfluxDB: what is written, what every dashboard reads.

`docs/influxdb.md` holds the same table; `python -m app.monitor.schema docs/influxdb.md` renews it.

A point's identity is measurement, tags and time: the same point written again overwrites itself.
"""

import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from app.evaluate.names import BLEND, MOST_POPULAR
from app.monitor.lines import BATCH_CLOCK, EVENT_CLOCK, TIME, Field, Measurement, Tag
from app.monitor.training_schema import BEHAVIOUR, LIFECYCLE, MODEL, MOVES, PROFILES, RFM, SEGMENT, SEGMENTS, VALUE

if TYPE_CHECKING:  # as in `lines`
    import pandas as pd

NANOSECONDS_PER_MILLISECOND = 1_000_000

#: Generators of `quality` that are no candidate generators: the list as served, and the baseline.
SERVED, BASELINE = BLEND, MOST_POPULAR

_VERSION = Tag("model_version", "bundle that made the list; one more per training")
_GENERATOR = Tag("generator", "candidate generator that put the product there")

EVENTS = Measurement(
    "events",
    "Events and revenue of a 5-minute window, rewritten while the window still changes.",
    f"{EVENT_CLOCK}: start of the window",
    (Tag("event_type", "view, cart, remove_from_cart, purchase"), Tag("main_category", "first part of category_code")),
    (
        Field("events", "integer", "events", "distinct events in the window"),
        Field("revenue", "float", "shop currency", "price × quantity, summed; 0 unless the event type is purchase"),
    ),
)

RECOMMENDATIONS = Measurement(
    "recommendations",
    "One point per place of every list written. Write it with `recommendation_lines`.",
    f"{BATCH_CLOCK}: generated_at in ms, then the point's number in its batch as nanoseconds",
    (SEGMENT, _GENERATOR, _VERSION),
    (
        Field("user_id", "integer", "", "who the list is for; a string where the shop's ids are text"),
        Field("product_id", "integer", "", "recommended product; likewise"),
        Field("rank", "integer", "", "place in the list, from 1"),
        Field("score", "float", "", "score in the blend; comparable within one list only"),
        Field("price", "float", "shop currency", "the product's average price"),
    ),
)

LISTS = Measurement(
    "lists",
    "Lists written by a micro-batch, counted so that no panel has to count single recommendations.",
    f"{BATCH_CLOCK}: start of the micro-batch",
    (SEGMENT, _GENERATOR, _VERSION),
    (
        Field("lists", "integer", "lists", "lists whose first place the generator filled; sums to all lists"),
        Field("places", "integer", "places", "places of lists the generator filled"),
    ),
)

QUALITY = Measurement(
    "quality",
    "Prequential quality of a micro-batch, as sums: HR@10 = hits_10 / queries, MRR = reciprocal_rank_sum / queries.",
    f"{BATCH_CLOCK}: start of the micro-batch",
    (
        SEGMENT,
        Tag(
            "generator",
            f'"{SERVED}" is the list as served, "{BASELINE}" the baseline, else a candidate generator alone',
        ),
        Tag("model_version", "bundle that made the judged list"),
    ),
    (
        Field("queries", "integer", "events", "events whose product could have been in a list made just before"),
        Field("hits_10", "integer", "events", "queries whose product was in the first ten"),
        Field("reciprocal_rank_sum", "float", "", "sum of 1 / place over queries; 0 beyond the tenth"),
    ),
)

STREAM_PROGRESS = Measurement(
    "stream_progress",
    "One point per micro-batch: what it did and how long it took.",
    f"{BATCH_CLOCK}: start of the micro-batch",
    (),
    (
        Field("rows", "integer", "rows", "rows read"),
        Field("rejected_rows", "integer", "rows", "rows that cannot be events"),
        Field("late_rows", "integer", "rows", "events too late for their session; archived, and counted in windows"),
        Field("lists", "integer", "lists", "lists written"),
        Field("batch_seconds", "float", "s", "the whole micro-batch"),
        Field("read_seconds", "float", "s", "listing files and planning"),
        Field("score_seconds", "float", "s", "updating sessions and scoring"),
        Field("write_seconds", "float", "s", "writing to all sinks"),
        Field("freshness_p50_seconds", "float", "s", "file's arrival to its lists being readable, median over lists"),
        Field("freshness_p95_seconds", "float", "s", "the same, 95th percentile"),
        Field("freshness_max_seconds", "float", "s", "the same, worst"),
        Field("state_rows", "integer", "rows", "rows in the state store"),
        Field("state_bytes", "integer", "bytes", "memory the state store uses"),
        Field("influx_retries", "integer", "retries", "writes to InfluxDB that had to be retried"),
        Field("bundle_refusals", "integer", "bundles", "damaged bundles refused"),
        Field("event_time_last", "integer", "ms since 1970", "latest event time read: the shop's clock"),
        Field(
            "unaccounted_rows", "integer", "rows", "rows that the accounts miss or have twice; 0 unless some are lost"
        ),
        Field("unaccounted_lists", "integer", "lists", "lists, or rows of their files, that are missing or doubled"),
        Field("missing_accounts", "integer", "batches", "micro-batches that no account is there of"),
        Field("model_version", "string", "", "bundle in use"),
    ),
)

API = Measurement(
    "api",
    "What a replica of `vitrine serve` answered since its last point, by route; written every ten seconds.",
    f"{BATCH_CLOCK}: when it was written, to the nanosecond, which keeps replicas apart",
    (Tag("route", 'as in the OpenAPI, with its parameters\' names; "other" for paths that are none'),),
    (
        Field("requests", "integer", "requests", "answered; a route that nobody asked has no point"),
        Field("refused", "integer", "requests", "of these with 4xx"),
        Field("errors", "integer", "requests", "of these with 5xx"),
        Field("seconds_p50", "float", "s", "from a request's head to the end of its answer, median"),
        Field("seconds_p95", "float", "s", "the same, 95th percentile"),
        Field("seconds_p99", "float", "s", "the same, 99th percentile"),
    ),
)


_LISTED = f"{BATCH_CLOCK}: start of the window in which the lists were answered"
_EXPERIMENT = Tag("experiment", 'experiment that the list takes part in, "none" for all others')
_VARIANT = Tag("variant", "champion or challenger")
_ANSWERED_BY = Tag("model_version", "bundle that answered")

ATTRIBUTED_PLACES = Measurement(
    "attributed_places",
    "What came of the places of lists that the API answered, rewritten as long as events may come. Each place counts "
    "once as clicked, carted and bought.",
    _LISTED,
    (
        _EXPERIMENT,
        _VARIANT,
        _ANSWERED_BY,
        Tag("generator", "the place's source"),
        Tag("reason", "kind of its reason: session, history, product, category, shop"),
    ),
    (
        Field("shown", "integer", "places", "places answered"),
        Field("clicked", "integer", "places", "of these, whose product was viewed by an event that names the list"),
        Field("carted", "integer", "places", "likewise put into the cart"),
        Field("bought", "integer", "places", "likewise bought"),
        Field("revenue", "float", "shop currency", "price × quantity of these purchases, each event once"),
    ),
)

ATTRIBUTED_LISTS = Measurement(
    "attributed_lists",
    "What came of lists that the API answered, rewritten as long as events may come. Each list counts once as clicked, "
    "carted and bought from.",
    _LISTED,
    (_EXPERIMENT, _VARIANT, _ANSWERED_BY),
    (
        Field("answered", "integer", "lists", "lists answered"),
        Field("clicked", "integer", "lists", "of these, with a product viewed by an event that names the list"),
        Field("carted", "integer", "lists", "likewise put into the cart"),
        Field("bought", "integer", "lists", "likewise bought"),
        Field("revenue", "float", "shop currency", "price × quantity of these purchases, each event once"),
    ),
)

ATTRIBUTED_EVENTS = Measurement(
    "attributed_events",
    "Posted events that name a list, by what became of them.",
    f"{BATCH_CLOCK}: start of the window in which they were posted",
    (
        Tag("event_type", "view, cart, remove_from_cart, purchase"),
        Tag("outcome", "attributed; not_in_list: its product was not in it; unknown_list: none of ours, or too old"),
    ),
    (Field("events", "integer", "events", "accepted events, each once"),),
)

MEASUREMENTS = (
    EVENTS,
    RECOMMENDATIONS,
    LISTS,
    QUALITY,
    STREAM_PROGRESS,
    MODEL,
    SEGMENTS,
    MOVES,
    BEHAVIOUR,
    PROFILES,
    RFM,
    LIFECYCLE,
    VALUE,
    API,
    ATTRIBUTED_PLACES,
    ATTRIBUTED_LISTS,
    ATTRIBUTED_EVENTS,
)


#: The same of a shop whose ids are text. A bucket holds one of the two: InfluxDB keeps a field's type.
RECOMMENDATIONS_BY_TEXT = replace(
    RECOMMENDATIONS,
    fields=tuple(
        replace(field, type="string") if field.name in ("user_id", "product_id") else field
        for field in RECOMMENDATIONS.fields
    ),
)


def recommendation_lines(table: "pd.DataFrame", lane: int = 0, lanes: int = 1) -> list[str]:
    """Lines of `recommendations`, no two of one batch at the same time.

    Many users share generated_at and all tags, so the time must distinguish them. A hash of the
    user would collide (10,000 points among the 10^6 ns of a millisecond: fifty pairs), so points
    are numbered: sorted by user and rank, the i-th of a lane stands at generated_at + i·lanes + lane
    nanoseconds. Lanes thus never meet, and the same rows give the same lines whatever their order.
    The next batch may start as soon as lanes × (rows of the fullest lane) nanoseconds later, far less
    than writing the rows takes.

    Parameters
    ----------
    table
        Columns `time` (generated_at as datetime64 or ns; cut to the millisecond) and those of
        `RECOMMENDATIONS`; all rows of this lane that share a generated_at.
    lane, lanes
        Number of the part of the batch this table is, and of how many: a Spark partition and their
        number. On a retry the same users must come to the same lane.
    """
    import pandas as pd

    if not 0 <= lane < lanes:
        raise ValueError(f"lane {lane} of {lanes}")
    nanoseconds = pd.Series(
        pd.DatetimeIndex(pd.to_datetime(table[TIME], utc=True)).as_unit("ns").asi8, index=table.index, dtype="int64"
    )
    batch = nanoseconds // NANOSECONDS_PER_MILLISECOND * NANOSECONDS_PER_MILLISECOND
    ordered = table.assign(**{TIME: batch}).sort_values([TIME, "user_id", "rank", "product_id"], kind="stable")
    number = ordered.groupby(TIME).cumcount()
    measurement = RECOMMENDATIONS if pd.api.types.is_integer_dtype(table["user_id"]) else RECOMMENDATIONS_BY_TEXT
    return measurement.lines(ordered.assign(**{TIME: ordered[TIME] + number * lanes + lane}))


BEGIN, END = "<!-- schema: begin -->", "<!-- schema: end -->"


def markdown() -> str:
    """The measurements as a section of the documentation."""
    parts = []
    for measurement in MEASUREMENTS:
        parts += [f"### `{measurement.name}`", "", measurement.meaning, "", f"Time: {measurement.clock}.", ""]
        parts += ["| column | kind | unit | meaning |", "|---|---|---|---|"]
        parts += [f"| `{tag.name}` | tag | | {tag.meaning} |" for tag in measurement.tags]
        parts += [f"| `{field.name}` | {field.type} | {field.unit} | {field.meaning} |" for field in measurement.fields]
        parts.append("")
    return "\n".join(parts)


def renewed(page: str) -> str:
    """The page with its schema section renewed."""
    head, rest = page.split(BEGIN)
    return f"{head}{BEGIN}\n{markdown()}{END}{rest.split(END)[1]}"


if __name__ == "__main__":
    path = Path(sys.argv[1])
    path.write_text(renewed(path.read_text()))
