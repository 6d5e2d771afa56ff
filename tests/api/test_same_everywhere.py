"""One visit, one list: over HTTP, in the stream, in batch, and in the benchmark on a shop's log."""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import serve

from app.events.forgotten import ForgottenUsers
from app.events.merged import Merge, Merged
from app.registry.identities import EVERYONE, Identities
from app.serve.generators import GENERATORS
from app.serve.ragged import NONE
from app.serve.rankers import RANKERS, ReciprocalRank
from app.serve.recommender import Recommender
from app.serve.visits import Visitors
from app.train.lists import ListMaker
from tests.api.client import Api, ids
from tests.api.everywhere import as_asked, in_benchmark, in_stream, sessions, sources_everywhere
from tests.arrays import visitors
from tests.stream.shop import ANNA, PRODUCTS, START, STRANGER, recommender, write_bundle
from tests.stream.test_score import task

LATER = datetime(2020, 1, 1, tzinfo=UTC)  #: long after Anna's purchase
USERS = [ANNA, STRANGER, *range(1_000, 1_018)]


def test_with_a_session(api: Api, tmp_path: Path) -> None:
    seen = sessions(USERS, PRODUCTS.tolist())
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
    streamed = in_stream(task(tmp_path, weights), USERS, seen, ("view",))
    asked = visitors(USERS, seen, START.timestamp(), [[1.0] * len(one) for one in seen])
    assert streamed == in_benchmark(recommender(weights=weights), asked)
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
    assert in_benchmark(recommender(), asked) == [
        ids(api.get(f"/v1/users/{user}/recommendations")) for user in (ANNA, STRANGER)
    ]
    ForgottenUsers(tmp_path).forget(ANNA, LATER.timestamp())
    forgotten = in_batch(Identities(ForgottenUsers(tmp_path).read()))
    assert forgotten == dict.fromkeys((ANNA, STRANGER), batch[STRANGER])
    merged = in_batch(Identities(merged=Merged.of([Merge(user=ANNA, into=STRANGER, into_key=str(STRANGER), at=1)])))
    assert merged[STRANGER] == batch[ANNA]


@pytest.mark.parametrize("ranker", [kind.name for kind in RANKERS])
def test_with_every_generator_and_ranker(ranker: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a bundle of random arrays: its lists mean nothing, and each place is one generator's or another's.

    Its trees look at how long ago and at which hour something was, too.
    """

    def within_a_day(model: Recommender, n: int, rng: np.random.Generator) -> Visitors:
        users = [*range(n)]
        asked = as_asked(users, sessions(users, model.catalogue.product_ids.tolist()))
        return replace(asked, now=asked.now + rng.random(n) * 86_400)

    monkeypatch.setattr(serve, "visitors", within_a_day)
    made = serve.synthetic(300, 40, np.random.default_rng(1))
    even = replace(made, ranker=ReciprocalRank(dict.fromkeys(made.generators, 1.0)))
    model = serve.ranked_by(even, ranker)
    assert (set(model.generators), model.ranker.name) == ({kind.name for kind in GENERATORS}, ranker)
    bundle = write_bundle(tmp_path / "models", "a", model)
    assert sources_everywhere(bundle, tmp_path) == set(model.generators), "all of them have a say"
    answer = model.recommend(within_a_day(model, 20, np.random.default_rng(2)), 10)
    of_popularity = answer.lists.sources == [*model.generators].index("popularity")
    assert (answer.because[of_popularity] == NONE).all()
    assert (answer.because[~of_popularity] != NONE).mean() > 0.7  # some have touched nothing that counts
    for row, reasons in enumerate(answer.because.tolist()):
        touched = answer.visits.slice(row, row + 1).touched.products.tolist()
        assert {*reasons} <= {NONE, *touched}
