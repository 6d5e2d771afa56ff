"""A training obeys the lists of forgotten and of merged users, and takes with it what earlier ones know of them."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from app.core.errors import InputError
from app.core.folders import made_before
from app.events.forgotten import ForgottenUsers
from app.events.forgotten_rows import FORGOTTEN
from app.events.merged_users import MergedUsers
from app.registry.bundle import Bundle
from app.registry.manifest import MANIFEST
from app.registry.registry import Registry
from app.results.run import RunResult
from app.serve.ragged import NONE, unpack_keys
from tests.knowing import places_of
from tests.registry.bundles import make
from tests.train.shop import BROKEN, NOW, Shop

QUICK = {"generators": "covisitation,popularity", "force_publish": True, "bootstrap": 20, "evaluation_queries": 300}


def users_of(output: Path) -> Iterator[int]:
    for path in output.glob("recommendations/*/*.parquet"):
        yield from pq.read_table(path)["user_id"].to_pylist()


def bought(bundle: Bundle, user: int) -> set[int]:
    """The products that a bundle knows a user to have bought, by the shop's ids."""
    recommender = bundle.recommender
    positions = recommender.users.positions(np.array([user]))
    _, items = unpack_keys(recommender.users.bought_since(np.zeros(1, np.int64), positions, np.zeros(1)))
    return set(recommender.catalogue.product_ids[items].tolist())


def test_nothing_but_the_bundle_before_knows_a_forgotten_user(first: RunResult, trained: Shop, log: Path) -> None:
    shop, users = trained, [*dict.fromkeys(users_of(trained.output))]
    before = Bundle.open(shop.models / first.version)
    merged, survivor = islice((user for user in users if bought(before, user)), 2)
    user = next(user for user in users if user not in (merged, survivor))
    known = places_of(shop.output, user)
    assert {path.partition("/")[0] for path in known} >= {"processed", "models", "recommendations"}
    two, moment = MergedUsers(shop.output), (NOW + timedelta(hours=1.5)).timestamp()
    with two.alone():
        two.add(merged, survivor, str(survivor), moment)
    with pytest.raises(InputError, match="users were merged since; give --events"):
        shop.train(None, **QUICK)
    left_out = ForgottenUsers(shop.output)
    left_out.forget(user, moment)
    with pytest.raises(InputError, match="users were forgotten since; give --events"):
        shop.train(None, **QUICK)
    second = shop.train(log, **QUICK)
    assert second.cleaning.left_out == {FORGOTTEN: second.cleaning.left_out[FORGOTTEN]}
    assert second.cleaning.left_out[FORGOTTEN] > 0
    assert first.exploration is not None
    assert second.exploration is not None
    assert second.exploration.events.users == first.exploration.events.users - 2
    left = {path for path in places_of(shop.output, user) if not path.startswith(f"models/{first.version}/")}
    assert left == set()
    manifest = json.loads((shop.models / second.version / MANIFEST).read_text())
    assert manifest["forgotten"] == list(left_out.read().names)
    # Of the two who are one the new bundle knows the survivor alone, with all that both have bought.
    assert manifest["merged_until"] == two.read().latest
    after = Bundle.open(shop.models / second.version)
    assert after.recommender.users.positions(np.array([merged])) == [NONE]
    assert after.recommender.users.positions(np.array([survivor])) != [NONE]
    assert bought(after, survivor) == bought(before, survivor) | bought(before, merged)
    assert Registry(shop.models).history() == [second.version, first.version]


def test_a_training_that_is_refused_leaves_no_list_and_no_table_of_a_forgotten_user(
    first: RunResult, trained: Shop, log: Path
) -> None:
    """Only the champion knows the user until another is published."""
    shop = trained
    user = next(users_of(shop.output))
    users = ForgottenUsers(shop.output)
    moment = users.forget(user, (NOW + timedelta(hours=1.5)).timestamp())
    refused = shop.train(log, **BROKEN)
    assert refused.gate is not None
    assert not refused.gate.published
    assert {path.split("/")[1] for path in places_of(shop.output, user)} == {first.version}
    lists = shop.output / "recommendations" / first.version
    assert next(users_of(shop.output)), "the champion's lists are written anew, for all others"
    assert not made_before(lists, moment)
    assert made_before(lists, moment + 3_600_000_000)


def test_bundles_that_know_whom_the_new_one_does_not_are_deleted(tmp_path: Path) -> None:
    make(tmp_path, "a", "b", "c", "d")
    for name, forgotten in (("b", ["x-1", "y-2"]), ("d", ["x-1", "y-2"])):
        manifest = json.loads((tmp_path / name / MANIFEST).read_text())
        (tmp_path / name / MANIFEST).write_text(json.dumps(manifest | {"forgotten": forgotten}))
    registry = Registry(tmp_path)
    assert registry.forget(frozenset()) == []
    assert registry.forget(frozenset({"x-1", "y-2"})) == ["a"], "c was the champion before, and may be answering"
    assert sorted(path.name for path in tmp_path.iterdir() if path.is_dir()) == ["b", "c", "d"]


@pytest.mark.parametrize(
    ("name", "before"),
    [
        ("cleaned_data_20200101_115959", True),
        ("20200101_120000", True),
        ("20200101_115959_2", True),
        ("cleaned_data_20200101_120001", False),
        ("20200101_120001_2", False),
        ("CURRENT", False),
        ("a_2", False),
    ],
)
def test_what_a_run_made_tells_when_it_began(name: str, before: bool) -> None:
    noon = datetime(2020, 1, 1, 12, tzinfo=UTC)
    assert made_before(Path(name), round(noon.timestamp() * 1e6)) is before
