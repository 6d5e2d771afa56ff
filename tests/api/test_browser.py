"""The shop page in a browser: what clicks change, and that everybody can use it."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect, sync_playwright

from tests.api.client import Server
from tests.stream.shop import HALF, PRODUCTS, recommender, write_bundle

PROMISED = 60_000.0  #: milliseconds from a click to its list
WIDTHS = {"desktop": (1280, 900), "phone": (390, 844)}


@pytest.fixture(scope="module")
def browser(chromium: str) -> Iterator[Browser]:
    expect.set_options(timeout=PROMISED)
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield started
        started.close()


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server over the shop of two categories, whose products are looked at in the order of their numbers."""
    output = tmp_path_factory.mktemp("shop")
    write_bundle(output / "models", "a", recommender())
    server = Server(output).wait()
    yield server.url
    assert server.stop() == 0


@pytest.fixture(params=WIDTHS)
def page(request: pytest.FixtureRequest, browser: Browser, url: str) -> Iterator[Page]:
    """The page as a new visitor opens it; at its end nothing has gone wrong in it."""
    width, height = WIDTHS[request.param]
    context = browser.new_context(viewport={"width": width, "height": height})
    opened, wrong = context.new_page(), list[str]()
    opened.set_default_timeout(PROMISED)
    opened.on("pageerror", lambda error: wrong.append(str(error)))
    opened.on("console", lambda message: wrong.append(message.text) if message.type == "error" else None)
    opened.goto(url)
    expect(opened.locator("#list li")).to_have_count(8)
    yield opened
    context.close()
    assert wrong == []


def listed(page: Page) -> list[int]:
    """Products of the live list, best first."""
    links = page.locator("#list li a").evaluate_all("links => links.map(link => link.getAttribute('href'))")
    return [int(link.rpartition("/")[2]) for link in links]


def click(page: Page, product: int, *, within: str = "#view") -> None:
    """Follow a link to a product; its list is there within what is promised."""
    page.evaluate("document.getElementById('freshness').textContent = ''")
    page.locator(f"{within} a[href='#/product/{product}']").first.click()
    expect(page.locator("#freshness")).to_have_text(re.compile(r"\d+ ms"))
    expect(page.locator("#view dd", has_text=re.compile(f"^{product}$"))).to_be_visible()


def open_category(page: Page, name: str) -> None:
    page.locator(f"#categories a[data-category='{name}']").click()
    expect(page.locator("#title")).to_have_text(name)


def test_three_clicks_change_the_list_to_fit(page: Page) -> None:
    """By hand: who looked at 115, 116, 117 of category b looks at the ones that follow; bestsellers are of a."""
    assert set(listed(page)) <= set(PRODUCTS[:HALF].tolist())
    first = int(PRODUCTS[HALF])
    for product in (first, first + 1, first + 2):
        open_category(page, "b")
        click(page, product)
    products = listed(page)
    assert set(products[:5]) <= set(PRODUCTS[HALF:].tolist())
    assert set(range(first + 3, first + 7)) <= set(products[:5])
    assert first + 2 not in products, "it is on screen"
    reasons = page.locator("#list li .why").all_inner_texts()
    assert all(reasons)
    assert all(re.search("seen in this session", reason) for reason in reasons[:5]), reasons
    expect(page.locator("#changes")).to_have_text(re.compile(r"(\d of 8 are|nothing is) new"))
    assert len(page.locator("#events li").all()) == 3


def test_what_is_bought_leaves_the_lists(page: Page) -> None:
    bought, *_ = listed(page)
    click(page, bought, within="#list")
    page.get_by_role("button", name="Add to cart").click()
    expect(page.locator("#cart-count")).to_have_text("1")
    page.locator("a.cart").click()
    page.get_by_role("button", name=re.compile("^Buy for")).click()
    expect(page.locator("#title")).to_have_text("Thank you")
    assert len(listed(page)) == 8
    assert bought not in listed(page)
    click(page, listed(page)[0], within="#list")
    assert bought not in listed(page), "nor is it back at the next click"


def test_events_name_the_list_that_led_to_them(page: Page) -> None:
    """From the click on the live list to the purchase; what was found in a category is no list's."""
    posted: list[dict[str, Any]] = []
    page.on(
        "request", lambda asked: posted.extend(asked.post_data_json["events"]) if "/v1/events" in asked.url else None
    )
    with page.expect_response("**/v1/recommendations") as shown:
        page.get_by_role("button", name="Be someone else").click()
    answered = shown.value.json()["recommendation_id"]
    first = int(PRODUCTS[HALF])
    expect(page.locator("#list li a").first).to_have_attribute("data-list", answered)
    best = listed(page)[0]
    click(page, best, within="#list")
    page.get_by_role("button", name="Add to cart").click()
    expect(page.locator("#cart-count")).to_have_text("1")
    open_category(page, "b")
    click(page, first)
    page.get_by_role("button", name="Add to cart").click()
    expect(page.locator("#cart-count")).to_have_text("2")
    page.locator("a.cart").click()
    page.get_by_role("button", name=re.compile("^Buy for")).click()
    expect(page.locator("#title")).to_have_text("Thank you")
    named = [(one["event_type"], int(one["product_id"]), one.get("recommendation_id")) for one in posted]
    assert named == [
        ("view", best, answered),
        ("cart", best, answered),
        ("view", first, None),
        ("cart", first, None),
        ("purchase", best, answered),
        ("purchase", first, None),
    ]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious(page: Page, scheme: str) -> None:
    """On the first page, at a product after a click, in the cart, and where keys are asked for."""
    page.emulate_media(color_scheme=scheme)
    assert faults(page) == []
    click(page, listed(page)[0], within="#list")
    assert faults(page) == []
    page.get_by_role("button", name="Add to cart").click()
    page.locator("a.cart").click()
    expect(page.locator("#title")).to_have_text("Cart")
    assert faults(page) == []
    page.evaluate("document.getElementById('keys').showModal()")
    assert faults(page) == []


def faults(page: Page) -> list[tuple[str, str, list[Any]]]:
    """Serious and critical violations: rule, what it wants, where."""
    found = Axe().run(page).response["violations"]
    return [
        (one["id"], one["help"], [node["target"] for node in one["nodes"]])
        for one in found
        if one["impact"] in ("serious", "critical")
    ]


def test_axe_would_find_a_fault(page: Page) -> None:
    page.evaluate("document.querySelector('label[for=words]').remove(); document.documentElement.lang = ''")
    page.evaluate("document.getElementById('words').placeholder = ''")
    assert {"html-has-lang", "label"} <= {rule for rule, _, _ in faults(page)}


def test_the_keyboard_is_enough(page: Page) -> None:
    """The skip link comes first, and a product is opened, put into the cart and bought without a mouse."""
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the products"
    page.keyboard.press("Enter")
    for _ in range(40):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.closest('.grid') !== null"):
            break
    page.keyboard.press("Enter")
    expect(page.locator("#freshness")).to_have_text(re.compile(r"\d+ ms"))
    expect(page.get_by_role("button", name="Add to cart")).to_be_visible()
    assert page.evaluate("document.activeElement.id") == "title", "a screen reader goes on where the page has changed"


def test_nothing_is_wider_than_the_screen(page: Page) -> None:
    for step in (lambda: None, lambda: click(page, listed(page)[0], within="#list")):
        step()
        assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")


def test_keys_are_asked_for_where_they_are_missing(browser: Browser, tmp_path: Path) -> None:
    write_bundle(tmp_path / "models", "a", recommender())
    keys = {"VITRINE_READ_KEY": "r" * 16, "VITRINE_WRITE_KEY": "w" * 16}
    server = Server(tmp_path, **keys).wait()
    opened = browser.new_page()
    try:
        opened.goto(server.url)
        expect(opened.locator("#keys")).to_be_visible()
        opened.fill("#read", keys["VITRINE_READ_KEY"])
        opened.fill("#write", keys["VITRINE_WRITE_KEY"])
        opened.get_by_role("button", name="Use them").click()
        expect(opened.locator("#list li")).to_have_count(8)
        click(opened, listed(opened)[0], within="#list")
    finally:
        opened.close()
        server.stop()
