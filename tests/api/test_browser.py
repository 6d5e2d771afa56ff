"""The shop page in a browser: what clicks change, and that everybody can use it."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, Route, expect, sync_playwright

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


@pytest.fixture
def wrong() -> list[str]:
    """What has gone wrong in the page; a test that means it to takes it out."""
    return []


@pytest.fixture(params=WIDTHS)
def page(request: pytest.FixtureRequest, browser: Browser, url: str, wrong: list[str]) -> Iterator[Page]:
    """The page as a new visitor opens it; at its end nothing has gone wrong in it."""
    width, height = WIDTHS[request.param]
    context = browser.new_context(viewport={"width": width, "height": height})
    opened = context.new_page()
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


def test_a_product_that_is_not_there(page: Page, wrong: list[str]) -> None:
    """By a search and by an address: nothing of the product before stays, nor is it an event."""
    click(page, int(PRODUCTS[0]))
    page.fill("#words", "unheard of")
    page.keyboard.press("Enter")
    expect(page.locator("#view .note")).to_have_text("No product fits.")
    for name, said in (("5", "5"), ("b%2Fc", "b/c"), ("%", "%")):
        page.evaluate(f"location.hash = '#/product/{name}'")
        words = f"No such product This shop has no product “{said}”. Back to the popular products"
        expect(page.locator("#main")).to_have_text(words)
        expect(page.locator("#view button")).to_have_count(0)
    page.locator("#view a").click()
    expect(page.locator("#title")).to_have_text("Popular products")
    assert page.locator("#events li").count() == 1
    refused(wrong, 404, 3)


def refused(wrong: list[str], status: int, times: int) -> None:
    """See that nothing else has gone wrong than answers of a status, as they were meant to."""
    assert [f"status of {status}" in line for line in wrong] == [True] * times, wrong
    wrong.clear()


def become(page: Page, user: str) -> None:
    """Take an id, and wait until all is drawn anew: a click meanwhile may be on what is just going."""
    page.fill("#user", user)
    with page.expect_response("**/v1/products?*"):
        page.get_by_role("button", name="Be this one").click()


def test_what_is_refused_has_not_happened(page: Page, wrong: list[str]) -> None:
    """Ids of this shop are integers: bob neither looks at anything nor has a cart, until he takes another id."""
    become(page, "bob")
    page.locator(f"#view a[href='#/product/{PRODUCTS[0]}']").click()
    expect(page.locator("#refused")).to_have_text(re.compile(r"^“bob” can't be .* such as \d+\.$"))
    assert faults(page) == []
    expect(page.locator("#events li")).to_have_count(0)
    with page.expect_response("**/v1/events"):
        page.get_by_role("button", name="Add to cart").click()
    expect(page.locator("#cart-count")).to_have_text("0")
    expect(page.get_by_role("button", name="Add to cart")).to_be_visible()
    page.fill("#user", "512")
    page.keyboard.press("Enter")
    expect(page.locator("#refused")).to_be_empty()
    page.get_by_role("button", name="Add to cart").click()
    expect(page.locator("#cart-count")).to_have_text("1")
    expect(page.locator("#events li")).to_have_count(1)
    refused(wrong, 422, 2)


def test_a_late_refusal_is_not_said_of_another_visitor(page: Page, wrong: list[str]) -> None:
    become(page, "bob")
    held: list[Route] = []
    page.route("**/v1/events", lambda route: held.append(route), times=1)
    page.locator(f"#view a[href='#/product/{PRODUCTS[0]}']").click()
    expect(page.get_by_role("button", name="Add to cart")).to_be_visible()
    page.fill("#user", "512")
    page.keyboard.press("Enter")
    expect(page.locator("#refused")).to_be_empty()
    with page.expect_response("**/v1/events"):
        held[0].continue_()
    page.get_by_role("button", name="Add to cart").click()
    expect(page.locator("#cart-count")).to_have_text("1")
    assert page.locator("#refused").inner_text() == ""
    assert [line for line in wrong if "422" not in line] == []
    wrong.clear()


def test_a_purchase_that_is_refused_leaves_the_cart_full(page: Page, wrong: list[str]) -> None:
    click(page, int(PRODUCTS[0]))
    page.get_by_role("button", name="Add to cart").click()
    page.locator("a.cart").click()
    page.route("**/v1/events", lambda asked: asked.fulfill(status=413, json={"detail": "too much"}))
    page.get_by_role("button", name=re.compile("^Buy for")).click()
    expect(page.locator("#note")).to_have_text("too much")
    expect(page.locator("#cart-count")).to_have_text("1")
    expect(page.get_by_role("button", name=re.compile("^Buy for"))).to_be_visible()
    refused(wrong, 413, 1)


def test_an_address_is_looked_at_once(page: Page, url: str) -> None:
    page.goto("about:blank")
    page.goto(f"{url}/#/product/{PRODUCTS[0]}")
    expect(page.locator("#events li")).to_have_count(1)
    page.reload()
    expect(page.get_by_role("button", name="Add to cart")).to_be_visible()
    expect(page.locator("#events li")).to_have_count(1)
    expect(page.locator("#hits")).to_have_text("–")


LINES = """([selector, word]) => {
  const range = document.createRange();
  range.selectNodeContents([...document.querySelector(selector).childNodes].find(node => node.textContent === word));
  return range.getClientRects().length;
}"""


def test_words_are_not_broken(page: Page) -> None:
    """A category of the length of real ones, the version of a model, and the words in the search."""
    page.evaluate("""async () => {
      const product = { product_id: "1", category: "electronics.smartphone" };
      const { grid } = await import("/page/view.js");
      document.getElementById("view").replaceChildren(grid(Array(8).fill(product)));
      document.getElementById("model").textContent = "20261127_163013";
      words.value = words.placeholder;
    }""")
    assert page.evaluate(LINES, [".product small", "smartphone"]) == 1
    assert page.evaluate(LINES, ["#model", "20261127_163013"]) == 1
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    assert page.evaluate("(({ scrollWidth, clientWidth }) => scrollWidth <= clientWidth)(words)")


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
