"""Lists for what is asked: from requests to visits, and from answers of the recommender to lists with reasons."""

from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from functools import cache
from itertools import islice, pairwise

import numpy as np

from app.api.attribution.answered import Answered, Because
from app.api.models import Ask, RankedProduct, Reason, ReasonKind, Recommendations, SimilarAsk, Touched
from app.api.posted.sessions import PostedSessions, SessionEvent
from app.api.reasons import Cause, popular, reason
from app.api.shop import Shop, main_category
from app.api.variants import Variant
from app.events.ids import number_of
from app.events.vocabulary import KINDS
from app.registry.identities import Identities
from app.serve.ragged import NONE, Ints, Ragged
from app.serve.recommender import Answer
from app.serve.sessions import SessionEvents
from app.serve.visits import Touches, Visitors

FALLBACK = "popularity"  #: source of a place that no generator speaks for
MICROS = 1_000_000


Remember = Callable[[Answered], str]  #: keeps a list that was answered, and gives it its id


def recommendations(
    variant: Variant,
    sessions: PostedSessions,
    who: Identities,
    asks: Sequence[Ask],
    now: float,
    remember: Remember,
) -> list[Recommendations]:
    """Lists for n requests, all from one bundle.

    Parameters
    ----------
    variant
        Whose bundle answers.
    sessions
        Of users whose events were posted.
    who
        Of whom a bundle must not know what it knows, and whose histories are one.
    asks
        Answered in this order. Those that filter, or want more than generators are asked for, are answered apart:
        the others get the very lists that the stream would write.
    now
        Seconds since 1970: the moment of a visit without events. Another's is that of its last event.
    remember
        Gets each list.
    """
    shop = variant.shop
    ordinary = shop.recommender.parameters.candidates
    special = [not ask.filters.free or ask.count > ordinary for ask in asks]
    found: dict[int, Recommendations] = {}
    for filtered in (False, True):
        rows = [row for row, other in enumerate(special) if other == filtered]
        if rows:
            chosen = [asks[row] for row in rows]
            visitors = who.introduced(
                _visitors(shop, sessions, chosen, now), shop.bundle.recommender.users.ids, shop.bundle.obeyed
            )
            wanted = shop.wanted([ask.filters for ask in chosen]) if filtered else None
            answer = shop.recommender.recommend(visitors, max(ask.count for ask in chosen), wanted)
            found |= zip(rows, _lists(variant, answer, chosen, now, remember), strict=True)
    return [found[row] for row in range(len(asks))]


def _visitors(shop: Shop, sessions: PostedSessions, asks: Sequence[Ask], now: float) -> Visitors:
    parameters = shop.recommender.parameters
    users = [shop.user(ask.user_id) for ask in asks]
    visits = [
        _given(shop, ask, now, parameters.session_max_events)
        if ask.session is not None
        else sessions.current(user, parameters.session_idle_minutes)
        for ask, user in zip(asks, users, strict=True)
    ]
    moments = [visit[-1].at / MICROS if visit else now for visit in visits]
    return Visitors(np.array(users, np.int64), _touches(visits, parameters.session_max_products), np.array(moments))


def _given(shop: Shop, ask: Ask, now: float, most: int) -> list[SessionEvent]:
    """The events of a session in a request; those without a time were a second apart, and the last is now."""
    given = ask.session or ()
    events = []
    for place, event in enumerate(given):
        product = number_of(event.product_id, shop.text_ids)
        if product is None:  # no id of this shop, so no product of it
            continue
        at = event.event_time.timestamp() if event.event_time is not None else now - (len(given) - 1 - place)
        events.append(SessionEvent(round(at * MICROS), product, event.event_type))
    return sorted(set(events))[-most:]


def _touches(visits: Sequence[Sequence[SessionEvent]], max_products: int) -> Touches:
    shape = Ragged.of_lengths(np.array([len(visit) for visit in visits], np.int64))
    flat = [event for visit in visits for event in visit]
    events = SessionEvents(
        shape,
        np.array([event.product for event in flat], np.int64),
        np.array([KINDS.index(event.event_type) for event in flat], np.int8),
        np.array([event.at for event in flat], np.int64) / MICROS,
    )
    return events.touches(shape.offsets[:-1], shape.offsets[1:], max_products)


def _answered(now: float, variant: Variant, ask: Ask, products: Sequence[RankedProduct]) -> Answered:
    """A list as it is kept."""
    pairs = [(product.source, product.reason.kind) for product in products]
    causes = {pair: number for number, pair in enumerate(dict.fromkeys(pairs))}
    return Answered(
        at=now,
        model_version=variant.shop.bundle.version,
        variant=variant.name,
        experiment=variant.experiment_of(ask),
        products=tuple([product.product_id for product in products]),
        causes=tuple([_because(*pair) for pair in causes]),
        because=tuple([causes[pair] for pair in pairs]),
    )


@cache
def _because(source: str, kind: ReasonKind) -> Because:
    """There are few, and each list has some."""
    return Because(source=source, reason=kind)


def _lists(
    variant: Variant, answer: Answer, asks: Sequence[Ask], now: float, remember: Remember
) -> list[Recommendations]:
    """The lists of an answer, with what people are told of each place."""
    found = []
    for ask, products in zip(asks, _products(variant.shop, answer, asks), strict=True):
        recommendation_id = remember(_answered(now, variant, ask, products))
        found.append(
            Recommendations(
                recommendation_id=recommendation_id,
                model_version=variant.shop.bundle.version,
                variant=variant.name,
                user_id=ask.user_id,
                products=products,
            )
        )
    return found


def _products(shop: Shop, answer: Answer, asks: Sequence[Ask]) -> Iterator[list[RankedProduct]]:
    """The places of each list."""
    lists, visits, category = answer.lists, answer.visits, shop.catalogue.category
    names = [*shop.recommender.generators, FALLBACK]  # that of `NONE` is the last
    counts = np.array([ask.count for ask in asks])
    there = (lists.items != NONE) & (np.arange(lists.items.shape[1]) < counts[:, None])
    items, because = lists.items[there], answer.because[there].tolist()
    speaking = list({*because} - {NONE})
    known = shop.attributes(np.concatenate([items, np.array(speaking, items.dtype)]))
    causes = {item: (known.ids[place], known.name(place)) for place, item in enumerate(speaking, len(items))}
    sessions = _sets(visits.session.shape, visits.session.products)
    categories = _sets(visits.touched.shape, category[visits.touched.products])
    places = zip(
        known.ids,
        known.titles,
        known.categories,
        known.brands,
        known.prices,
        (there.nonzero()[1] + 1).tolist(),
        items.tolist(),
        lists.scores[there].tolist(),
        lists.sources[there].tolist(),
        because,
        category[items].tolist(),
        strict=False,  # behind the places, `known` has the products that speak for them
    )
    for ask, length, session, theirs in zip(asks, there.sum(axis=1).tolist(), sessions, categories, strict=True):
        reasons = _Reasons(ask, causes, session, theirs)
        yield [
            RankedProduct(
                rank=rank,
                product_id=product,
                title=title,
                category=path,
                brand=brand,
                price=price,
                score=score,
                source=names[source],
                reason=reasons.popular(path, main) if by == NONE else reasons.because(names[source], by, by == item),
            )
            for product, title, path, brand, price, rank, item, score, source, by, main in islice(places, length)
        ]


def _sets(shape: Ragged, values: Ints) -> list[set[int]]:
    """The values (m,) of each row."""
    offsets, flat = shape.offsets.tolist(), values.tolist()
    return [set(flat[start:end]) for start, end in pairwise(offsets)]


class _Reasons:
    """Why products are in the list of one visit.

    Parameters
    ----------
    causes
        Ids and names of touched products, by position.
    session
        Products that were touched in it.
    categories
        Main categories of all that was touched, by position.
    """

    def __init__(self, ask: Ask, causes: Mapping[int, tuple[str, str]], session: Set[int], categories: Set[int]):
        self._ask, self._causes, self._session, self._categories = ask, causes, session, categories
        self._found: dict[tuple[str, int, bool], Reason] = {}  # a touched product speaks for several places

    def popular(self, path: str | None, category: int) -> Reason:
        """Of a place that nothing touched speaks for, by its category."""
        near = category in self._categories or self._ask.filters.category is not None
        return popular(main_category(path) if near else None)

    def because(self, source: str, item: int, itself: bool) -> Reason:
        """Of a place that a touched product speaks for; it may be that product's own."""
        found = self._found.get((source, item, itself))
        if found is None:
            where: Touched = "session" if item in self._session else "history"
            cause = Cause(*self._causes[item], None if isinstance(self._ask, SimilarAsk) else where)
            found = self._found[source, item, itself] = reason(source, cause, itself)
        return found
