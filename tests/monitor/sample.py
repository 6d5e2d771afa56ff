"""Representative points of every measurement, as a short run of the whole system would leave them.

All figures are invented, to be asked for by the dashboards' queries.
"""

from datetime import datetime, timedelta

import pandas as pd

from app.monitor.schema import (
    API,
    ATTRIBUTED_EVENTS,
    ATTRIBUTED_LISTS,
    ATTRIBUTED_PLACES,
    EVENTS,
    LISTS,
    QUALITY,
    STREAM_PROGRESS,
    recommendation_lines,
)
from app.monitor.training_schema import BEHAVIOUR, LIFECYCLE, MODEL, MOVES, PROFILES, RFM, SEGMENTS, VALUE

SEGMENT_IDS = ("0", "1", "unknown")
VERSIONS = ("20260101_000000", "20260102_000000")
BATCH_SECONDS, BATCHES, WINDOWS, LISTS_PER_BATCH = 2, 30, 6, 5
HITS = {"blend": 4, "most_popular": 1}  #: of 10 queries, per batch, segment and version
GENERATORS = ("als", "covisitation", "popularity")
ROUTES = {"/v1/popular": 0.01, "/health/live": 0.002}  #: and the seconds that their answers took
QUANTILES = ("seconds_p50", "seconds_p95", "seconds_p99")
RFM_NAMES = ("Champions", "Can't lose")
PROFILE_SHARES = {"Impulsive_Buyer": 0.25, "Other": 0.75}
LIFECYCLES = {"visits": {"new": 50, "dormant": 40}, "purchases": {"new": 5, "dormant": 4}}
#: By variant: lists answered, clicked, bought from, of each of both windows and versions.
VARIANTS = {"champion": (1_000, 50, 5), "challenger": (500, 50, 2)}


def sample_lines(now: datetime, shop_time: datetime) -> list[str]:
    """One minute of micro-batches before `now`, of events that happened in the half hour before `shop_time`."""
    trained = [now - timedelta(minutes=20), now - timedelta(minutes=10)]
    lines = _windows(shop_time) + _trainings(trained) + _attributed(now)
    for number in range(BATCHES):
        at = now - timedelta(seconds=(BATCHES - number) * BATCH_SECONDS)
        lines += _batch(at, number, shop_time)
    return lines


def _windows(shop_time: datetime) -> list[str]:
    counts = {"view": 100, "cart": 10, "purchase": 4, "remove_from_cart": 1}
    return [
        EVENTS.line(
            time=shop_time - timedelta(minutes=5 * (number + 1)),
            event_type=event_type,
            main_category=category,
            events=count,
            revenue=12.5 * count if event_type == "purchase" else 0.0,
        )
        for number in range(WINDOWS)
        for category in ("electronics", "appliances", "unknown")
        for event_type, count in counts.items()
    ]


def _attributed(now: datetime) -> list[str]:
    """Two windows of an experiment, and lists that take no part in it."""
    lines = []
    for version, minutes in zip(VERSIONS, (10, 5), strict=True):
        at = now - timedelta(minutes=minutes)
        lines.append(ATTRIBUTED_EVENTS.line(time=at, event_type="view", outcome="attributed", events=100))
        lines.append(ATTRIBUTED_EVENTS.line(time=at, event_type="view", outcome="unknown_list", events=4))
        of_all = {"none": {"champion": (100, 10, 1)}, "autumn": VARIANTS}
        for experiment, variants in of_all.items():
            for variant, (answered, clicked, bought) in variants.items():
                tags = {"experiment": experiment, "variant": variant, "model_version": version}
                came = {"clicked": clicked, "carted": bought, "bought": bought, "revenue": 2.5 * bought}
                lines.append(ATTRIBUTED_LISTS.line(time=at, **tags, answered=answered, **came))
                lines += [
                    ATTRIBUTED_PLACES.line(
                        time=at, **tags, generator=generator, reason=reason, shown=5 * answered, **came
                    )
                    for generator, reason in (("covisitation", "session"), ("popularity", "shop"))
                ]
    return lines


def _batch(at: datetime, number: int, shop_time: datetime) -> list[str]:
    version = VERSIONS[number * 2 // BATCHES]
    tags = {"time": at, "model_version": version}
    lines = [
        STREAM_PROGRESS.line(
            time=at,
            **{field.name: 1 for field in STREAM_PROGRESS.fields if field.type != "string"}
            | {"rows": 2_000, "model_version": version, "event_time_last": int(shop_time.timestamp() * 1000)},
        )
    ]
    lines += [
        API.line(time=at, route=route, requests=20, refused=2, errors=1, **dict.fromkeys(QUANTILES, seconds))
        for route, seconds in ROUTES.items()
    ]
    for segment in SEGMENT_IDS:
        lines += [
            QUALITY.line(
                **tags, segment=segment, generator=generator, queries=10, hits_10=hits, reciprocal_rank_sum=hits / 2
            )
            for generator, hits in HITS.items()
        ]
        lines += [
            LISTS.line(**tags, segment=segment, generator=generator, lists=LISTS_PER_BATCH, places=50)
            for generator in GENERATORS
        ]
    return lines + recommendation_lines(_lists(at, version))


def _lists(at: datetime, version: str) -> pd.DataFrame:
    return pd.DataFrame(
        [
            {
                "time": at,
                "segment": SEGMENT_IDS[user % len(SEGMENT_IDS)],
                "generator": GENERATORS[rank % len(GENERATORS)],
                "model_version": version,
                "user_id": 500_000_000 + user,
                "product_id": 1_000_000 + rank,
                "rank": rank,
                "score": 1 / rank,
                "price": 99.9,
            }
            for user in range(LISTS_PER_BATCH)
            for rank in range(1, 11)
        ]
    )


def _trainings(trained: list[datetime]) -> list[str]:
    lines = []
    for at, version in zip(trained, VERSIONS, strict=True):
        lines.append(MODEL.line(time=at, model_version=version, **{field.name: 1 for field in MODEL.fields}))
        lines += [
            SEGMENTS.line(
                time=at,
                segment=segment,
                model_version=version,
                **{field.name: 3 for field in SEGMENTS.fields} | {"name": f"Many visits {segment}"},
            )
            for segment in SEGMENT_IDS
        ]
        lines += [
            MOVES.line(
                time=at, segment=segment, was=was, model_version=version, users=3, share=1 / 3, name="a", was_name="b"
            )
            for segment in SEGMENT_IDS
            for was in SEGMENT_IDS
        ]
        lines += _customers(at, version)
        lines.append(BEHAVIOUR.line(time=at, model_version=version, **{field.name: 2 for field in BEHAVIOUR.fields}))
    return lines


def _customers(at: datetime, version: str) -> list[str]:
    tags = {"time": at, "model_version": version}
    lines = [RFM.line(**tags, rfm=name, **{field.name: 5 for field in RFM.fields}) for name in RFM_NAMES]
    lines += [
        PROFILES.line(**tags, profile=profile, users=int(100 * share), share=share, rule="bought, and ...")
        for profile, share in PROFILE_SHARES.items()
    ]
    lines += [
        LIFECYCLE.line(**tags, activity=activity, state=state, users=users, week="2026-01-05")
        for activity, states in LIFECYCLES.items()
        for state, users in states.items()
    ]
    lines += [
        VALUE.line(**tags, segment=segment, **{field.name: 3 for field in VALUE.fields} | {"name": "Many visits"})
        for segment in SEGMENT_IDS
    ]
    return lines
