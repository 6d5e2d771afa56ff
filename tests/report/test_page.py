"""The page as a whole: complete, offline, the same each time, and safe against what names hold."""

import base64
import hashlib
import re
import xml.etree.ElementTree as ElementTree
from datetime import timedelta
from html.parser import HTMLParser
from pathlib import Path
from typing import TypeVar

import pytest
from matplotlib.figure import Figure

from app.core.part import Part
from app.evaluate.results import MetricInterval, Verdict
from app.insight.results import EventMixRow, Exploration, LeaderRow, MissingRow, SessionLengthRow, TellingFeature
from app.report import page
from app.report.blocks import Section, answered, chart, table_of
from app.report.page import render_report, tiles, write_report
from app.results.run import RunResult
from tests.finished_run import finished_run

HOSTILE = "<script>alert('x')</script> & $\\frac{1}{2}$ \"q\" \x00 中"

SECTIONS = {
    "exploration": "What is in the log?",
    "funnel": "Where do visitors drop out?",
    "paths": "What do people do next?",
    "carts": "What is left in carts?",
    "products": "Which products convert unusually well?",
    "segments": "Who are the customers?",
    "profiles": "How do visitors behave?",
    "rfm": "Whom to keep, whom to win back?",
    "coming-back": "Who comes back?",
    "value": "What will customers bring?",
    "quality": "How good are the recommendations?",
    "recommendations": "What is recommended?",
    "run": "The run",
}
PARTS = ("exploration", "behaviour", "pairs", "segments", "profiles", "customers", "quality", "gate", "recommendations")
EIGHT = (
    "Distribution of scores",
    "Most recommended categories",
    "Most recommended brands",
    "Score against price",
    "Mean score by main category",
    "Mean score by brand",
    "Distribution of prices",
    "Recommendations per user",
)


class Page(HTMLParser):
    """Tags, their attributes and the text of a page."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text.append(data)

    def named(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


@pytest.fixture(scope="module")
def html() -> str:
    return render_report(finished_run())


@pytest.fixture(scope="module")
def hostile() -> str:
    """Of a synthetic log, with names that would do harm; it tells two things, since it takes long to draw."""
    update = {"events_source": HOSTILE, "version": HOSTILE, "synthetic": True}
    return render_report(finished_run(HOSTILE).model_copy(update=update))


def changed(**parts: object) -> RunResult:
    """The run made by hand with other parts."""
    return finished_run().model_copy(update=parts)


def only(**parts: object) -> RunResult:
    """A run that made these parts alone; quicker to draw."""
    return changed(**dict.fromkeys(PARTS) | parts)


def explored(run: RunResult) -> Exploration:
    assert run.exploration is not None
    return run.exploration


def pictures(html: str) -> list[str]:
    return re.findall(r"<svg.*?</svg>", html, flags=re.DOTALL)


def test_every_section_and_chart_is_there(html: str) -> None:
    assert [section["id"] for section in Page(html).named("section")] == list(SECTIONS)
    headings = re.findall(r"<h3>(.*?)</h3>", html)
    assert set(EIGHT) <= set(headings)
    assert len(headings) == len(set(headings))
    assert len(pictures(html)) == 49
    assert "Left out" not in html


def test_numbers_reach_the_page(html: str) -> None:
    text = " ".join(Page(html).text)
    for number in ("1,012,345", "0.2900–0.3100", "7,000.25", "2 min 05 s", "2.134", "0.412"):
        assert number in text, number
    assert "Lists are ordered by LambdaMART in the session task, else by reciprocal rank. It is better." in text
    assert "learned from queries before 2019-10-31 12:00:00" in text
    assert "learned from 1,234 queries" in text
    assert "most left, 80.0%" in text
    assert "15 lines were left, worth 4.32k in shop currency: 30.0% of all decided" in text
    assert "15 (50.0%) are of products whose brand is unknown" in text


def test_tiles_say_blend_baseline_and_verdict() -> None:
    shop, models = tiles(finished_run())
    assert [tile.label for tile in shop] == ["Rows read", "Users", "Products", "Sessions", "Conversion"]
    assert (shop[-1].value, shop[-1].note) == ("10.0%", "40 sessions with a purchase")
    assert shop[0].note == "3 rejected, 7 duplicates, 2 left out"
    assert models[0].value == "0.3000"
    assert models[0].note == ("interval 0.2900 to 0.3100; popularity 0.1000 (0.0900 to 0.1100), so 3 times as high")
    assert (models[1].value, models[1].note, models[1].state) == ("Published", "better overall", "good")
    refused = changed(gate=Verdict(published=False, reason="worse for VIPs", champion="2019"))
    assert (tiles(refused)[1][1].value, tiles(refused)[1][1].note) == (
        "Refused",
        "worse for VIPs (champion: 2019)",
    )


def test_unknown_never_leads() -> None:
    exploration = explored(finished_run())
    unknown = LeaderRow(name="unknown", events=9999, purchases=1, revenue=1.0)
    events = exploration.events.model_copy(update={"top_brands": (unknown, *exploration.events.top_brands)})
    html = render_report(only(exploration=exploration.model_copy(update={"events": events})))
    assert "Most events are of acme: 500, and 20 purchases; grey is what the log does not name." in html
    assert "Most events are of electronics: 600, and 30 purchases." in html


def test_nothing_is_loaded_from_elsewhere(html: str) -> None:
    page = Page(html)
    assert not {"link", "img", "iframe", "object", "embed", "base", "form"} & {tag for tag, _ in page.tags}
    for tag, attributes in page.tags:
        for name, value in attributes.items():
            if name in ("src", "href", "xlink:href", "srcset", "action"):
                assert value is not None
                assert value.startswith("#"), (tag, name, value)
    assert "@import" not in html
    assert all(target.startswith("#") for target in re.findall(r"url\(\s*[\"']?([^)\"']*)", html))
    outside = re.sub(r'xmlns(:xlink)?="[^"]*"', "", html)
    assert "http://" not in outside
    assert "https://" not in outside
    assert "default-src 'none'" in html


def test_no_script_runs_but_the_pages_own(html: str) -> None:
    """By the policy of the page a browser runs what has this checksum, and no other."""
    (script,) = re.findall(r"<script>(.*?)</script>", html, flags=re.DOTALL)
    checksum = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{checksum}'\">" in html
    assert script == (Path(page.__file__).parent / "page.js").read_text()


def test_three_years_fit_into_a_small_page() -> None:
    """Of each day and week there is an area that answers."""
    run = finished_run()
    exploration, customers = explored(run), run.customers
    assert customers is not None
    first = exploration.events.by_day[0]
    days = tuple(first.model_copy(update={"day": first.day + timedelta(n)}) for n in range(3 * 365))
    events = exploration.events.model_copy(update={"by_day": days})
    lifecycle = tuple(row.model_copy(update={"weeks": row.weeks * 52}) for row in customers.lifecycle)
    html = render_report(
        only(
            exploration=exploration.model_copy(update={"events": events}),
            customers=customers.model_copy(update={"lifecycle": lifecycle}),
        )
    )
    assert len(html.encode()) < 2_500_000


def test_charts_answer_though_scripts_be_off(html: str) -> None:
    """Each area that a pointer can meet has a title, which browsers show by themselves; most numbers are exact."""
    said = [ElementTree.fromstring(picture).findall(".//{*}g[@class='tip']/{*}title") for picture in pictures(html)]
    assert all(said)
    texts = {title.text for titles in said for title in titles}
    assert {
        "view\nevents: 900 (90.0%)",
        "acme\nrevenue (shop currency): 7,000",
        "day 2019-10-02\nview: 900\ncart: 60\npurchase: 40",
        "hour of day (h, Europe/Moscow): 9\nview: 50%\ncart: 50%\npurchase: 50%",
        "events in the session: 20+\nshare of sessions (%): 25%",
        "first week from: 2019-10-07 (30)\nweeks later: 1\n40.0%",
        "blend\nNDCG@10 (0 to 1)\n0.3 (0.29 to 0.31)",
        "score (unitless): 0 to 0.5\nrecommendations: 20",
        "average price (shop currency): 0 to 250\nscore (unitless): 0 to 0.5\nrecommendations: 20",
    } <= texts


def test_every_number_is_from_run_json_and_the_same_run_gives_the_same_bytes(html: str, tmp_path: Path) -> None:
    """The page is made of what the file holds, and of nothing else."""
    path = tmp_path / "new" / "report.html"
    write_report(RunResult.model_validate_json(finished_run().model_dump_json()), path)
    assert path.read_bytes() == html.encode()


def test_pictures_are_described_and_their_ids_unique(html: str) -> None:
    ids = [attributes["id"] for _, attributes in Page(html).tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    used = set(re.findall(r"url\(#([^)]*)\)", html)) | set(re.findall(r'xlink:href="#([^"]*)"', html))
    assert used <= set(ids)
    for picture in pictures(html):
        root = ElementTree.fromstring(picture)
        assert root.get("role") == "img"
        assert root.get("aria-label")
        assert root[0].tag.endswith("title")


def test_names_are_escaped(hostile: str) -> None:
    page = Page(hostile)
    assert page.named("script") == [{}]
    assert hostile.count("<script") == 1
    assert "$\\frac{1}{2}$" in " ".join(page.text), "shown as it is, not as a formula"
    for picture in pictures(hostile):
        ElementTree.fromstring(picture)


def test_synthetic_data_are_labelled_everywhere(html: str, hostile: str) -> None:
    assert "ynthetic" not in html
    page = Page(hostile)
    assert any(attributes.get("class") == "banner" for attributes in page.named("p"))
    captions = re.findall(r'<(?:figcaption|p class="caption")>(.*?)</', hostile)
    assert len(captions) == len(re.findall(r"<h3>", hostile))
    assert all(caption.startswith("Synthetic data.") for caption in captions)


@pytest.mark.parametrize("kept", ["behaviour", "segments", "profiles", "customers", "quality", "recommendations"])
def test_a_part_that_was_not_made_has_no_section(kept: str) -> None:
    html = render_report(changed(**dict.fromkeys(set(PARTS) - {kept})))
    several = {
        "behaviour": ["funnel", "paths", "carts", "products"],
        "customers": ["rfm", "coming-back", "value"],
    }
    own = several.get(kept, [kept])
    assert [section["id"] for section in Page(html).named("section")] == ["exploration", *own, "run"]
    assert "Where every row read went" in html
    assert f"<h1>{'Training run' if kept == 'quality' else 'Run'} 2" in html, "others learn nothing"


P = TypeVar("P", bound=Part)


def emptied(part: P) -> P:
    """The part with every table of it empty, and no figure measured that may be missing."""
    changes: dict[str, object] = {}
    for name, value in part:
        if isinstance(value, tuple):
            changes[name] = ()
        elif isinstance(value, Part):
            changes[name] = emptied(value)
        elif name in ("mean_events", "median_events", "silhouette", "rmse", "highest_score", "highest_price"):
            changes[name] = None
    return part.model_copy(update=changes)


def test_what_is_empty_is_named_at_the_head() -> None:
    run = emptied(finished_run())
    html = render_report(run)
    unanswered = ("rfm", "coming-back", "value")
    assert [section["id"] for section in Page(html).named("section")] == [
        key for key in SECTIONS if key not in unanswered
    ]
    assert not pictures(html)
    for title in (*EIGHT, "Events by day", "Users by segment", "Users by profile", "Models compared: session task"):
        assert re.search(rf"Left out, as the log has no data for it: [^<]*{title}[,.][^<]*</p>", html), title
        assert f"<h3>{title}</h3>" not in html


def test_what_is_left_out_for_a_reason_says_it() -> None:
    """One score is nothing to draw, and a log of one week knows nobody who came back: both have data."""
    drawn = chart("Score against price", figure=Figure())
    blocks = [
        chart("Score against price", "Score and price must both differ."),
        chart("Top brands"),
        table_of((), [("Brand", str)], title="Brands", caption="The ten best."),
        drawn,
    ]
    section = answered(Section("lists", "Lists", "What was recommended.", blocks))
    assert section.intro == (
        "What was recommended. Left out, “Score against price”: Score and price must both differ. "
        "Left out, as the log has no data for it: Top brands, Brands."
    )
    assert list(section.blocks) == [drawn], "one that is full stays, whatever its title"


def test_what_is_left_out_for_one_reason_is_named_together() -> None:
    blocks = [chart("Cohorts", "one week."), chart("Lifecycle", "one week.")]
    assert answered(Section("weeks", "Weeks", "So.", blocks)).intro == "So. Left out, “Cohorts”, “Lifecycle”: one week."


def test_what_is_nought_is_not_said() -> None:
    """A log without prices has none below zero, and "0 are unknown" is no news."""
    run = finished_run()
    assert run.recommendations is not None
    none = dict.fromkeys(("unknown_categories", "unknown_brands", "without_price"), 0)
    html = render_report(only(recommendations=run.recommendations.model_copy(update=none)))
    assert "Share of all recommendations in brackets." in html
    assert "How many recommendations have each price." in html
    assert "columns have missing values.</figcaption>" in explored_page(prices_not_positive=0)


def test_what_is_found_is_not_drawn_where_all_look_for_the_same() -> None:
    """In a log of purchases alone it would be the comparison of models once more."""
    quality = finished_run().quality
    assert quality is not None
    rows = [row for row in quality.rows if row.slice != "target:new"]
    html = render_report(only(quality=quality.model_copy(update={"rows": tuple(rows)})))
    assert "Left out, “What is found: session task”: all that was looked for are purchases." in html
    some = [row.model_copy(update={"queries": 99}) if row.slice == "target:purchase" else row for row in rows]
    html = render_report(only(quality=quality.model_copy(update={"rows": tuple(some)})))
    assert "<h3>What is found: session task</h3>" in html


def test_a_log_without_views_says_so() -> None:
    behaviour = finished_run().behaviour
    assert behaviour is not None
    sold = behaviour.performance.model_copy(update={"rates": ()})
    html = render_report(only(behaviour=behaviour.model_copy(update={"performance": sold})))
    assert "since the log has no views." in html


def test_figures_that_were_not_measured_are_dashes() -> None:
    run = finished_run()
    assert run.quality is not None
    blend, als = run.quality.rows[0], run.quality.rows[4]
    unmeasured = MetricInterval(mean=float("nan"), low=float("nan"), high=float("nan"))
    rows = (
        blend.model_copy(update={"metrics": dict.fromkeys(blend.metrics, unmeasured), "coverage_10": None}),
        als,
    )
    exploration = explored(run)
    (price, other) = exploration.events.price_by_event_type
    prices = (price.model_copy(update={"min": None, "max": None}), other)
    events = exploration.events.model_copy(update={"price_by_event_type": prices})
    html = render_report(
        only(
            quality=run.quality.model_copy(update={"rows": rows}),
            exploration=exploration.model_copy(update={"events": events}),
        )
    )
    assert "<td>–</td>" in html
    assert "288.98  (– to –)" in html
    assert ">nan" not in html.lower()


def of_purchases_alone() -> RunResult:
    run = finished_run()
    exploration = explored(run)
    mix = tuple(row for row in exploration.events.event_mix if row.event_type == "purchase")
    events = exploration.events.model_copy(update={"event_mix": mix})
    sessions = exploration.sessions.model_copy(update={"mean_minutes": 0.0, "median_minutes": 0.0})
    return only(exploration=exploration.model_copy(update={"events": events, "sessions": sessions}))


def test_a_log_of_purchases_alone_has_neither_a_mix_nor_a_conversion() -> None:
    """A rate of 100 % and a bar of 100 % say nothing; orders last no time."""
    run = of_purchases_alone()
    assert [tile.label for tile in tiles(run)[0]] == ["Rows read", "Users", "Products", "Sessions"]
    html = render_report(run)
    assert "before any model. All events are of the type purchase." in html
    assert "Events by type" not in html
    assert "Mean duration" not in html


def test_what_a_log_does_not_name_or_price_is_left_out() -> None:
    exploration = explored(finished_run())
    unknown = (LeaderRow(name="unknown", events=9999, purchases=1, revenue=0.0),)
    bare = {"top_brands": unknown, "top_categories": unknown, "price_by_event_type": ()}
    events = exploration.events.model_copy(update=bare)
    html = render_report(only(exploration=exploration.model_copy(update={"events": events})))
    said = "Left out, as the log has no data for it: Mean price by event type, Top categories, Top brands."
    assert said in html
    categories = tuple(row.model_copy(update={"revenue": 0.0}) for row in exploration.events.top_categories)
    events = events.model_copy(update={"top_categories": categories})
    html = render_report(only(exploration=exploration.model_copy(update={"events": events})))
    assert "Top categories" in html
    assert "revenue (shop currency)" not in html.split('id="funnel"')[0]
    assert re.search(r'<figure class="card">\s*<h3>Top categories', html), "two panels are as wide as half the page"


def explored_page(**events: object) -> str:
    exploration = explored(finished_run())
    return render_report(
        only(exploration=exploration.model_copy(update={"events": exploration.events.model_copy(update=events)}))
    )


def test_columns_that_are_there_or_not_are_a_sentence() -> None:
    """Bars of 0 and of 100 % say no more."""
    rows = tuple(
        MissingRow(column=name, missing=missing, share=missing / 1_000)
        for name, missing in (("brand", 1_000), ("price", 0), ("category_code", 1_000), ("category_id", 1_000))
    )
    html = explored_page(missing=rows)
    assert (
        "Left out, “Missing values by column”: the log has no brand, category_code or category_id, no row lacks "
        "price. 5 prices are zero or below and count as missing later." in html
    )


def test_days_without_events_are_in_their_place() -> None:
    """A shop that is closed at Christmas: drawn by its days alone, the year would lack a week."""
    first, second = explored(finished_run()).events.by_day
    late = second.model_copy(update={"day": first.day + timedelta(days=9), "events": 2_000})
    html = explored_page(by_day=(first, late))
    assert "The busiest day of 10 is 2019-10-10, with 2,000 events; there are none on 8 of them." in html
    assert '<td class="left">2019-10-05</td><td>0</td><td>0</td>' in html


def test_where_nobody_buys_leaders_have_no_purchases() -> None:
    exploration = explored(finished_run())
    rows = tuple(row.model_copy(update={"purchases": 0, "revenue": 0.0}) for row in exploration.events.top_categories)
    html = explored_page(top_categories=rows)
    assert re.search(rf"Most events are of [^<:]*: {rows[0].events:,}\.", html)
    assert re.search(r"Most events are of [^<:]*: [0-9,]+, and [0-9,]+ purchases", explored_page())


def test_one_day_is_no_line() -> None:
    (first, _) = explored(finished_run()).events.by_day
    html = explored_page(by_day=(first,))
    assert f"Left out, “Events by day”: all are of one day, {first.day}." in html


@pytest.mark.parametrize(("hour", "told"), [(2, True), (22, False)])
def test_a_last_day_that_is_not_over_is_said_to_be_so(hour: int, told: bool) -> None:
    """Else the fall of its line looks like that of the shop."""
    last = explored(finished_run()).events.last.replace(hour=hour, minute=58)
    html = explored_page(last=last)
    assert (f"The data end at {hour:02}:58 (UTC) of the last day." in html) is told


def test_a_type_of_event_that_never_happens_has_no_bar() -> None:
    never = EventMixRow(event_type="remove_from_cart", events=0, share=0.0)
    html = explored_page(event_mix=(*explored(finished_run()).events.event_mix, never))
    assert ">remove from cart</text>" not in html.split("Missing values by column")[0]


def test_session_length_says_the_usual_one() -> None:
    """A bar of ten lengths is higher than each of them: it is no usual one."""
    said = "have 1 event. The median is 2, the mean 4.59. Grey holds several lengths in one bar."
    assert f"Of 400 sessions 75.0% {said}" in explored_page()
    run = explored(finished_run())
    several = (SessionLengthRow(events=1, sessions=150), SessionLengthRow(events=2, to=10, sessions=250))
    sessions = run.sessions.model_copy(update={"lengths": several})
    assert f"Of 400 sessions 37.5% {said}" in render_report(
        only(exploration=run.model_copy(update={"sessions": sessions}))
    )


def test_parts_of_few_queries_are_left_out() -> None:
    """An interval over three queries is chance."""
    quality = finished_run().quality
    assert quality is not None
    few = {"warm": 9, "target:purchase": 9, "target:new": 20, "cold": 10}
    rows = tuple(row.model_copy(update={"queries": few.get(row.slice, row.queries)}) for row in quality.rows)
    html = render_report(only(quality=quality.model_copy(update={"rows": rows})))
    assert ">cold (10)</text>" in html
    assert ">warm (9)</text>" not in html
    assert ">Purchases (9)</text>" not in html
    assert html.count("Parts with fewer than 10 queries are left out.") == 2 * 2 + 1, "charts, also read aloud; table"
    none = tuple(row.model_copy(update={"queries": 9 if row.slice != "all" else 90}) for row in quality.rows)
    html = render_report(only(quality=quality.model_copy(update={"rows": none})))
    assert re.search("Left out, “Who is served well: session task”, [^.]*: no part has 10 queries", html)


def test_a_feature_at_the_average_is_neither_above_nor_below() -> None:
    segments = finished_run().segments
    assert segments is not None
    at = (
        TellingFeature(feature="monetary", apart=0.04, share=0.6),
        TellingFeature(feature="recency", apart=-0.05, share=0.4),
    )
    rows = tuple(row.model_copy(update={"features": at}) for row in segments.rows)
    html = render_report(only(segments=segments.model_copy(update={"rows": rows})))
    assert '<td class="left">monetary: average (60.0%)</td>' in html
    assert '<td class="left">recency: 0.1 below (40.0%)</td>' in html


def test_one_price_is_a_sentence() -> None:
    exploration = explored(finished_run())
    (row, *_) = exploration.events.price_by_event_type
    events = exploration.events.model_copy(update={"price_by_event_type": (row,)})
    html = render_report(only(exploration=exploration.model_copy(update={"events": events})))
    assert "Left out, “Mean price by event type”: prices are known of the type view alone: 288.98 in the mean" in html


def test_profiles_that_nobody_has_are_named_alone() -> None:
    (row,) = finished_run().profiles
    nobody = row.model_copy(update={"profile": "Price_Sensitive", "users": 0, "rule": "cheap"})
    html = render_report(only(profiles=(row, nobody)))
    assert "Nobody meets the rule of Price Sensitive." in html
    assert ">cheap<" not in html


def test_where_no_price_is_known_profiles_say_so() -> None:
    run = finished_run()
    assert run.segments is not None
    said = "The log has no prices, so a taste for cheap products can&#39;t be told."
    assert said not in render_report(only(profiles=run.profiles, segments=run.segments))
    rows = tuple(
        row.model_copy(update={"means": row.means.model_copy(update={"avg_price": 0.0, "price_level": 1.0})})
        for row in run.segments.rows
    )
    unpriced = run.segments.model_copy(update={"rows": rows})
    assert said in render_report(only(profiles=run.profiles, segments=unpriced))


def test_lists_of_one_length_are_no_picture() -> None:
    run = finished_run()
    assert run.recommendations is not None
    alike = run.recommendations.model_copy(update={"per_user": run.recommendations.per_user[1:]})
    html = render_report(only(recommendations=alike))
    assert "in the lists of 3 users. Each has 10." in html
    assert "Recommendations per user" not in html


def test_diversity_that_is_not_known_has_no_column() -> None:
    quality = finished_run().quality
    assert quality is not None
    rows = tuple(row.model_copy(update={"diversity_10": None}) for row in quality.rows)
    html = render_report(only(quality=quality.model_copy(update={"rows": rows})))
    assert "iversity" not in html
