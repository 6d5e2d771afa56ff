"""One visit, one list: over HTTP, in the stream, in batch, and in the benchmark on a shop's log."""

import random
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from shop import all_lists

from app.events.forgotten import ForgottenUsers
from app.events.merged import Merge, Merged
from app.registry.identities import EVERYONE, Identities
from app.serve.recommender import Recommender
from app.train.lists import ListMaker
from tests.api.client import Api, ids
from tests.arrays import visitors
from tests.stream.shop import ANNA, PRODUCTS, START, STRANGER, recommender
from tests.stream.test_score import rows, run, task

LATER = datetime(2020, 1, 1, tzinfo=UTC)  #: long after Anna's purchase
USERS = [ANNA, STRANGER, *range(1_000, 1_018)]


def sessions() -> list[list[int]]:
    """One for each user: some products, no one twice."""
    dice = random.Random(5)
    return [dice.sample(PRODUCTS.tolist(), dice.randint(1, 12)) for _ in USERS]


def in_benchmark(model: Recommender, seen: list[list[int]]) -> list[list[int]]:
    """The first ten of the served order, which reaches further there."""
    asked = visitors(USERS, seen, START.timestamp(), [[1.0] * len(one) for one in seen])
    served = all_lists(model, asked, ablate=False)[model.ranker.name]
    return [row[:10].tolist() for row in served]


def test_with_a_session(api: Api, tmp_path: Path) -> None:
    seen = sessions()
    over_http = [
        ids(
            api.post(
                "/v1/recommendations",
                {"user_id": user, "session": [{"event_type": "view", "product_id": one} for one in session]},
            )
        )
        for user, session in zip(USERS, seen, strict=True)
    ]
    weights = {"covisitation": 1.0, "popularity": 0.3}
    job = task(tmp_path, weights)
    run(job, rows(*((user, [(one, True) for one in session], True) for user, session in zip(USERS, seen, strict=True))))
    (written,) = job.lists.glob("*.parquet")
    by_user: dict[int, list[int]] = {}
    for row in pq.read_table(written).sort_by([("user_id", "ascending"), ("rank", "ascending")]).to_pylist():
        by_user.setdefault(row["user_id"], []).append(row["product_id"])
    streamed = [by_user[user] for user in USERS]
    assert streamed == in_benchmark(recommender(weights=weights), seen)
    # Where HTTP is asked now, Anna's purchase, which the stream's clock has the day before, is long ago.
    assert streamed[1:] == over_http[1:]
    assert streamed[0] == [one for one in over_http[0] if one != 103] + streamed[0][len(over_http[0]) - 1 :]
    assert len({tuple(one) for one in over_http}) > len(USERS) / 2  # else they would agree by chance


def test_without_a_session(api: Api, tmp_path: Path) -> None:
    bundle = task(tmp_path, {"covisitation": 1.0, "popularity": 0.3}).bundle
    users = pa.table({"user_id": [ANNA, STRANGER], "user_key": pa.nulls(2, pa.string())})

    def in_batch(who: Identities = EVERYONE) -> dict[int, list[int]]:
        """Products of each user's list, the best first."""
        table = pa.concat_tables(ListMaker(bundle, 10, LATER, LATER, who).lists(users)).sort_by("rank")
        lists: dict[int, list[int]] = {ANNA: [], STRANGER: []}
        for row in table.to_pylist():
            lists[row["user_id"]].append(row["product_id"])
        return lists

    batch = in_batch()
    for user in (ANNA, STRANGER):
        assert batch[user] == ids(api.get(f"/v1/users/{user}/recommendations"))
    asked = visitors([ANNA, STRANGER], [[], []], LATER.timestamp())
    served = all_lists(recommender(), asked, ablate=False)["reciprocal_rank"][:, :10].tolist()
    assert served == [ids(api.get(f"/v1/users/{user}/recommendations")) for user in (ANNA, STRANGER)]
    ForgottenUsers(tmp_path).forget(ANNA, LATER.timestamp())
    forgotten = in_batch(Identities(ForgottenUsers(tmp_path).read()))
    assert forgotten == dict.fromkeys((ANNA, STRANGER), batch[STRANGER])
    merged = in_batch(Identities(merged=Merged.of([Merge(user=ANNA, into=STRANGER, into_key=str(STRANGER), at=1)])))
    assert merged[STRANGER] == batch[ANNA]
