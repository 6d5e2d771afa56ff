"""LambdaMART: the best places of reciprocal rank, ordered anew by trees that were learned from what visitors did.

Burges, "From RankNet to LambdaRank to LambdaMART: An Overview" (2010), as LightGBM has it (Ke et al., "LightGBM: A
Highly Efficient Gradient Boosting Decision Tree", 2017). Learned in `app.learn.ranker`.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from app.serve.catalogue import RECENT, Catalogue
from app.serve.pool import Pool
from app.serve.rankers.contract import Ranked
from app.serve.rankers.features import Attributes, feature_names, features
from app.serve.rankers.forest import Forest
from app.serve.rankers.reciprocal_rank import ReciprocalRank
from app.serve.visits import Visits

if TYPE_CHECKING:  # takes longer to import than a bundle to open, so that only bundles that hold one do
    from lightgbm import Booster

FILE, MODEL = "lambdamart.json", "model.txt"
#: Best places of reciprocal rank that are ordered anew; 99 % of ten are the same as of 100, which cost twice as much.
DEPTH = 50
LEAST = np.finfo(np.float32).tiny  #: a place's score, however bad: what has 0 would not be in the list
OTHER_FEATURES = "its ranker was learned with other features; make a new one with vitrine train"


@dataclass(frozen=True)
class LambdaMART:
    """Orders the best `DEPTH` places of `first` by the sum of the trees; what lies behind them keeps its order.

    `generators`: names of those that it was learned with, in the pool's order. `model`: the trees, as LightGBM's text.
    A score is the logistic function of that sum, so that it is in 0 … 1, and 0 behind the best places; a place's
    source is that of reciprocal rank. `in_sessions`, `elsewhere`: whether it orders the lists of visits that have
    touched something in their session, and of the others; where not, these are those of `first`.
    """

    name: ClassVar[str] = "lambdamart"

    first: ReciprocalRank
    generators: tuple[str, ...]
    model: str
    attributes: Attributes
    in_sessions: bool = True
    elsewhere: bool = True

    def save(self, folder: Path) -> None:
        (folder / MODEL).write_text(self.model)
        names = ("generators", "in_sessions", "elsewhere")
        rest = {name: getattr(self, name) for name in names}
        (folder / FILE).write_text(json.dumps(rest | {"first": self.first.parameters}))

    @classmethod
    def load(cls, folder: Path, catalogue: Catalogue, generators: Sequence[str]) -> Self:
        saved = json.loads((folder / FILE).read_text())
        if saved["generators"] != list(generators):
            raise ValueError(f"its ranker was learned with {', '.join(saved['generators'])}")
        if not set(RECENT) <= set(catalogue.table.column_names):
            raise ValueError(OTHER_FEATURES)
        ranker = cls(
            ReciprocalRank(**saved["first"]),
            tuple(generators),
            (folder / MODEL).read_text(),
            Attributes.of(catalogue),
            saved["in_sessions"],
            saved["elsewhere"],
        )
        known = ranker.booster.feature_name()
        if known != feature_names(generators):
            raise ValueError(OTHER_FEATURES)
        return ranker

    def over(self, catalogue: Catalogue) -> "LambdaMART":
        """The same for the products of another catalogue."""
        return replace(self, attributes=Attributes.of(catalogue))

    @cached_property
    def booster(self) -> "Booster":
        """The trees.

        Raises
        ------
        ValueError
            `model` is damaged.
        """
        from lightgbm import Booster
        from lightgbm.basic import LightGBMError

        try:
            return Booster(model_str=self.model)
        except LightGBMError as error:
            raise ValueError(f"its ranker cannot be read: {error}") from None

    @cached_property
    def _forest(self) -> Forest | None:
        return Forest.of(self.booster)

    def rank(self, pool: Pool, visits: Visits, k: int) -> Ranked:
        if pool.generators != self.generators:
            raise ValueError(f"the ranker was learned with {', '.join(self.generators)}")
        mine = np.where(visits.fresh, self.in_sessions, self.elsewhere)
        if mine.all():
            return self._ordered(pool, visits, k)
        theirs = self.first.rank(pool, visits, k)
        if not mine.any():
            return theirs
        ours, here = self._ordered(pool.take(np.flatnonzero(mine[pool.rows])), visits, k), mine[:, None]
        return Ranked(
            np.where(here, ours.items, theirs.items),
            np.where(here, ours.scores, theirs.scores),
            np.where(here, ours.sources, theirs.sources),
        )

    def _ordered(self, pool: Pool, visits: Visits, k: int) -> Ranked:
        head, terms = self.first.cut(pool, DEPTH)
        scores = self._scores(features(head, terms, visits, self.attributes))
        ranked = Ranked.of(head, scores, terms, k)
        return ranked if k <= DEPTH else self._with_the_rest(ranked, pool, visits, k)

    def _scores(self, known: NDArray[np.float32]) -> NDArray[np.float32]:
        if len(known) == 0:
            return np.empty(0, np.float32)
        if self._forest is not None:
            sums = self._forest.sums(known)
        else:  # one thread: requests and partitions already keep all cores busy
            sums = np.asarray(self.booster.predict(known, raw_score=True, num_threads=1))
        return np.maximum((1 / (1 + np.exp(-sums))).astype(np.float32), LEAST)

    def _with_the_rest(self, ranked: Ranked, pool: Pool, visits: Visits, k: int) -> Ranked:
        behind = self.first.rank(pool, visits, k)
        return Ranked(
            np.hstack([ranked.items[:, :DEPTH], behind.items[:, DEPTH:]]),
            np.hstack([ranked.scores[:, :DEPTH], np.zeros_like(behind.scores[:, DEPTH:])]),
            np.hstack([ranked.sources[:, :DEPTH], behind.sources[:, DEPTH:]]),
        )
