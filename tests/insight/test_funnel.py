"""The ordered funnel, counted by hand on a dozen visits, and held against a plain one on invented logs."""

from collections import Counter
from datetime import datetime, timedelta
from itertools import product as pairs_of

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.core.duck import Connection, Relation, kept
from app.insight.behaviour_results import Funnel, FunnelGroup, Instead
from app.insight.funnel import (
    STEPS,
    StepRows,
    buying_counts,
    funnel,
    funnel_counts,
    steps_of,
    users_reached,
    visits_reached,
)
from app.insight.visit_steps import visit_steps
from tests.handmade import Event, events_relation, moment, relation
from tests.insight.shop import CATEGORIES, PRODUCTS, shop_relation


def event(user: int, visit: str, kind: str, product: int, at: str) -> Event:
    return (user, product, kind, at, {"user_session": visit})


EVENTS = [
    # user 1: all the way in one visit, with another product bought than looked at
    event(1, "a", "view", 7, "10-01 09:00"),
    event(1, "a", "cart", 8, "10-01 09:01"),
    event(1, "a", "purchase", 8, "10-01 09:02"),
    # user 2: a cart before any view is no second step; then the product once more
    event(2, "b", "cart", 7, "10-01 09:00"),
    event(2, "b", "view", 7, "10-01 09:01"),
    event(2, "b", "view", 7, "10-01 09:02"),
    # user 2, two days later: buys what waits in the cart, so by user the chain is view (b), cart (c), purchase (c)
    event(2, "c", "cart", 7, "10-03 09:00"),
    event(2, "c", "purchase", 7, "10-03 09:01"),
    # user 3: all in one second is in order
    event(3, "d", "purchase", 9, "10-02 09:00"),
    event(3, "d", "cart", 9, "10-02 09:00"),
    event(3, "d", "view", 9, "10-02 09:00"),
    # user 4: into the cart and out again; the window of nine days is not over on 10 October
    event(4, "e", "view", 7, "10-02 09:00"),
    event(4, "e", "cart", 7, "10-02 09:01"),
    event(4, "e", "remove_from_cart", 7, "10-02 09:02"),
    event(4, "e", "view", 9, "10-02 09:03"),
    # user 5: looks, and leaves
    event(5, "f", "view", 10, "10-10 09:00"),
    # user 6: looks, and buys without a cart
    event(6, "g", "view", 9, "10-01 09:00"),
    event(6, "g", "purchase", 9, "10-01 09:01"),
]
LAST = moment("10-10 09:00")


@pytest.fixture(scope="module")
def visits(duck: Connection) -> Relation:
    return kept(visit_steps(events_relation(duck, EVENTS), shop_relation(duck)))


def counted(duck: Connection, visits: Relation, days: float) -> Funnel:
    segments = relation(duck, [(1, 0), (2, 0), (3, 1), (4, 1), (5, 1), (6, 1)], "user_id bigint, segment_id int")
    rows = StepRows.of(visits, STEPS)
    return funnel(
        funnel_counts(rows, days, LAST, segments),
        buying_counts(rows),
        STEPS,
        days,
        CATEGORIES,
        {0: "buyers", 1: "others"},
    )


@pytest.fixture(scope="module")
def found(duck: Connection, visits: Relation) -> Funnel:
    return counted(duck, visits, 9)


def test_steps_count_in_order(found: Funnel) -> None:
    # visits with a view: a, b, d, e, f, g; then a cart: a, d, e; then a purchase: a, d
    assert found.total == FunnelGroup(name="all", sessions=(6, 3, 2), users=(6, 4, 3))


def test_of_users_who_may_still_go_on_it_is_said(found: Funnel) -> None:
    # Short of the purchase are 4 (viewed on 2 October), 5 (on 10 October) and 6 (on 1 October, over on the 10th)
    assert found.open_users == 2


def test_the_window_begins_with_the_first_step(duck: Connection, visits: Relation) -> None:
    # user 2 viewed at 09:02 on the 1st, and bought at 09:01 on the 3rd: 47:59 hours later
    assert counted(duck, visits, 47.9 / 24).total.users == (6, 3, 2)
    assert counted(duck, visits, 2).total.users == (6, 4, 3)
    assert counted(duck, visits, 47.99 / 24).total.users == (6, 4, 3)


def test_what_came_instead(found: Funnel) -> None:
    def at_view(event: str | None, same: bool) -> Instead:
        return Instead(step="view", event=event, same_product=same, sessions=1, share=1 / 3)

    taken_out = Instead(step="cart", event="remove_from_cart", same_product=True, sessions=1, share=1.0)
    assert found.instead == (at_view(None, False), at_view("view", True), at_view("purchase", True), taken_out)


def test_sessions_that_buy_without_a_cart(found: Funnel) -> None:
    # purchases in a, c, d, g; no cart event in g
    assert (found.buying_sessions, found.direct_sessions) == (4, 1)


def test_by_segment(found: Funnel) -> None:
    assert found.by_segment == (
        FunnelGroup(name="buyers", sessions=(2, 1, 1), users=(2, 2, 2)),
        FunnelGroup(name="others", sessions=(4, 2, 1), users=(4, 2, 1)),
    )


def test_by_category_all_steps_are_of_one(found: Funnel) -> None:
    # phones: a (view, cart, purchase), b (view), e (view, cart); sofas: d (all), e (view), g (view)
    assert found.by_category == (
        FunnelGroup(name="phones", sessions=(3, 2, 1), users=None),
        FunnelGroup(name="sofas", sessions=(3, 1, 1), users=None),
    )


def test_by_price_all_steps_are_of_one_band(found: Funnel) -> None:
    # dear: a (view of 7), b, e; middle: nobody viewed 8; without a price: f counts nowhere
    assert found.by_price == (
        FunnelGroup(name="cheap third", sessions=(3, 1, 1), users=None),
        FunnelGroup(name="dear third", sessions=(3, 1, 0), users=None),
    )


def test_steps_that_a_log_does_not_have_are_left_out(duck: Connection, visits: Relation) -> None:
    assert steps_of(["purchase", "remove_from_cart", "view"]) == ("view", "purchase")
    rows = StepRows.of(visits, ("view", "purchase"))
    found = funnel(funnel_counts(rows, 9, LAST, None), buying_counts(rows), rows.steps, 9, (), {})
    assert found.total.sessions == (6, 3)
    assert (found.buying_sessions, found.direct_sessions) == (4, 4), "there is no step between"


def test_a_funnel_of_nothing(duck: Connection) -> None:
    visits = kept(visit_steps(events_relation(duck, []), shop_relation(duck)))
    rows = StepRows.of(visits, STEPS)
    found = funnel(funnel_counts(rows, 1, LAST, None), buying_counts(rows), STEPS, 1, (), {})
    assert (found.total.sessions, found.total.users, found.open_users) == ((0, 0, 0), (0, 0, 0), 0)
    assert found.instead == ()


START = datetime(2019, 10, 1)
WINDOW = timedelta(hours=1)
Row = tuple[int, str, str, int, int]  # user, visit, event type, product, minutes
ROWS = st.lists(
    st.tuples(
        st.integers(1, 9),
        st.sampled_from("ab"),
        st.sampled_from(["view", "cart", "remove_from_cart", "purchase"]),
        st.sampled_from(list(PRODUCTS)),
        st.integers(0, 150),
    ),
    min_size=1,
    max_size=70,
    unique=True,
)


def reached(rows: list[Row], window: float) -> int:
    """The furthest step that any choice of one event for each step reaches, in order and within a window."""
    times = [[minute for _, _, kind, _, minute in rows if kind == step] for step in STEPS]
    best = 0
    for last in range(1, 4):
        for chosen in pairs_of(*times[:last]):
            if list(chosen) == sorted(chosen) and chosen[-1] - chosen[0] <= window:
                best = last
    return best


def plain(rows: list[Row], column: int | None, by_visit: bool, window: float) -> Counter[tuple[int, int, int]]:
    """User, value of the column and furthest step of each visit or user that reaches one."""
    units: dict[tuple[int, str, int], list[Row]] = {}
    for row in rows:
        value = -1 if column is None else PRODUCTS[row[3]][column]
        if value is not None:
            units.setdefault((row[0], row[1] if by_visit else "", value), []).append(row)
    found = ((user, value, reached(unit, window)) for (user, _, value), unit in units.items())
    return Counter(key for key in found if key[-1])


@given(rows=ROWS)
@settings(deadline=None, max_examples=12)
def test_as_a_plain_funnel_counts(duck: Connection, rows: list[Row]) -> None:
    """Of visits and of users, with all steps of one category or price band, or of any."""
    events = [
        (user, product, kind, f"{START + timedelta(minutes=minute):%m-%d %H:%M}", {"user_session": f"{user}{visit}"})
        for user, visit, kind, product, minute in rows
    ]
    visits = kept(visit_steps(events_relation(duck, events), shop_relation(duck)))
    steps = StepRows.of(visits, STEPS)
    for held, column in ((None, None), ("category", 1), ("band", 3)):
        by_visit = visits_reached(steps, held).select("user_id, value, reached").fetchall()
        assert Counter(by_visit) == plain(rows, column, True, float("inf"))
    by_user = users_reached(steps, WINDOW / timedelta(days=1), START + timedelta(days=9))
    assert Counter(by_user.select("user_id, -1, reached").fetchall()) == plain(
        rows, None, False, WINDOW / timedelta(minutes=1)
    )
