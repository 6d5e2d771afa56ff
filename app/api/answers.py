"""Lists for what is asked: from requests to visits, and from answers of the recommender to lists with reasons."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from app.api.attribution.answered import Answered, Because
from app.api.models import Ask, RankedProduct, ReasonKind, Recommendations, SimilarAsk, Touched
from app.api.posted.sessions import PostedSessions, SessionEvent
from app.api.reasons import Cause, reason
from app.api.shop import Shop, main_category
from app.api.variants import Variant
from app.events.ids import number_of
from app.events.vocabulary import KINDS
from app.registry.identities import Identities
from app.serve.loops import among
from app.serve.ragged import NONE, Ragged, pair_keys
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
            found |= zip(rows, _Places(variant, shop, answer, chosen).lists(now, remember), strict=True)
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
    return Visitors.of(users, np.array(moments), _touches(visits, parameters.session_max_products))


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


@dataclass(frozen=True)
class _Places:
    """The places of the lists of an answer, with what people are told of each."""

    variant: Variant
    shop: Shop
    answer: Answer
    asks: Sequence[Ask]

    def lists(self, now: float, remember: Remember) -> list[Recommendations]:
        counts = np.array([ask.count for ask in self.asks])
        items = self.answer.lists.items
        rows, places = np.nonzero((items != NONE) & (np.arange(items.shape[1]) < counts[:, None]))
        products: list[list[RankedProduct]] = [[] for _ in self.asks]
        for row, product in zip(rows.tolist(), self._products(rows, places), strict=True):
            products[row].append(product)
        return [
            Recommendations(
                recommendation_id=remember(_answered(now, self.variant, ask, of_list)),
                model_version=self.shop.bundle.version,
                variant=self.variant.name,
                user_id=ask.user_id,
                products=of_list,
            )
            for ask, of_list in zip(self.asks, products, strict=True)
        ]

    def _products(self, rows: NDArray[np.int64], places: NDArray[np.int64]) -> list[RankedProduct]:
        lists = self.answer.lists
        items = lists.items[rows, places]
        names = [*self.shop.recommender.generators, FALLBACK]  # that of `NONE` is the last
        sources = [names[number] for number in lists.sources[rows, places].tolist()]
        found = self.shop.attributes(items)
        columns = (
            found.ids,
            found.titles,
            found.categories,
            found.brands,
            found.prices,
            (places + 1).tolist(),
            lists.scores[rows, places].astype(np.float64).tolist(),
            sources,
            self._causes(rows, self.answer.because[rows, places]),
            self._near(rows, items),
        )
        return [
            RankedProduct(
                rank=rank,
                product_id=product,
                title=title,
                category=category,
                brand=brand,
                price=price,
                score=score,
                source=source,
                reason=reason(product, source, cause, main_category(category) if near else None),
            )
            for product, title, category, brand, price, rank, score, source, cause, near in zip(*columns, strict=True)
        ]

    def _causes(self, rows: NDArray[np.int64], because: NDArray[np.int32]) -> list[Cause | None]:
        """The touched product that speaks for each place (m,)."""
        session, there = self.answer.visits.session, because != NONE
        in_session = among(pair_keys(rows, because), pair_keys(session.shape.rows(), session.products))
        told, which = np.unique(because[there], return_inverse=True)  # a few products speak for most places
        known = self.shop.attributes(told)
        named = [*zip(known.ids, known.names(), strict=True)]
        found: list[Cause | None] = [None] * len(rows)
        for place, row, here, number in zip(
            np.flatnonzero(there).tolist(),
            rows[there].tolist(),
            in_session[there].tolist(),
            which.tolist(),
            strict=True,
        ):
            where: Touched | None = "session" if here else "history"
            product, name = named[number]
            found[place] = Cause(product, name, None if isinstance(self.asks[row], SimilarAsk) else where)
        return found

    def _near(self, rows: NDArray[np.int64], items: NDArray[np.int32]) -> list[bool]:
        """Whether each place (m,) is in a main category that its visit asked for, or has touched."""
        category, touched = self.shop.catalogue.category, self.answer.visits.touched
        theirs = pair_keys(touched.shape.rows(), category[touched.products])
        near = among(pair_keys(rows, category[items]), theirs)
        asked = np.array([ask.filters.category is not None for ask in self.asks])
        return (near | asked[rows]).tolist()
