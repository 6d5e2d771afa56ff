"""One day of the synthetic shop: its sessions, what they look at, what they buy, and when."""

from dataclasses import dataclass
from functools import cache

import numpy as np

from app.synthetic import tables
from app.synthetic.catalogue import Catalogue, FloatArray, IntArray, draw
from app.synthetic.users import TASTE_SHARES, TASTES, Users

VIEW, CART, PURCHASE = 0, 1, 2  # codes of event types
EVENTS_PER_SESSION = tables.EVENTS / tables.SESSIONS
LENGTH_SHAPE = 0.617  # Weibull shape that gives the published spread (6.77) at the published mean (4.59)
EXPLORING = 0.10  # share of sessions outside the user's tastes
DRIFTING = 0.15  # share of sessions that turn to another taste midway
REPEATED = 0.18  # share of views that go back to a product of the same session
MODES = np.array([0.14, 0.50, 0.14, 0.14, 0.08])  # favourite, style, neighbouring style, category, anything
EXTRA_PER_SESSION = 6  # most cart or purchase events of a session beyond the first
EXTRA_SAME = 0.7  # share of them that concern the session's main product
GAP_MEDIAN, GAP_SIGMA = 65.0, 1.15  # seconds between events
PAUSE, PAUSE_MEAN = 0.032, 5300.0  # chance of a long pause before an event, and its mean in seconds
DUPLICATED = 0.0005  # share of rows that repeat another exactly
DAY = 86_400


@dataclass(frozen=True)
class Day:
    """The events of one day, ordered by time; every array has one entry an event."""

    second: IntArray  # of the day
    event_type: IntArray
    product: IntArray  # position in the catalogue
    user: IntArray  # position in the users
    session: IntArray  # position in the day's sessions
    duplicates: int  # rows among them that repeat another


def build_day(
    user: IntArray,
    events: int,
    day: int,
    days: int,
    catalogue: Catalogue,
    users: Users,
    rng: np.random.Generator,
) -> Day:
    """Exactly `events` events of the given sessions' users on a day.

    Parameters
    ----------
    user
        The user of each session, at most `events` of them.
    events
        Events on the day, exact duplicates included.
    day, days
        Number of the day, from 0, and days in the window.
    """
    duplicates = min(events - len(user), int(events * DUPLICATED + rng.random()))
    length = _lengths(users.interest[user], events - duplicates, rng)
    first = np.cumsum(length) - length
    session = np.repeat(np.arange(len(user)), length)
    position = np.arange(len(session)) - first[session]
    viewed = _views(user, length, session, position, day, days, catalogue, users, rng)
    event_type, product = _funnel(user, length, session, position, viewed, catalogue, users, rng)
    second = _times(length, first, session, rng)
    row = np.concatenate([np.arange(len(session)), rng.integers(0, len(session), duplicates)])
    row = row[np.argsort(second[row], kind="stable")]
    return Day(second[row], event_type[row], product[row], user[session[row]], session[row], duplicates)


@cache
def _length_scale() -> float:
    """Weibull scale at which lengths, rounded up, have the published mean."""
    n, low, high = np.arange(5000), 1.0, 6.0
    for _ in range(60):
        middle = (low + high) / 2
        too_short = np.exp(-((n / middle) ** LENGTH_SHAPE)).sum() < EVENTS_PER_SESSION
        low, high = (middle, high) if too_short else (low, middle)
    return low


def _lengths(interest: FloatArray, events: int, rng: np.random.Generator) -> IntArray:
    """Events of each session: at least one, a discrete Weibull law, the given sum; the more interest, the more."""
    sessions = len(interest)
    length = np.ceil(_length_scale() * rng.weibull(LENGTH_SHAPE, sessions)).astype(np.int64)
    length = np.maximum(length, 1)
    change = events - int(length.sum())
    if change < 0:
        spare = np.repeat(np.arange(sessions), length - 1)
        length -= np.bincount(rng.choice(spare, -change, replace=False), minlength=sessions)
    elif change > 0:
        length += np.bincount(rng.choice(np.repeat(np.arange(sessions), length), change), minlength=sessions)
    by_interest = np.empty(sessions, np.int64)
    by_interest[np.argsort(interest + rng.normal(size=sessions), kind="stable")] = np.sort(length)
    return by_interest


def _views(
    user: IntArray,
    length: IntArray,
    session: IntArray,
    position: IntArray,
    day: int,
    days: int,
    catalogue: Catalogue,
    users: Users,
    rng: np.random.Generator,
) -> IntArray:
    """The product looked at in each event."""
    cumulative = catalogue.cumulative(day, days)
    sessions, events = len(user), len(session)
    taste = rng.choice(TASTES, sessions, p=TASTE_SHARES)
    other = (taste + rng.integers(1, TASTES, sessions)) % TASTES
    turn = np.where(rng.random(sessions) < DRIFTING, rng.integers(1, np.maximum(length, 2)), length)
    now = np.where(position < turn[session], taste[session], other[session])
    cluster = users.cluster[user[session], now]
    exploring = rng.random(sessions) < EXPLORING
    anything = np.zeros(sessions, np.int64)
    explored = draw(cumulative, anything, anything + len(catalogue.price), rng.random(sessions))
    cluster = np.where(exploring[session], catalogue.cluster[explored][session], cluster)

    mode = np.searchsorted(np.cumsum(MODES)[:-1], rng.random(events), side="right")
    low, high = _ranges(cluster, mode, catalogue, rng)
    product = draw(cumulative, low, high, rng.random(events))
    favourite = users.favourite[user[session], now, rng.integers(0, users.favourite.shape[2], events)]
    on_sale = (catalogue.launch[favourite] <= day) & (day <= catalogue.end[favourite])
    product = np.where((mode == 0) & on_sale & ~exploring[session], favourite, product)

    back = np.where(rng.random(events) < REPEATED, np.floor(rng.random(events) * position), position)
    source = np.arange(events) - position + back.astype(np.int64)
    while (source[source] != source).any():  # a repeated view may repeat a repeated one
        source = source[source]
    return product[source]


def _ranges(
    cluster: IntArray, mode: IntArray, catalogue: Catalogue, rng: np.random.Generator
) -> tuple[IntArray, IntArray]:
    """Range of products that each view is drawn from: style, neighbouring style, category, anything."""
    category = catalogue.category[catalogue.cluster_start[cluster]]
    beside = np.clip(cluster + rng.choice([-1, 1], len(cluster)), 0, len(catalogue.cluster_start) - 2)
    same = catalogue.category[catalogue.cluster_start[beside]] == category
    style = np.where((mode == 2) & same, beside, cluster)
    low, high = catalogue.cluster_start[style], catalogue.cluster_start[style + 1]
    low = np.where(mode == 3, catalogue.category_start[category], low)
    high = np.where(mode == 3, catalogue.category_start[category + 1], high)
    return np.where(mode == 4, 0, low), np.where(mode == 4, len(catalogue.price), high)


def _funnel(
    user: IntArray,
    length: IntArray,
    session: IntArray,
    position: IntArray,
    viewed: IntArray,
    catalogue: Catalogue,
    users: Users,
    rng: np.random.Generator,
) -> tuple[IntArray, IntArray]:
    """Event types and products: after the view of its main product a session carts and buys.

    Shares of sessions and of events are the published ones; which sessions they fall on depends on
    the product looked at and on the user.
    """
    sessions, events = len(user), len(session)
    main = _main(length, position, session, catalogue.cart_appeal[viewed], rng)  # position of its view
    product = viewed[np.cumsum(length) - length + main]
    room = length - 1 - main
    wants = catalogue.cart_appeal[product] * users.readiness[user]
    carts = _choose((room >= 1) * wants, tables.SESSIONS_CART * sessions, rng)
    resolve = catalogue.purchase_appeal[product] / np.maximum(catalogue.cart_appeal[product], 1e-30)
    both = (room >= 2) * carts * resolve * users.resolve[user]
    buys = catalogue.purchase_appeal[product] * users.readiness[user] * users.directness[user]
    purchases = _choose(both, tables.SESSIONS_CART_PURCHASE * sessions, rng)
    purchases += _choose((room >= 1) * (1 - carts) * buys, tables.SESSIONS_PURCHASE_ONLY * sessions, rng)
    purchases += _extra(purchases, room - carts - purchases, tables.PURCHASES / tables.EVENTS * events, rng)
    carts += _extra(carts, room - carts - purchases, tables.CARTS / tables.EVENTS * events, rng)

    after = position - main[session]
    is_cart = (after > 0) & (after <= carts[session])
    is_purchase = (after > carts[session]) & (after <= (carts + purchases)[session])
    event_type = np.select([is_cart, is_purchase], [CART, PURCHASE], VIEW)
    first_of_kind = (after == 1) | (after == carts[session] + 1)
    other = np.floor(rng.random(events) * (main[session] + 1)).astype(np.int64)
    free = catalogue.price[viewed[np.arange(events) - position + other]] == 0  # never bought
    same = first_of_kind | free | (rng.random(events) < EXTRA_SAME)
    chosen = viewed[np.arange(events) - position + np.where(same, main[session], other)]
    return event_type, np.where(event_type == VIEW, viewed, chosen)


def _main(
    length: IntArray, position: IntArray, session: IntArray, appeal: FloatArray, rng: np.random.Generator
) -> IntArray:
    """The view, in the first half of each session, that it turns to: drawn in proportion to appeal.

    Those who come to buy buy in most of their sessions, whatever they look at: what sells best is decided here.
    """
    chance = np.maximum(appeal, 1e-30) / rng.exponential(size=len(appeal))
    chance[position >= ((length + 1) // 2)[session]] = 0.0
    first = np.cumsum(length) - length
    best = np.maximum.reduceat(chance, first)
    at = np.flatnonzero(chance == best[session])
    main = np.empty(len(length), np.int64)
    main[session[at]] = position[at]
    return main


def _choose(weight: FloatArray, expected: float, rng: np.random.Generator) -> IntArray:
    """1 for `expected` sessions drawn without replacement in proportion to weight, 0 for the others.

    Efraimidis & Spirakis, "Weighted random sampling with a reservoir" (2006).
    """
    key = np.where(weight > 0, rng.exponential(size=len(weight)) / np.maximum(weight, 1e-300), np.inf)
    count = min(int(expected + rng.random()), int((weight > 0).sum()))
    chosen = np.zeros(len(weight), np.int64)
    chosen[np.argsort(key, kind="stable")[:count]] = 1
    return chosen


def _extra(first: IntArray, room: IntArray, expected: float, rng: np.random.Generator) -> IntArray:
    """Further events of sessions that have one, so that there are `expected` in all."""
    spare = np.repeat(np.arange(len(first)), np.clip(room, 0, EXTRA_PER_SESSION) * (first > 0))
    count = int(np.clip(expected - first.sum() + rng.random(), 0, len(spare)))
    return np.bincount(rng.choice(spare, count, replace=False), minlength=len(first))


def _times(length: IntArray, first: IntArray, session: IntArray, rng: np.random.Generator) -> IntArray:
    """Second of the day of each event; a session stays within its day."""
    sessions, events = len(length), len(session)
    gap = rng.lognormal(np.log(GAP_MEDIAN), GAP_SIGMA, events)
    gap += (rng.random(events) < PAUSE) * rng.exponential(PAUSE_MEAN, events)
    gap = np.maximum(1, np.round(gap))
    gap[first] = 0
    elapsed = np.cumsum(gap)
    elapsed -= elapsed[first][session]
    duration = elapsed[first + length - 1]
    elapsed = np.floor(elapsed * np.minimum(1, (DAY - 1) / np.maximum(duration, 1))[session])
    duration = elapsed[first + length - 1]
    share = np.array(tables.HOURS) / sum(tables.HOURS)
    moment = (rng.choice(24, sessions, p=share) + rng.random(sessions)) * 3600
    anchor = elapsed[first + np.floor(rng.random(sessions) * length).astype(np.int64)]
    start = np.clip(np.floor(moment - anchor), 0, DAY - 1 - duration)  # one of its events at that moment
    return (start[session] + elapsed).astype(np.int64)
