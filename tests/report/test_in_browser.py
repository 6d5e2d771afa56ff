"""The page in a browser: its script sorts tables, answers for charts and folds sections, by pointer and by key.

On paper and on a phone nothing is cut off, folded away or light on white.
"""

import json
import re
import subprocess
from collections.abc import Iterator
from html import unescape
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, sync_playwright

from app.report.page import render_report
from tests.finished_run import finished_run

#: What a reader does, and what the page is like then.
READER = """
const found = {};
const table = [...document.querySelectorAll(".card")].find((card) => card.textContent.includes("RFM in figures"))
  .querySelector("table");
const column = (number) => [...table.tBodies[0].rows].map((row) => row.cells[number].textContent);
const heads = [...table.querySelectorAll("th")];
const sorts = () => heads.map((head) => head.getAttribute("aria-sort")).join(" ");
found.buttons = heads.every((head) => head.querySelector("button").tabIndex === 0);
found.turns = [1, 2, 3].map(() => { heads[1].querySelector("button").click(); return [column(1), sorts()]; });
heads[0].querySelector("button").click();
found.words = column(0);
const cases = document.querySelector(".cases");
found.cases = [...cases.querySelectorAll("th button")].map((button) => {
  button.click();
  return [...cases.tBodies[0].rows].map((row) => row.cells[button.closest("th").cellIndex].textContent);
});

const tip = document.querySelector(".tooltip");
const chart = [...document.querySelectorAll("figure")].find((one) => one.textContent.includes("Events by type"));
const frame = chart.querySelector(".scroll");
const press = (key) => frame.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true, cancelable: true }));
const told = () => [tip.classList.contains("shown"), tip.textContent, chart.querySelectorAll(".on").length];
found.frame = frame.tabIndex;
found.keys = ["ArrowRight", "ArrowRight", "ArrowLeft", "End", "Escape"].map((key) => { press(key); return told(); });
const combined = (key, modifier) =>
  frame.dispatchEvent(new KeyboardEvent("keydown", { key, [modifier]: true, bubbles: true, cancelable: true }));
found.combined = ["altKey", "ctrlKey", "metaKey"].map((modifier) => [combined("ArrowLeft", modifier), told()[0]]);
const area = chart.querySelector(".tip path");
area.dispatchEvent(new PointerEvent("pointermove", { bubbles: true, clientX: 30, clientY: 30 }));
found.pointed = told();
chart.querySelector("svg").dispatchEvent(new PointerEvent("pointerleave"));
found.left = told()[0];
found.titles = document.querySelectorAll("svg title").length;

const sections = [...document.querySelectorAll("details.section")];
const open = () => sections.filter((section) => section.open).length;
const all = document.querySelector("nav button");
found.folds = [open() === sections.length, all.textContent];
all.click();
found.folds.push(open());
document.querySelector("nav a[href='#carts']").click();
dispatchEvent(new Event("hashchange"));
found.folds.push(sections.filter((section) => section.open).map((section) => section.parentElement.id));
dispatchEvent(new Event("beforeprint"));
found.folds.push(open() === sections.length);
dispatchEvent(new Event("afterprint"));
found.folds.push(open());
document.body.insertAdjacentHTML("beforeend", "<pre id=found></pre>");
document.getElementById("found").textContent = JSON.stringify(found);
"""
#: What stands in cells, in an order of its own.
CASES = [
    ("&lt;0.01%", "1.5 s", "4.32k (80.0% of it)", "b"),
    ("0.01%", "2 min 05 s", "1.2M", "A 10"),
    ("12.5%", "2 h 00 min", "–", "a 9"),
]

A4 = {"width": 718, "height": 1047}  #: CSS pixels between Chromium's margins
TOO_WIDE = """() => [...document.querySelectorAll(".card, .tile")].filter((one) => one.scrollWidth > one.clientWidth)
  .map((one) => one.querySelector("h3, .label").textContent)"""
SHOWN = """() => [...document.querySelectorAll(".card")].filter((one) => one.checkVisibility()).length"""
COLOURS = """() => [".card h3", ".card td", "svg text", ".intro"].map((one) => {
  const style = getComputedStyle(document.querySelector(one));
  return one.startsWith("svg") ? style.fill : style.color;
})"""


def dom(chromium: str, page: Path) -> str:
    """What the browser made of a page, as text."""
    flags = ("--headless=new", "--no-sandbox", "--disable-gpu", f"--user-data-dir={page.parent / 'profile'}")
    done = subprocess.run(
        [chromium, *flags, "--virtual-time-budget=5000", "--dump-dom", page.as_uri()],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def report(chromium: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("report") / "report.html"
    file.write_text(render_report(finished_run()))
    return file


def test_the_script_runs_under_the_policy_of_the_page(chromium: str, report: Path) -> None:
    assert '<th scope="col" class="left" aria-sort="none"><button type="button">' in dom(chromium, report)


@pytest.fixture(scope="module")
def found(chromium: str, report: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What `READER` found; the policy is taken away, which would not let it run."""
    html = re.sub(r"<meta http-equiv=.Content-Security-Policy.[^>]*>", "", report.read_text())
    rows = "".join(f"<tr>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>" for row in CASES)
    heads = "".join(f"<th>{name}</th>" for name in "abcd")
    cases = f'<table class="cases"><thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table>'
    page = tmp_path_factory.mktemp("page") / "report.html"
    page.write_text(
        html.replace("</main>", f"{cases}</main>").replace("</body>", f"<script>{{{READER}}}</script></body>")
    )
    told = re.search(r'<pre id="found">(.*?)</pre>', dom(chromium, page))
    assert told is not None, "the reader got stuck"
    result: dict[str, Any] = json.loads(unescape(told[1]))
    return result


def test_a_table_sorts_and_comes_back(found: dict[str, Any]) -> None:
    assert found["buttons"]
    assert [turn[0] for turn in found["turns"]] == [["30", "10"], ["10", "30"], ["10", "30"]]
    assert [turn[1].split()[:2] for turn in found["turns"]] == [
        ["none", "descending"],
        ["none", "ascending"],
        ["none", "none"],
    ]
    assert found["words"] == ["Champions", "Hibernating"]


def test_cells_are_ordered_by_what_they_say(found: dict[str, Any]) -> None:
    """Numbers from the largest, whatever their unit; words from A; what is not known last."""
    assert found["cases"] == [
        ["12.5%", "0.01%", "<0.01%"],
        ["2 h 00 min", "2 min 05 s", "1.5 s"],
        ["1.2M", "4.32k (80.0% of it)", "–"],
        ["a 9", "A 10", "b"],
    ]


def test_charts_answer_to_keys_and_pointer(found: dict[str, Any]) -> None:
    view, cart, purchase = "view\nevents: 900 (90.0%)", "cart\nevents: 60 (6.00%)", "purchase\nevents: 40 (4.00%)"
    assert found["frame"] == 0, "it can be reached by Tab"
    assert [told[:2] for told in found["keys"][:4]] == [[True, view], [True, cart], [True, view], [True, purchase]]
    assert all(told[2] == 1 for told in found["keys"][:4])
    assert (found["keys"][4][0], found["keys"][4][2]) == (False, 0), "Escape ends it"
    assert found["combined"] == [[True, False]] * 3, "keys of the browser stay its own"
    assert found["pointed"] == [True, view, 1]
    assert not found["left"]
    assert found["titles"] == 0, "the browser's own tips would lie over these"


def test_sections_fold_and_open_where_they_are_wanted(found: dict[str, Any]) -> None:
    all_open, says, folded, wanted, printed, after = found["folds"]
    assert (all_open, says, folded) == (True, "Fold all", 0)
    assert wanted == ["carts"], "a link opens its section"
    assert printed, "a report on paper is whole"
    assert after == 1


@pytest.fixture(scope="module")
def page(chromium: str, report: Path) -> Iterator[Page]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        opened = browser.new_page(color_scheme="dark")
        opened.goto(report.as_uri())
        yield opened
        browser.close()


def test_nothing_is_cut_off_on_paper(page: Page) -> None:
    page.set_viewport_size(A4)
    page.emulate_media(media="print")
    assert page.evaluate(TOO_WIDE) == []


def test_paper_is_whole_though_sections_are_folded(page: Page) -> None:
    page.emulate_media(media="screen")
    page.get_by_role("button", name="Fold all").click()
    folded = page.evaluate(SHOWN)
    page.emulate_media(media="print")
    printed = page.evaluate(SHOWN)
    page.emulate_media(media="screen")
    page.get_by_role("button", name="Open all").click()
    assert (folded, printed) == (0, page.locator(".card").count())


def test_heads_of_tables_are_drawn_again_on_the_next_page(page: Page) -> None:
    """Chromium repeats a head without what is in its buttons, unless they are no boxes."""
    page.emulate_media(media="print")
    buttons = page.locator("th button")
    assert buttons.count() > 0
    assert set(buttons.evaluate_all("all => all.map((one) => getComputedStyle(one).display)")) == {"contents"}


def test_paper_is_dark_on_white_whatever_the_screen_likes(page: Page) -> None:
    page.emulate_media(media="print")
    levels = [sum(map(int, re.findall(r"\d+", colour))) for colour in page.evaluate(COLOURS)]
    assert max(levels) < 300


def test_on_a_phone_a_wide_table_scrolls_in_its_card(page: Page) -> None:
    page.set_viewport_size({"width": 390, "height": 800})
    page.emulate_media(media="screen")
    page.add_style_tag(content=".wide table { min-width: 1000px }")
    assert page.evaluate("document.documentElement.scrollWidth") == 390


@pytest.mark.parametrize("width", [1280, 800, 390])
def test_a_link_of_the_bar_leads_to_a_title_that_is_seen(page: Page, width: int) -> None:
    """The bar stays at the top, over what lies there."""
    page.set_viewport_size({"width": width, "height": 800})
    page.emulate_media(media="screen", reduced_motion="reduce")
    page.add_style_tag(content="html { scroll-behavior: auto !important }")
    for key in ("segments", "quality"):
        page.evaluate(f"location.hash = '#{key}'")
        bar = page.evaluate("document.querySelector('nav').getBoundingClientRect().bottom")
        title = page.evaluate(f"document.querySelector('#{key} h2').getBoundingClientRect().top")
        assert bar <= title < 300
