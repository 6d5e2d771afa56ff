"""From visits to lists: the generators of a bundle together.

Batch lists, the stream, evaluation and benchmarks all answer through `Recommender.recommend`.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from app.core.settings import Settings
from app.serve.catalogue import Catalogue
from app.serve.contract import NONE, Batch, Candidates, Generator
from app.serve.generators import GENERATORS
from app.serve.generators.popularity import Popularity
from app.serve.rankers.reciprocal_rank import Blended, blend
from app.serve.users import UserTable, ragged

SECONDS_PER_DAY = 86_400
CHUNK = 1_000  #: visits answered at a time: bounds memory, large enough for vectorised work


@dataclass(frozen=True)
class Visits:
    """Who is here and what they did in this session, by ids of the shop.

    `user_ids` (n,); the products of visit i, each once, by the time they were last touched, oldest
    first, are `product_ids[offsets[i]:offsets[i + 1]]`, with implicit `ratings` (capped sums) and
    whether they were `bought`.
    """

    user_ids: NDArray[np.int64]
    offsets: NDArray[np.int64]
    product_ids: NDArray[np.int64]
    ratings: NDArray[np.float32]
    bought: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.user_ids)

    @classmethod
    def of_users(cls, user_ids: NDArray[np.int64]) -> "Visits":
        """Users of whose session nothing was seen yet."""
        return cls(
            user_ids,
            np.zeros(len(user_ids) + 1, np.int64),
            np.empty(0, np.int64),
            np.empty(0, np.float32),
            np.empty(0, np.bool_),
        )

    @classmethod
    def of_lists(
        cls,
        user_ids: NDArray[np.int64],
        product_ids: Sequence[Sequence[int]],
        ratings: Sequence[Sequence[float]],
        bought: Sequence[Sequence[bool]],
    ) -> "Visits":
        """From one list of products for each user."""
        offsets = np.concatenate([[0], np.cumsum([len(row) for row in product_ids])]).astype(np.int64)
        flat = lambda lists, dtype: np.array([x for row in lists for x in row], dtype)  # noqa: E731
        return cls(
            np.asarray(user_ids, np.int64),
            offsets,
            flat(product_ids, np.int64),
            flat(ratings, np.float32),
            flat(bought, np.bool_),
        )

    def slice(self, start: int, stop: int) -> "Visits":
        first, last = self.offsets[start], self.offsets[stop]
        return Visits(
            self.user_ids[start:stop],
            self.offsets[start : stop + 1] - first,
            self.product_ids[first:last],
            self.ratings[first:last],
            self.bought[first:last],
        )


@dataclass(frozen=True)
class Answer:
    """Lists for n visits, and what each generator proposed."""

    batch: Batch
    lists: Blended
    parts: dict[str, Candidates]


@dataclass(frozen=True)
class Recommender:
    """Generators with the catalogue and users they speak of."""

    catalogue: Catalogue
    users: UserTable
    generators: dict[str, Generator]
    weights: dict[str, float]
    candidates: int
    bought_days: int

    @classmethod
    def of(
        cls, catalogue: Catalogue, users: UserTable, generators: dict[str, Generator], settings: Settings
    ) -> "Recommender":
        return cls(
            catalogue, users, generators, dict(settings.blend_weights), settings.candidates, settings.bought_days
        )

    def save(self, folder: Path) -> None:
        """Write everything into an existing, empty folder."""
        self.catalogue.save(folder)
        (folder / "users").mkdir()
        self.users.save(folder / "users")
        for name, generator in self.generators.items():
            (folder / "generators" / name).mkdir(parents=True)
            generator.save(folder / "generators" / name)
        parameters = {
            "generators": list(self.generators),
            "weights": self.weights,
            "candidates": self.candidates,
            "bought_days": self.bought_days,
        }
        (folder / "recommender.json").write_text(json.dumps(parameters, indent=2))

    @classmethod
    def load(cls, folder: Path) -> "Recommender":
        """Open what `save` wrote; arrays are memory-mapped."""
        parameters = json.loads((folder / "recommender.json").read_text())
        catalogue = Catalogue.load(folder)
        known = {kind.name: kind for kind in GENERATORS}
        generators = {
            name: known[name].load(folder / "generators" / name, catalogue) for name in parameters["generators"]
        }
        return cls(
            catalogue,
            UserTable.load(folder / "users"),
            generators,
            parameters["weights"],
            parameters["candidates"],
            parameters["bought_days"],
        )

    def batch(self, visits: Visits) -> Batch:
        """What generators are asked: the user's remembered products, then those of the session.

        Products that are not in the catalogue are left out; a remembered one that the session has
        again counts where the session has it.
        """
        users = self.users.positions(visits.user_ids)
        session_rows = np.repeat(np.arange(len(visits)), np.diff(visits.offsets))
        session_items = self.catalogue.positions(visits.product_ids)
        known = session_items != NONE
        session_rows, session_items = session_rows[known], session_items[known]
        session_keys = session_rows << 32 | session_items
        rows, entries = ragged(self.users.history_offsets, users)
        items = self.users.history_items[entries]
        kept = (items != NONE) & ~np.isin(rows << 32 | items, session_keys)
        all_rows = np.concatenate([rows[kept], session_rows])
        order = np.argsort(all_rows, kind="stable")  # history first, then session, within each row
        weights = np.concatenate([self.users.history_weights[entries[kept]], visits.ratings[known]])
        counts = np.bincount(all_rows, minlength=len(visits))
        segments = np.where(users == NONE, NONE, self.users.segments[users]) if len(self.users.ids) else users
        return Batch(
            users,
            segments.astype(np.int32),
            np.concatenate([[0], np.cumsum(counts)]).astype(np.int64),
            np.concatenate([items[kept], session_items])[order].astype(np.int32),
            weights[order].astype(np.float32),
            np.bincount(session_rows, minlength=len(visits)) > 0,
        )

    def recommend(self, visits: Visits, k: int, now: float | NDArray[np.float64]) -> Answer:
        """Lists of k products.

        Not in a list: the product looked at right now, what was bought in the session, and what the
        user bought in the last `bought_days`.

        Parameters
        ----------
        visits
            n users or sessions.
        k
            Products per list.
        now
            Seconds since 1970, for all or for each (n,), from which `bought_days` are counted back.
        """
        batch = self.batch(visits)
        parts = {name: generator.candidates(batch, self.candidates) for name, generator in self.generators.items()}
        return Answer(batch, blend(parts, self.weights, self.excluded(visits, batch, now), k), parts)

    def excluded(
        self, visits: Visits, batch: Batch, now: float | NDArray[np.float64]
    ) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
        """Rows and products that must not be recommended."""
        rows = np.repeat(np.arange(len(visits)), np.diff(visits.offsets))
        items = self.catalogue.positions(visits.product_ids)
        current = np.zeros(len(items), np.bool_)
        current[visits.offsets[1:][np.diff(visits.offsets) > 0] - 1] = True
        out = visits.bought | current
        moments = np.broadcast_to(now, len(visits)) - self.bought_days * SECONDS_PER_DAY
        bought_rows, bought_items = self.users.bought_since(batch.users, moments)
        return np.concatenate([rows[out], bought_rows]), np.concatenate([items[out], bought_items])

    def most_popular(self, rows: int, k: int) -> Candidates:
        """The baseline: the same bestsellers for everyone."""
        popularity = self.generators[Popularity.name]
        assert isinstance(popularity, Popularity)
        return popularity.everyone(rows, k)
