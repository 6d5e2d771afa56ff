"""Paths counted by hand on three visits."""

import pytest

from app.core.duck import Connection, kept
from app.insight.behaviour_results import Journeys, Transition
from app.insight.paths import path_counts, paths
from app.insight.visit_steps import visit_steps
from tests.handmade import Event, events_relation
from tests.insight.shop import CATEGORIES, shop_relation

EVENTS: list[Event] = [
    (1, 7, "view", "10-01 09:00", {"user_session": "a"}),
    (1, 7, "cart", "10-01 09:01", {"user_session": "a"}),
    (1, 8, "view", "10-01 09:02", {"user_session": "a"}),
    (1, 9, "view", "10-01 09:03", {"user_session": "a"}),
    (1, 7, "view", "10-02 09:00", {"user_session": "b"}),  # another visit: nothing leads here from the first
    (2, 10, "view", "10-01 09:00", {"user_session": "a"}),  # of another user: a session of its own
    (2, 9, "view", "10-01 09:30", {"user_session": "a"}),
]


@pytest.fixture(scope="module")
def found(duck: Connection) -> Journeys:
    visits = kept(visit_steps(events_relation(duck, EVENTS), shop_relation(duck)))
    return paths(path_counts(visits), CATEGORIES)


def test_from_event_to_event(found: Journeys) -> None:
    assert found.events == (
        Transition(before="start", after="view", times=3, share=1.0),
        Transition(before="view", after="end", times=3, share=0.5),
        Transition(before="view", after="view", times=2, share=1 / 3),
        Transition(before="view", after="cart", times=1, share=1 / 6),
        Transition(before="cart", after="view", times=1, share=1.0),
    )


def test_from_category_to_category_products_differ(found: Journeys) -> None:
    assert found.categories == (
        Transition(before="start", after="phones", times=2, share=2 / 3),
        Transition(before="start", after="other categories", times=1, share=1 / 3),
        Transition(before="phones", after="end", times=1, share=1 / 3),
        Transition(before="phones", after="phones", times=1, share=1 / 3),
        Transition(before="phones", after="sofas", times=1, share=1 / 3),
        Transition(before="sofas", after="end", times=2, share=1.0),
        Transition(before="other categories", after="sofas", times=1, share=1.0),
    )


def test_parts_are_added_up(duck: Connection) -> None:
    counts = path_counts(kept(visit_steps(events_relation(duck, EVENTS), shop_relation(duck))))
    twice = paths(counts.union(counts), ())
    assert twice.events[0] == Transition(before="start", after="view", times=6, share=1.0)
    assert twice.categories == ()
