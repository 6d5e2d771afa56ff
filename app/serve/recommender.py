"""From visitors to lists: the generators and the ranker of a bundle together.

Batch lists, the stream, evaluation and benchmarks all answer through `Recommender.recommend`.
"""

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from app.serve.catalogue import Catalogue
from app.serve.contract import Baseline, Candidates, Generator
from app.serve.exclusions import Exclusions, exclusions
from app.serve.generators import GENERATORS
from app.serve.pool import Pool
from app.serve.ragged import NONE
from app.serve.rankers import RANKERS
from app.serve.rankers.contract import Ranked, Ranker
from app.serve.users import UserTable
from app.serve.visits import Visitors, Visits
from app.serve.wanted import DEPTH, Wanted

CHUNK = 1_000  #: visits answered at a time: bounds memory, large enough for vectorised work
FILE = "recommender.json"

Kind = TypeVar("Kind", type[Generator], type[Ranker])


@dataclass(frozen=True)
class Parameters:
    """How lists are made: the same in training, evaluation, stream and API, since the bundle carries them.

    `candidates`: asked of each generator. `bought_days`: during which what was bought stays out. Of a session the
    latest `session_max_products` of its latest `session_max_events` count; one without an id ends with a silence of
    `session_idle_minutes`.
    `text_ids`: the shop's ids are text, and lists show them so.
    """

    candidates: int
    bought_days: int
    session_max_events: int
    session_max_products: int
    session_idle_minutes: int
    text_ids: bool = False


@dataclass(frozen=True)
class Answer:
    """Lists for n visits, with what they were made of."""

    visits: Visits
    exclusions: Exclusions
    parts: dict[str, Candidates]  #: what each generator proposed
    pool: Pool  #: of these, without what is excluded
    lists: Ranked
    generators: dict[str, Generator]

    @cached_property
    def because(self) -> NDArray[np.int32]:
        """Of each place of the lists (n, k), the touched product that contributes most to it; `NONE` if none does."""
        found = np.full(self.lists.items.shape, NONE, np.int32)
        for number, generator in enumerate(self.generators.values()):
            row, place = np.nonzero(self.lists.sources == number)
            if len(row):
                found[row, place] = generator.because(self.visits, row, self.lists.items[row, place])
        return found


@dataclass(frozen=True)
class Recommender:
    """Generators and a ranker, with the catalogue and users that they refer to."""

    catalogue: Catalogue
    users: UserTable
    generators: dict[str, Generator]
    ranker: Ranker
    parameters: Parameters

    def save(self, folder: Path) -> None:
        """Write everything into an existing, empty folder."""
        self.catalogue.save(folder)
        (folder / "users").mkdir()
        self.users.save(folder / "users")
        for kind, parts in (("generators", self.generators), ("rankers", {self.ranker.name: self.ranker})):
            for name, part in parts.items():
                (folder / kind / name).mkdir(parents=True)
                part.save(folder / kind / name)
        names = {"generators": list(self.generators), "ranker": self.ranker.name}
        (folder / FILE).write_text(json.dumps(names | asdict(self.parameters), indent=2))

    @classmethod
    def load(cls, folder: Path) -> "Recommender":
        """Open what `save` wrote; arrays are memory-mapped.

        Raises
        ------
        OSError, ValueError, KeyError
            Something is missing or damaged, or of a kind that this program does not know.
        """
        saved = json.loads((folder / FILE).read_text())
        names, ranker = saved.pop("generators"), saved.pop("ranker")
        catalogue = Catalogue.load(folder)
        generators = {name: _named(GENERATORS, name).load(folder / "generators" / name, catalogue) for name in names}
        return cls(
            catalogue,
            UserTable.load(folder / "users"),
            generators,
            _named(RANKERS, ranker).load(folder / "rankers" / ranker, catalogue, names),
            Parameters(**saved),
        )

    def visits(self, visitors: Visitors) -> Visits:
        """What generators are asked: positions for ids, and what is remembered of each user.

        Products that are not in the catalogue are left out.
        """
        users, others = self.users.known(visitors)
        session = visitors.session
        items = self.catalogue.positions(session.products)
        on_screen = np.full(len(visitors), NONE, np.int32)
        on_screen[session.shape.lengths > 0] = items[session.shape.last()]
        known = users != NONE
        segments = np.full(len(visitors), NONE, np.int32)
        segments[known] = self.users.segments[users[known]]
        history = self.users.histories(users, others)
        return Visits(users, segments, history, session.placed(items), on_screen, visitors.now, others)

    def recommend(self, visitors: Visitors, k: int, wanted: Wanted | None = None) -> Answer:
        """Lists of k products for n visitors.

        Not in a list: the product on screen, what was bought in the session, what the user bought in the last
        `bought_days`, and what is not available. Given what is `wanted`, lists hold that alone, and are full wherever
        there are k such products.
        """
        visits = self.visits(visitors)
        excluded = exclusions(visits, self.catalogue, self.users, self.parameters.bought_days)
        asked = self.parameters.candidates
        if wanted is None:
            parts = {name: generator.candidates(visits, asked) for name, generator in self.generators.items()}
        else:
            parts = {
                name: wanted.narrowed(generator.candidates(visits, max(asked, DEPTH)), asked)
                for name, generator in self.generators.items()
            }
        pool = Pool.of(parts, excluded)
        lists = self.ranker.rank(pool, visits, k)
        if wanted is not None:
            lists = wanted.filled(lists, excluded, self.popular, self._baseline)
        return Answer(visits, excluded, parts, pool, lists, self.generators)

    @cached_property
    def popular(self) -> NDArray[np.intp]:
        """All products (p,), the most popular first."""
        return np.argsort(-self.catalogue.table["popularity"].to_numpy(), kind="stable")

    @cached_property
    def _baseline(self) -> int:
        """Number of the generator that has a list for everyone; `NONE` without one."""
        numbers = (n for n, generator in enumerate(self.generators.values()) if isinstance(generator, Baseline))
        return next(numbers, NONE)

    def most_popular(self, rows: int) -> Candidates:
        """The baseline: the same bestsellers for everyone, as many as each generator is asked for.

        Raises
        ------
        LookupError
            No generator of the bundle has a list for everyone.
        """
        for generator in self.generators.values():
            if isinstance(generator, Baseline):
                return generator.everyone(rows, self.parameters.candidates)
        raise LookupError("no generator of this bundle has a list for everyone")


@lru_cache(maxsize=4)
def opened(folder: Path) -> Recommender:
    """The recommender of a folder, opened once in a process: a worker answers many partitions."""
    return Recommender.load(folder)


def _named(kinds: Iterable[Kind], name: str) -> Kind:
    """The class of a generator or ranker, by the name that the bundle has for it."""
    for kind in kinds:
        if kind.name == name:
            return kind
    raise ValueError(f"this program knows no {name}")
