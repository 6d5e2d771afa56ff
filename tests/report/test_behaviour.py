"""The sections on behaviour: what they say, and what they leave out where a log can't tell."""

from typing import Any

import pytest

from app.insight.behaviour_results import Behaviour, FunnelGroup, Instead, Journeys, Performance, Transition
from app.report import behaviour, carts, funnel, paths, products
from app.report.blocks import Chart, Section, Table
from app.report.theme import style
from tests.finished_run import behaviour as finished


@pytest.fixture(autouse=True)
def drawing() -> Any:
    with style():
        yield


def block(section: Section, title: str) -> Any:
    return next(block for block in section.blocks if block.title == title)


def titles(section: Section) -> list[str]:
    return [block.title for block in section.blocks]


def test_a_log_that_tells_nothing_says_so_at_each_head() -> None:
    nothing = Behaviour(
        has_prices=False,
        has_categories=False,
        funnel=None,
        carts=None,
        performance=Performance(products=3, rates=(), above=(), below=(), best_sellers=()),
        paths=None,
    )
    sections = behaviour.sections(nothing)
    assert [section.key for section in sections] == ["funnel", "paths", "carts", "products"]
    assert all(not section.blocks for section in sections)
    assert [section.intro.split(",")[0] for section in sections] == [
        "The log has no two of views",
        "The log has one type of event alone",
        "The log has no cart events",
        "How readily products are bought can't be told",
    ]


def test_the_funnel_says_where_it_is_narrow() -> None:
    section = behaviour.sections(finished("acme"))[0]
    assert "14 of 40" not in section.intro
    assert "35.0% of 40 sessions with a purchase have no cart event" in section.intro
    assert "Of 255 users short of the last step 120 may still get there: their 7 days were not over" in section.intro
    chart = block(section, "Sessions that reach each step")
    assert isinstance(chart, Chart)
    assert chart.caption == (
        "7.50% of the sessions with the first step go all the way. The narrowest place is before the cart: 12.5% of "
        "those who could take that step do."
    )
    assert chart.table is not None
    assert chart.table.rows[2] == ["purchase", "30", "7.50%", "60.0%"]


def test_the_funnel_says_what_came_instead() -> None:
    section = behaviour.sections(finished("acme"))[0]
    chart = block(section, "What came instead of the cart")
    assert [row[0] for row in chart.table.rows] == ["left", "viewed another product", "bought it without a cart"]
    assert "Of 350 sessions that reach the view and no cart after it" in chart.caption
    none = funnel.instead([], "cart", "purchase")
    assert none.svg is None
    assert none.caption == "No session stopped at the cart."


def test_every_event_that_may_come_next_has_words() -> None:
    for event in ("view", "cart", "remove_from_cart", "purchase"):
        for same in (True, False):
            row = Instead(step="view", event=event, same_product=same, sessions=1, share=1.0)
            assert funnel.instead([row], "view", "cart").table


def test_a_step_that_nobody_reached_is_a_share_of_nothing() -> None:
    chart = funnel.steps(("view", "cart", "purchase"), (5, 0, 0), "users")
    assert chart.table is not None
    assert [row[3] for row in chart.table.rows] == ["–", "0%", "–"]
    assert "before the cart: 0%" in chart.caption
    cut = funnel.cut(
        (FunnelGroup(name="a", sessions=(0, 0, 0), users=(0, 0, 0)),), ("view", "cart", "purchase"), "price"
    )
    assert cut.table is not None


def test_what_a_log_does_not_have_is_not_drawn() -> None:
    found = finished("acme")
    assert found.funnel is not None
    bare = found.funnel.model_copy(update={"by_category": (), "by_price": (), "by_segment": ()})
    section = funnel.section(bare, priced=False, categorised=False)
    assert "The log has no prices and no categories, so the funnel is not cut by them." in section.intro
    assert not [title for title in titles(section) if title.startswith("Steps by")]
    assert found.paths is not None
    section = paths.section(found.paths.model_copy(update={"categories": ()}), categorised=False)
    assert titles(section) == ["From event to event"]


def test_paths_have_start_first_and_end_last() -> None:
    found = finished("acme").paths
    assert found is not None
    chart = block(paths.section(found, categorised=True), "From event to event")
    assert chart.table.headers == ["Before", "view", "cart", "purchase", "end"]
    assert chart.table.rows[0] == ["start", "400", "0", "0", "0"]
    assert chart.table.rows[1] == ["view", "150", "50", "0", "300"]
    assert "The most frequent change is from view to cart: 10.0% of what comes after." in chart.caption


def test_a_change_from_or_to_what_has_no_name_says_nothing() -> None:
    rows = (
        Transition(before="phones", after="other categories", times=90, share=0.9),
        Transition(before="phones", after="cases", times=10, share=0.1),
        Transition(before="other categories", after="phones", times=80, share=1.0),
    )
    chart = block(paths.section(Journeys(events=(), categories=rows), True), "From category to category")
    assert "The most frequent change between those named is from phones to cases: 10.0%" in chart.caption


def test_carts_without_prices_count_lines() -> None:
    found = finished("acme").carts
    assert found is not None
    unpriced = found.model_copy(
        update={
            "outcomes": tuple(row.model_copy(update={"value": None}) for row in found.outcomes),
            "products": tuple(row.model_copy(update={"value": None}) for row in found.products),
            "times": None,
            "categories": (),
        }
    )
    section = carts.section(unpriced, priced=False, categorised=False)
    assert "15 lines were left: 30.0% of all decided. The log has no prices, so lines are counted" in section.intro
    assert titles(section) == ["What becomes of cart lines", "Left behind, by product"]
    chart = block(section, "Left behind, by product")
    assert chart.table.headers == ["Products", "Category", "Lines left", "Lines decided", "Share left"]


def test_of_carts_that_are_not_decided_none_is_said_to_be_left() -> None:
    """As in a log of one day, where 0 of those that are decided are left: only a purchase is known at once."""
    found = finished("acme").carts
    assert found is not None
    lines = {"bought": 20, "open": 30}
    young = found.model_copy(
        update={
            "outcomes": tuple(row.model_copy(update={"lines": lines.get(row.outcome, 0)}) for row in found.outcomes)
        }
    )
    intro = carts.section(young, priced=True, categorised=True).intro
    assert intro.endswith("None is known to be left: 30 lines are not decided yet.")


def test_where_no_cart_led_to_a_purchase_it_is_said() -> None:
    """In a log without purchases all that is decided is left, and the shop is not as bad as that."""
    found = finished("acme").carts
    assert found is not None
    outcomes = tuple(
        row.model_copy(update={"lines": 0 if row.outcome == "bought" else row.lines}) for row in found.outcomes
    )
    said = "Nothing that was in a cart was bought in time."
    assert said in carts.section(found.model_copy(update={"outcomes": outcomes}), True, True).intro
    assert said not in carts.section(found, True, True).intro


def test_time_to_purchase_has_its_bars_between_edges() -> None:
    found = finished("acme").carts
    assert found is not None
    chart = block(carts.section(found, priced=True, categorised=True), "Time from cart to purchase")
    assert [row[0] for row in chart.table.rows] == ["< 1 min", "1 min–1 d", "> 1 d"]
    assert "half within 5 min 00 s, three quarters within 2 h 00 min" in chart.caption


def test_products_that_do_not_differ_are_said_to() -> None:
    found = finished("acme").performance
    alike = tuple(rate.model_copy(update={"alpha": None, "beta": None}) for rate in found.rates)
    section = products.section(found.model_copy(update={"rates": alike, "above": (), "below": ()}))
    assert "Products do not differ beyond chance, so none stands out." in section.intro
    (table,) = section.blocks
    assert isinstance(table, Table)
    assert table.rows[0] == ["acme", "30", "315.00", "200", "12.5%"], "no category is known"


def test_what_a_product_without_a_price_has_brought_is_a_dash() -> None:
    (priced,) = finished("acme").performance.best_sellers
    unpriced = priced.model_copy(update={"product": "gift", "revenue": None})
    assert [row[2] for row in products.best_sellers([priced, unpriced]).rows] == ["315.00", "–"]
    assert "Revenue (shop currency)" not in products.best_sellers([unpriced]).headers


def test_a_shop_of_one_price_is_not_cut_by_it() -> None:
    found = finished("acme").funnel
    assert found is not None
    section = funnel.section(found.model_copy(update={"by_price": ()}), priced=True, categorised=True)
    assert section.intro.endswith("Products differ too little in price for the funnel to be cut by it.")
    assert "too little" not in funnel.section(found, priced=True, categorised=True).intro
