"""The sections on customers: what a log doesn't carry is said, and what hasn't happened yet stays blank."""

from datetime import date
from typing import Any

from app.insight.customer_results import Cohort, Customers, ModelFit, Value
from app.report import value
from app.report.blocks import Chart, Section, Table, answered
from app.report.customers import coming_back, rfm, sections
from app.report.theme import style
from tests.finished_run import customers


def changed(**parts: Any) -> Value:
    found = customers().value
    assert found is not None
    return found.model_copy(update=parts)


def drawn(found: Value) -> Section:
    with style():
        return value.section(found)


def block(section: Section, title: str) -> Any:
    return next(block for block in section.blocks if block.title == title)


def test_a_section_for_each_question() -> None:
    with style():
        assert [section.key for section in sections(customers())] == ["rfm", "coming-back", "value"]
        nobody_bought = Customers(rfm=(), lifecycle=(), cohorts=(), value=None)
        assert sections(nobody_bought) == []


def test_customers_without_prices_are_said_to_be_so() -> None:
    with style():
        first = sections(customers().model_copy(update={"rfm": ()}))[0]
    assert (first.key, first.blocks) == ("rfm", [])
    assert first.intro == "No purchase has a known price, so nobody is known to have spent money."


def test_one_share_is_a_table_and_a_state_of_nobody_no_line() -> None:
    found = customers()
    (visits, purchases), lifecycle = found.cohorts, found.lifecycle
    short = visits.model_copy(update={"rows": (Cohort(start=date(2019, 10, 7), users=(30, 12)), visits.rows[2])})
    weeks = tuple(row.model_copy(update={"resurrected": 0}) for row in lifecycle[0].weeks)
    calm = lifecycle[0].model_copy(update={"weeks": weeks})
    with style():
        section = coming_back(
            found.model_copy(update={"cohorts": (short, purchases), "lifecycle": (calm, lifecycle[1])})
        )
    again, weekly = section.blocks[:2]
    assert isinstance(again, Table)
    assert (again.headers[-1], again.rows[0]) == ("1 week later", ["2019-10-07", "30", "12"])
    assert "40.0% of the first week's did." in again.caption
    assert "brackets" not in again.caption
    assert isinstance(weekly, Chart)
    assert weekly.svg is not None
    assert ">dormant</text>" in weekly.svg
    assert ">resurrected</text>" not in weekly.svg


def test_two_weeks_are_no_picture() -> None:
    """A line between two points says no more than they do."""
    found = customers()
    two = tuple(row.model_copy(update={"weeks": row.weeks[:2]}) for row in found.lifecycle)
    with style():
        section = coming_back(found.model_copy(update={"lifecycle": two}))
    table = block(section, "Users who visit, from week to week")
    assert isinstance(table, Table)
    assert table.headers == ["Week from", "New", "Returning", "Dormant"]
    assert table.rows == [["2019-10-07", "30", "0", "0"], ["2019-10-14", "8", "12", "18"]]
    assert "Resurrected" not in table.caption
    assert "The last week is not over." in table.caption


def test_a_log_without_purchases_says_what_it_can_not_tell() -> None:
    found = customers()
    visits = found.model_copy(update={"rfm": (), "value": None, "lifecycle": found.lifecycle[:1]})
    said = "The log has no purchases: who buys again and what customers will bring can't be told."
    with style():
        (section,) = sections(visits)
        assert section.intro.endswith(said)
        assert said not in coming_back(found).intro


def test_one_week_is_left_out() -> None:
    found = customers()
    one = tuple(row.model_copy(update={"weeks": row.weeks[:1]}) for row in found.lifecycle)
    with style():
        section = answered(coming_back(found.model_copy(update={"lifecycle": one, "cohorts": ()})))
    assert section.blocks == []
    assert section.intro.endswith("“Users who buy, from week to week”: the log ends in the week in which it begins.")


def test_where_nobody_buys_twice_there_are_no_champions() -> None:
    """Fifths of equal frequency are cut by user id, which says nothing of anybody."""
    rows = customers().rfm
    once = tuple(row.model_copy(update={"mean_purchases": 1.0}) for row in rows)
    with style():
        nobody, some = rfm(once), rfm((*rows, *once))
        assert "everybody has bought once" not in rfm(rows).intro
    assert (nobody.intro, nobody.blocks) == ("Nobody has bought twice, so how often they buy tells nobody apart.", [])
    assert "Of Champions and Hibernating everybody has bought once" in some.intro


def test_a_log_too_short_for_a_forecast_says_so() -> None:
    found = changed()
    short = value.holdout(found.holdout.model_copy(update={"days": 0}))
    assert isinstance(short, Chart)
    assert (short.svg, short.caption) == (None, "the log is too short for a part of it to be held out.")


def test_rfm_says_who_brings_the_money() -> None:
    with style():
        _, picture, table = rfm(customers().rfm).blocks
    assert picture.caption == "Champions, 25.0% of the customers, spent 75.0% of it all."
    assert isinstance(table, Table)
    assert table.rows[0] == ["Champions", "10", "25.0%", "750.25", "75.0%", "3.25", "2.5"]


def test_cells_to_come_are_blank_and_those_without_anybody_0() -> None:
    with style():
        section = coming_back(customers())
    picture = block(section, "Users who visit again, by first week")
    assert isinstance(picture, Chart)
    assert picture.table is not None
    assert [row[1:] for row in picture.table.rows] == [["30", "12", "0"], ["8", "2", ""], ["2", "", ""]]
    assert "The data end within a week" in picture.caption


def test_a_log_of_purchases_alone_is_shown_once() -> None:
    found = customers()
    purchases = found.cohorts[1]
    visits = purchases.model_copy(update={"kind": "visits"})
    with style():
        section = coming_back(found.model_copy(update={"cohorts": (visits, purchases)}))
    assert [part.title for part in section.blocks] == [
        "Users who buy again, by first week",
        "Users who buy, from week to week",
    ]
    assert "The log holds purchases alone." in section.intro


def test_value_is_told_in_a_sentence_with_its_warnings() -> None:
    section = drawn(changed())
    assert section.intro == (
        "62.5% of 40 customers are expected to be customers still, and to make 80 purchases in 90 days. "
        "Who never bought again counts as one: in this model nobody leaves before a second purchase. "
        "The log has 30 days: 90 days ahead is far. "
        "Frequency and spend correlate (0.31), which the model of spend rules out: money here misleads."
    )
    assert "18 purchases expected, 20 made (10.00% too few)" in block(section, "How a forecast would have done").caption


def test_value_is_told_by_segment_too() -> None:
    table = block(drawn(changed()), "Forecasts by customer segment")
    assert isinstance(table, Table)
    assert (table.headers[0], table.rows[0][:2]) == ("Segment", ["VIP Customers", "30"])


def test_what_is_not_identified_has_no_number() -> None:
    nothing = ModelFit(not_identified="a falls to 0", parameters=(), log_likelihood=None)
    blank = dict.fromkeys(("p_alive", "purchases_30", "purchases_90", "value_90"))
    found = changed()
    holdout = found.holdout.model_copy(update={"not_identified": "a falls to 0", "expected": None, "rows": ()})
    rows = tuple(row.model_copy(update=blank) for row in found.rows)
    section = drawn(changed(bg_nbd=nothing, rows=rows, holdout=holdout))
    assert section.intro.startswith("Who is still a customer is not identified: a falls to 0. So there is no forecast")
    assert [part.title for part in answered(section).blocks] == [
        "What a purchase is worth",
        "What a purchase is worth, by segment",
        "The models",
    ]
    assert block(section, "What a purchase is worth, by segment").rows[1] == ["New Customers", "10", "17.50"]
    assert block(section, "What a purchase is worth").rows[1] == ["Champions", "10", "17.50"]
    worthless = tuple(row.model_copy(update={"expected_spend": None}) for row in rows)
    section = drawn(changed(bg_nbd=nothing, rows=worthless, holdout=holdout))
    assert [part.title for part in answered(section).blocks] == ["The models"]
    assert "purchases were made; none were forecast, since a falls to 0." in answered(section).intro
