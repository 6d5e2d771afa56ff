"""One visit asked of all that answer: the API, a micro-batch, batch lists, the benchmark on a shop's log."""

import random
from datetime import timedelta
from itertools import cycle
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from shop import all_lists

from app.core.settings import Settings
from app.events.vocabulary import RATING
from app.registry.bundle import Bundle
from app.serve.recommender import Recommender
from app.serve.visits import Touches, Visitors
from app.stream.score import Task
from app.train.lists import ListMaker
from tests.api.client import Api, ids
from tests.stream.shop import START
from tests.stream.test_score import rows, run, task_of

#: Event types of a session's events, in turn.
TYPES = ("view", "cart", "view", "remove_from_cart", "view", "purchase", "view")
GIVEN = ("event_time", "event_type", "product_id")  #: what a request tells of a session's event


def sessions(users: list[int], products: list[int]) -> list[list[int]]:
    """One for each user: some products, no one twice."""
    dice = random.Random(5)
    return [dice.sample(products, dice.randint(1, 12)) for _ in users]


def in_benchmark(model: Recommender, asked: Visitors) -> list[list[int]]:
    """The first ten of the served order, which reaches further there."""
    served = all_lists(model, asked, ablate=False)[model.ranker.name]
    return [row[:10].tolist() for row in served]


def in_stream(job: Task, users: list[int], seen: list[list[int]], types: tuple[str, ...]) -> list[list[int]]:
    """The list that is written for each user, by a micro-batch of all sessions."""
    asked = ((user, [(one, True) for one in session], True) for user, session in zip(users, seen, strict=True))
    run(job, rows(*asked, kinds=types))
    (written,) = job.lists.glob("*.parquet")
    by_user: dict[int, list[int]] = {}
    for row in pq.read_table(written).sort_by([("user_id", "ascending"), ("rank", "ascending")]).to_pylist():
        by_user.setdefault(row["user_id"], []).append(row["product_id"])
    return [by_user[user] for user in users]


def posted(user: int, session: list[int]) -> dict[str, Any]:
    """What posts the events of a session, at the times and of the types that the stream gets them with."""
    return {
        "events": [
            {
                "event_time": (START + timedelta(seconds=second)).isoformat(),
                "event_type": kind,
                "product_id": product,
                "user_id": user,
                "user_session": "now",
            }
            for second, (product, kind) in enumerate(zip(session, cycle(TYPES), strict=False))
        ]
    }


def as_asked(users: list[int], seen: list[list[int]]) -> Visitors:
    """The same visits as a benchmark's queries tell them, each at the moment of its last event."""
    began = START.timestamp()
    touched = Touches.of_lists(
        [
            [
                (product, kind, RATING.get(kind, 0.0), began + second)
                for second, (product, kind) in enumerate(zip(session, cycle(TYPES), strict=False))
            ]
            for session in seen
        ]
    )
    return Visitors.of(users, np.array([began + len(session) - 1 for session in seen]), touched)


def sources_everywhere(bundle: Path, output: Path) -> set[str]:
    """See that what a published bundle of an output folder answers is the same everywhere; generators of the places.

    With a session, given or posted, and without; half of the users are known to the bundle.
    """
    model = Bundle.open(bundle).recommender
    users = [*model.users.ids[:10].tolist(), *range(10**12, 10**12 + 10)]
    seen = sessions(users, model.catalogue.product_ids.tolist())
    staging = output / "task"
    staging.mkdir()
    streamed = in_stream(task_of(bundle, staging), users, seen, TYPES)
    assert in_benchmark(model, as_asked(users, seen)) == streamed

    now = START + timedelta(hours=3)  # a session is asked for as of its last event
    people = pa.table({"user_id": users, "user_key": pa.nulls(len(users), pa.string())})
    batch = pa.concat_tables(ListMaker(bundle, 10, now, now).lists(people))
    with Api(Settings(output=output, commit_seconds=0), now.timestamp) as api:
        without = [ids(api.get(f"/v1/users/{user}/recommendations")) for user in users]
        asks = [
            {"user_id": user, "session": [{key: event[key] for key in GIVEN} for event in posted(user, one)["events"]]}
            for user, one in zip(users, seen, strict=True)
        ]
        given = [api.post("/v1/recommendations", ask) for ask in asks]
        for user, session in zip(users, seen, strict=True):
            assert api.post("/v1/events", posted(user, session)).is_success
        after = [ids(api.get(f"/v1/users/{user}/recommendations")) for user in users]
    assert [product for one in without for product in one] == batch["product_id"].to_pylist()
    assert [ids(one) for one in given] == after == streamed
    return {*batch["source"].to_pylist(), *(product["source"] for one in given for product in one.json()["products"])}
