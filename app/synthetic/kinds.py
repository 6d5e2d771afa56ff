"""The types of customers of the synthetic shop: how often each comes, how much it looks at, what and when it buys.

Made up, but for what they add up to: visits a user, carts, purchases and prices are the published ones
(`app.synthetic.tables`), whatever the types.
"""

from dataclasses import dataclass

import numpy as np

from app.synthetic.catalogue import FloatArray, IntArray


@dataclass(frozen=True)
class Kind:
    """A type of customer.

    `share`: of users; `visits`: mean number beyond the first, against that of the other types; `evenness`: gamma
    shape of these (the higher, the more alike are users of the type); `interest`: how long its sessions are, in
    standard deviations of chance; `readiness`: weight of carting or buying in a session; `resolve`: weight of
    buying what was carted, and of buying without a cart; `bargains`: whether it looks at the cheap end of each
    category.
    """

    name: str
    share: float
    visits: float
    evenness: float
    interest: float
    readiness: float
    resolve: float
    bargains: bool = False


KINDS = (
    Kind("passer-by", 0.45, visits=0.0, evenness=1.0, interest=-1.0, readiness=0.02, resolve=0.3),
    Kind("browser", 0.28, visits=4.5, evenness=2.5, interest=0.3, readiness=0.05, resolve=0.2),
    Kind("bargain hunter", 0.15, visits=4.0, evenness=2.5, interest=0.5, readiness=0.4, resolve=0.5, bargains=True),
    Kind("loyal buyer", 0.05, visits=7.0, evenness=2.5, interest=0.5, readiness=3.0, resolve=3.0),
    Kind("one-time buyer", 0.07, visits=0.2, evenness=1.0, interest=1.5, readiness=8.0, resolve=10.0),
)
CHEAP_END = 0.25  #: of a category's products by price and style: where bargain hunters look


def draw_kinds(users: int, rng: np.random.Generator) -> IntArray:
    """The type of each user, as a position in `KINDS`; the shares are met but for one user."""
    bounds = np.round(np.cumsum([kind.share for kind in KINDS]) * users).astype(np.int64)
    return rng.permutation(np.searchsorted(bounds, np.arange(users), side="right").clip(max=len(KINDS) - 1))


def of_kind(kind: IntArray, name: str) -> FloatArray:
    """A number of each user's type."""
    return np.array([float(getattr(one, name)) for one in KINDS])[kind]


def draw_visits(kind: IntArray, sessions: int, rng: np.random.Generator) -> IntArray:
    """How often each user comes, at least once, with the given sum."""
    evenness = of_kind(kind, "evenness")
    weight = of_kind(kind, "visits") * rng.gamma(evenness) / evenness
    if not weight.any():  # nobody but passers-by
        weight = np.ones(len(kind))
    return 1 + rng.multinomial(sessions - len(kind), weight / weight.sum())


def price_levels(kind: IntArray, visits: IntArray, rng: np.random.Generator) -> FloatArray:
    """Where each user looks in a category, from 0 (cheap) to 1 (dear); over the visits of all as good as uniform."""
    bargains = of_kind(kind, "bargains") > 0
    share = min(visits[bargains].sum() / visits.sum(), CHEAP_END)
    left = (CHEAP_END - share) / (1 - share)  # of the others' visits, at the cheap end
    chance = rng.random(len(kind))
    others = np.interp(chance, [0.0, left, 1.0], [0.0, CHEAP_END, 1.0])
    return np.where(bargains, CHEAP_END * chance, others)
