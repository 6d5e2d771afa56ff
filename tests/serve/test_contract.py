"""What every candidate generator must do; a new one is tested here as soon as it is listed."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from app.core.settings import Settings
from app.serve.contract import NONE, Batch, Candidates, Generator, Tables
from app.serve.generators import GENERATORS
from app.serve.generators.als import ImplicitALS

BLOCK = 6
ALL = 2 * BLOCK
KINDS: list[tuple[type[Generator], str]] = [(kind, "auto") for kind in GENERATORS] + [(ImplicitALS, "spark")]
MakeBatch = Callable[..., Batch]


@dataclass(frozen=True)
class Fitted:
    kind: type[Generator]
    settings: Settings
    tables: Tables
    generator: Generator
    loaded: Generator


@pytest.fixture(scope="module", params=KINDS, ids=[f"{kind.name}-{engine}" for kind, engine in KINDS])
def fitted(
    request: pytest.FixtureRequest,
    block_tables: Callable[..., Tables],
    block_settings: Settings,
    tmp_path_factory: pytest.TempPathFactory,
) -> Fitted:
    kind, engine = request.param
    folder = tmp_path_factory.mktemp(kind.name)
    settings = block_settings.model_copy(update={"als_engine": engine})
    tables = block_tables(folder)
    generator = kind.fit(tables, settings)
    (folder / "saved").mkdir()
    generator.save(folder / "saved")
    return Fitted(kind, settings, tables, generator, kind.load(folder / "saved", tables.catalogue))


def seen(user: int) -> list[int]:
    start = user // BLOCK * BLOCK
    return [item for item in range(start, start + BLOCK) if item != user]


def best_unseen(candidates: Candidates, rows: list[list[int]]) -> list[int]:
    """The first candidate of each row that was not seen; NONE where there is none."""
    return [
        next((int(item) for item in found if item != NONE and item not in row), NONE)
        for found, row in zip(candidates.items, rows, strict=True)
    ]


def assert_same(one: Candidates, other: Candidates) -> None:
    """Equal scores, and equal products but for ties: last bits depend on how work is batched."""
    np.testing.assert_allclose(one.scores, other.scores, rtol=1e-4, atol=1e-5)
    for items, others, scores in zip(one.items, other.items, one.scores, strict=True):
        # Products whose score is clear of the last place must be the same ones.
        sure = scores > scores[-1] + 1e-3 if scores[-1] > 0 else items != NONE
        assert set(items[sure]) <= set(others[others != NONE])
        assert (items == NONE).tolist() == (others == NONE).tolist()


def wild_batch(make_batch: MakeBatch) -> Batch:
    """Known and unknown users, fresh or not, with sessions of all kinds."""
    rng = np.random.default_rng(4)
    sessions = [rng.permutation(ALL)[: rng.integers(0, 6)].tolist() for _ in range(40)]
    users = rng.integers(NONE, ALL, 40).tolist()
    batch = make_batch(sessions, users, weights=[rng.choice([0.0, 1.0, 3.0, 10.0], len(s)).tolist() for s in sessions])
    return Batch(batch.users, batch.segments, batch.offsets, batch.items, batch.weights, rng.random(40) < 0.5)


def test_known_answer_for_a_known_user(fitted: Fitted, make_batch: MakeBatch) -> None:
    rows = [seen(user) for user in range(ALL)]
    found = fitted.generator.candidates(make_batch(rows, users=list(range(ALL)), fresh=False), ALL)
    assert best_unseen(found, rows) == list(range(ALL))


def test_known_answer_for_an_unknown_session(fitted: Fitted, make_batch: MakeBatch) -> None:
    rows = [seen(user) for user in range(ALL)]
    found = fitted.generator.candidates(make_batch(rows), ALL)
    assert best_unseen(found, rows) == list(range(ALL))


def test_a_short_session_is_enough_to_stay_in_its_block(fitted: Fitted, make_batch: MakeBatch) -> None:
    rows = [[0, 1], [7, 8], [3], [11]]
    found = fitted.generator.candidates(make_batch(rows), 3)
    blocks = [int(item) // BLOCK for item in found.items.ravel()]
    assert blocks == [0] * 3 + [1] * 3 + [0] * 3 + [1] * 3


def test_saved_and_loaded_answers_the_same(fitted: Fitted, make_batch: MakeBatch) -> None:
    batch = wild_batch(make_batch)
    before, after = (one.candidates(batch, 7) for one in (fitted.generator, fitted.loaded))
    assert before.items.tolist() == after.items.tolist()
    assert before.scores.tolist() == after.scores.tolist()


def test_a_user_of_whom_nothing_is_known(fitted: Fitted, make_batch: MakeBatch) -> None:
    check_shape(fitted.generator.candidates(make_batch([[], []], users=[NONE, 3]), 5), 2, 5)


def check_shape(found: Candidates, n: int, k: int) -> None:
    assert found.items.shape == found.scores.shape == (n, k)
    assert (found.items.dtype, found.scores.dtype) == (np.int32, np.float32)
    assert np.isfinite(found.scores).all()
    none: NDArray[np.bool_] = found.items == NONE
    assert (found.items[~none] >= 0).all()
    assert (found.items[~none] < ALL).all()
    assert (found.scores[~none] > 0).all()
    assert (found.scores[none] == 0).all()
    assert (np.diff(found.scores, axis=1) <= 0).all(), "best first, and nothing behind the padding"
    for row in found.items:
        there = row[row != NONE]
        assert len(set(there.tolist())) == len(there), "no product twice"


@pytest.mark.parametrize("k", [1, 5, ALL, ALL + 1, 500])
def test_shape_order_padding_and_no_product_twice(fitted: Fitted, make_batch: MakeBatch, k: int) -> None:
    """Among them more products than the catalogue, and than were kept at fitting."""
    batch = wild_batch(make_batch)
    check_shape(fitted.generator.candidates(batch, k), len(batch), k)


def test_a_smaller_k_is_the_beginning_of_a_larger_one(fitted: Fitted, make_batch: MakeBatch) -> None:
    batch = wild_batch(make_batch)
    few, many = fitted.generator.candidates(batch, 3), fitted.generator.candidates(batch, 20)
    assert_same(few, Candidates(many.items[:, :3], many.scores[:, :3]))


def test_an_answer_does_not_depend_on_the_rest_of_the_batch(fitted: Fitted, make_batch: MakeBatch) -> None:
    batch = wild_batch(make_batch)
    together = fitted.generator.candidates(batch, 6)
    alone = [fitted.generator.candidates(batch.slice(row, row + 1), 6) for row in range(len(batch))]
    assert_same(
        together, Candidates(np.concatenate([x.items for x in alone]), np.concatenate([x.scores for x in alone]))
    )


def test_an_empty_batch(fitted: Fitted, make_batch: MakeBatch) -> None:
    check_shape(fitted.generator.candidates(make_batch([]), 4), 0, 4)


def test_what_was_only_removed_from_the_cart_is_no_interest(fitted: Fitted, make_batch: MakeBatch) -> None:
    removed = fitted.generator.candidates(make_batch([[0, 1]], weights=[[0.0, 0.0]]), 5)
    nothing = fitted.generator.candidates(make_batch([[]]), 5)
    assert_same(removed, nothing)


def test_the_order_of_training_rows_does_not_matter(
    fitted: Fitted, make_batch: MakeBatch, block_tables: Callable[..., Tables], tmp_path: Path
) -> None:
    again = fitted.kind.fit(block_tables(tmp_path, shuffled=True), fitted.settings)
    batch = wild_batch(make_batch)
    before, after = (one.candidates(batch, 7) for one in (fitted.generator, again))
    assert before.items.tolist() == after.items.tolist()
    assert before.scores.tolist() == after.scores.tolist()
