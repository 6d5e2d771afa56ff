"""The users of the synthetic shop: tastes, readiness to buy, and when they come."""

from dataclasses import dataclass

import numpy as np

from app.synthetic.catalogue import Catalogue, FloatArray, IntArray, draw
from app.synthetic.kinds import draw_kinds, draw_visits, of_kind, price_levels

TASTES = 3  # preferred sub-categories of a user, most liked first
TASTE_SHARES = np.array([0.6, 0.25, 0.15])  # of a user's sessions
FAVOURITES = 2  # products of each taste that a user comes back to
SAME_MAIN_CATEGORY = 0.5  # chance that a further taste lies in the main category of the first
LEVEL_NOISE = 0.08  # how far one taste lies from the user's level of price and style
FIRST_USER_ID, USER_ID_RANGE = 510_000_000, 45_000_000


@dataclass(frozen=True)
class Users:
    """All users; every array has one row a user."""

    user_id: IntArray  # ascending
    kind: IntArray  # position in `KINDS`
    visits: IntArray  # sessions
    cluster: IntArray  # users x TASTES: preferred style clusters
    favourite: IntArray  # users x TASTES x FAVOURITES: products (positions in the catalogue)
    interest: FloatArray  # what is added to the chance of a long session
    readiness: FloatArray  # weight of a cart or purchase in a session
    resolve: FloatArray  # weight of buying what was carted
    directness: FloatArray  # weight of buying without a cart event


def build_users(users: int, sessions: int, catalogue: Catalogue, rng: np.random.Generator) -> Users:
    """Users whose tastes, over all their sessions, follow the catalogue's popularity."""
    kind = draw_kinds(users, rng)
    visits = draw_visits(kind, sessions, rng)
    cluster = _tastes(price_levels(kind, visits, rng), catalogue, rng)
    low, high = catalogue.cluster_start[cluster], catalogue.cluster_start[cluster + 1]
    chance = rng.random((users, TASTES, FAVOURITES))
    favourite = draw(catalogue.cumulative(), low[:, :, None], high[:, :, None], chance)
    widest_gap = max(2, 2 * USER_ID_RANGE // users)
    return Users(
        user_id=FIRST_USER_ID + np.cumsum(rng.integers(1, widest_gap, users)),
        kind=kind,
        visits=visits,
        cluster=cluster,
        favourite=favourite,
        interest=of_kind(kind, "interest"),
        readiness=of_kind(kind, "readiness") * rng.lognormal(0, 0.5, users),
        resolve=of_kind(kind, "resolve") * rng.lognormal(0, 0.5, users),
        directness=of_kind(kind, "resolve") * rng.lognormal(0, 0.5, users),
    )


def sessions_by_day(visits: IntArray, days: int, rng: np.random.Generator) -> list[IntArray]:
    """The users who come on each day, one entry a session.

    A user's sessions lie within a stretch of the window that is the user's own; days differ by a
    tenth or so, as in the published counts by day.
    """
    users, sessions = len(visits), int(visits.sum())
    user = np.repeat(np.arange(users), visits)
    length = rng.beta(1.2, 1.0, users)
    begin = rng.random(users) * (1 - length)
    moment = begin[user] + length[user] * rng.random(sessions)
    weight = rng.lognormal(0, 0.07, days)
    ends = np.round(np.cumsum(weight) / weight.sum() * sessions).astype(np.int64)
    return np.split(user[np.argsort(moment, kind="stable")], ends[:-1])


def _tastes(level: FloatArray, catalogue: Catalogue, rng: np.random.Generator) -> IntArray:
    """Preferred clusters: categories by popularity, in each the cluster at the user's level."""
    users = len(level)
    cumulative = catalogue.cumulative()
    everything = np.zeros((users, TASTES), np.int64)
    category = catalogue.category[
        draw(cumulative, everything, everything + len(catalogue.price), rng.random((users, TASTES)))
    ]
    related = _related(catalogue, category[:, :1], rng)
    category[:, 1:] = np.where(rng.random((users, TASTES - 1)) < SAME_MAIN_CATEGORY, related, category[:, 1:])
    near = np.abs(level[:, None] + rng.normal(0, LEVEL_NOISE, (users, TASTES)))
    near = np.where(near > 1, 2 - near, near)  # reflected at 0 and 1, so that a uniform level stays so
    low, high = catalogue.category_start[category], catalogue.category_start[category + 1]
    return catalogue.cluster[draw(cumulative, low, high, near)]


def _related(catalogue: Catalogue, category: IntArray, rng: np.random.Generator) -> IntArray:
    """Categories drawn by popularity from the main category of each given one."""
    mains = [(code or "").split(".")[0] for code in catalogue.category_code]
    _, main = np.unique(mains, return_inverse=True)
    share = np.bincount(catalogue.category, catalogue.popularity)
    order = np.argsort(main, kind="stable")
    cumulative = np.concatenate([[0.0], np.cumsum(share[order])])
    start = np.searchsorted(main[order], np.arange(main.max() + 2))
    wanted = np.broadcast_to(main[category], (len(category), TASTES - 1))
    return order[draw(cumulative, start[wanted], start[wanted + 1], rng.random(wanted.shape))]
