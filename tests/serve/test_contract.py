"""What every candidate generator must do; a new one is tested here as soon as it is listed."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from app.core.settings import Settings
from app.learn.recommender import FIT_OF
from app.learn.tables import Tables
from app.serve.contract import Candidates, Generator
from app.serve.generators import GENERATORS
from app.serve.ragged import NONE
from app.serve.visits import Visits
from tests.arrays import visits

BLOCK = 6
ALL = 2 * BLOCK
Fit = Callable[[Tables, Settings], Generator]
KINDS: list[tuple[type[Generator], Fit, str]] = [
    *((kind, FIT_OF[kind], "auto") for kind in GENERATORS),
    *((kind, FIT_OF[kind], "spark") for kind in GENERATORS if kind.name == "als"),
]


@dataclass(frozen=True)
class Fitted:
    fit: Fit
    settings: Settings
    tables: Tables
    generator: Generator
    loaded: Generator


@pytest.fixture(scope="module", params=KINDS, ids=[f"{kind.name}-{engine}" for kind, _, engine in KINDS])
def fitted(
    request: pytest.FixtureRequest,
    block_tables: Callable[..., Tables],
    block_settings: Settings,
    tmp_path_factory: pytest.TempPathFactory,
) -> Fitted:
    kind, fit, engine = request.param
    folder = tmp_path_factory.mktemp(kind.name)
    settings = block_settings.model_copy(update={"als_engine": engine})
    tables = block_tables(folder)
    generator = fit(tables, settings)
    (folder / "saved").mkdir()
    generator.save(folder / "saved")
    return Fitted(fit, settings, tables, generator, kind.load(folder / "saved", tables.catalogue))


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


def wild() -> Visits:
    """Known and unknown users, with a session or a history of all kinds."""
    rng = np.random.default_rng(4)
    items = [rng.permutation(ALL)[: rng.integers(0, 6)].tolist() for _ in range(40)]
    users = rng.integers(NONE, ALL, 40)
    weights = [rng.choice([0.0, 1.0, 3.0, 10.0], len(row)).tolist() for row in items]
    fresh = (rng.random(40) < 0.5).tolist()
    return visits(items, users.tolist(), np.where(users == NONE, NONE, users // BLOCK).tolist(), fresh, weights)


def known_users(fresh: bool) -> Visits:
    users = list(range(ALL))
    return visits([seen(user) for user in users], users, [user // BLOCK for user in users], fresh)


def test_known_answer_for_a_known_user(fitted: Fitted) -> None:
    rows = [seen(user) for user in range(ALL)]
    found = fitted.generator.candidates(known_users(fresh=False), ALL)
    assert best_unseen(found, rows) == list(range(ALL))


def test_known_answer_for_an_unknown_session(fitted: Fitted) -> None:
    rows = [seen(user) for user in range(ALL)]
    found = fitted.generator.candidates(visits(rows), ALL)
    assert best_unseen(found, rows) == list(range(ALL))


def test_a_short_session_is_enough_to_stay_in_its_block(fitted: Fitted) -> None:
    rows = [[0, 1], [7, 8], [3], [11]]
    found = fitted.generator.candidates(visits(rows), 3)
    blocks = [int(item) // BLOCK for item in found.items.ravel()]
    assert blocks == [0] * 3 + [1] * 3 + [0] * 3 + [1] * 3


def test_saved_and_loaded_answers_the_same(fitted: Fitted) -> None:
    asked = wild()
    before, after = (one.candidates(asked, 7) for one in (fitted.generator, fitted.loaded))
    assert before.items.tolist() == after.items.tolist()
    assert before.scores.tolist() == after.scores.tolist()


def test_a_user_of_whom_nothing_is_known(fitted: Fitted) -> None:
    check_shape(fitted.generator.candidates(visits([[], []], users=[NONE, 3]), 5), 2, 5)


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
def test_shape_order_padding_and_no_product_twice(fitted: Fitted, k: int) -> None:
    """Among them more products than the catalogue, and than were kept at fitting."""
    asked = wild()
    check_shape(fitted.generator.candidates(asked, k), len(asked), k)


def test_a_smaller_k_is_the_beginning_of_a_larger_one(fitted: Fitted) -> None:
    asked = wild()
    few, many = fitted.generator.candidates(asked, 3), fitted.generator.candidates(asked, 20)
    assert_same(few, Candidates(many.items[:, :3], many.scores[:, :3]))


def test_an_answer_does_not_depend_on_the_rest_of_the_batch(fitted: Fitted) -> None:
    asked = wild()
    together = fitted.generator.candidates(asked, 6)
    alone = [fitted.generator.candidates(asked.slice(row, row + 1), 6) for row in range(len(asked))]
    assert_same(
        together, Candidates(np.concatenate([x.items for x in alone]), np.concatenate([x.scores for x in alone]))
    )


def test_an_empty_batch(fitted: Fitted) -> None:
    check_shape(fitted.generator.candidates(visits([]), 4), 0, 4)


def test_what_was_only_removed_from_the_cart_is_no_interest(fitted: Fitted) -> None:
    removed = fitted.generator.candidates(visits([[0, 1]], weights=[[0.0, 0.0]]), 5)
    nothing = fitted.generator.candidates(visits([[]]), 5)
    assert_same(removed, nothing)


def test_the_order_of_training_rows_does_not_matter(
    fitted: Fitted, block_tables: Callable[..., Tables], tmp_path: Path
) -> None:
    again = fitted.fit(block_tables(tmp_path, shuffled=True), fitted.settings)
    asked = wild()
    before, after = (one.candidates(asked, 7) for one in (fitted.generator, again))
    assert before.items.tolist() == after.items.tolist()
    assert before.scores.tolist() == after.scores.tolist()


def test_a_reason_is_a_product_that_was_touched(fitted: Fitted) -> None:
    asked = wild()
    found = fitted.generator.candidates(asked, 5)
    rows, places = np.nonzero(found.items != NONE)
    because = fitted.generator.because(asked, rows, found.items[rows, places])
    assert because.shape == rows.shape
    if fitted.generator.name == "popularity":
        assert (because == NONE).all()
        return
    assert (because != NONE).mean() > 0.7  # some have touched nothing that counts
    touched = [set(asked.slice(row, row + 1).touched.products.tolist()) for row in range(len(asked))]
    for row, item, reason in zip(rows, found.items[rows, places], because, strict=True):
        assert reason == NONE or reason in touched[row]
        if fitted.generator.name == "covisitation":  # factors of the other block may agree a little
            assert reason == NONE or reason // BLOCK == item // BLOCK
    assert len(fitted.generator.because(asked, rows[:0], found.items[rows, places][:0])) == 0
