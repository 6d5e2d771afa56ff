"""Layouts from YAML: what is understood, and each mistake in one line that names it."""

from pathlib import Path

import pytest

from app.core.errors import InputError
from app.core.settings import Settings
from app.events.identity import BY_ID, IDENTITY, identity
from app.events.layout import REES46, layout_of, parse_layout, read_layout
from app.events.times import has_zone, strptime_format
from app.events.vocabulary import RAW_COLUMNS

SHOP = """
columns:
  event_time: When
  event_type: What
  product_id: Sku
  user_id: Who
  price: Cost
  quantity: Pieces
event_types: {AddToCart: cart, 4: purchase}
time: {format: "d/M/yyyy H:mm", zone: Europe/London}
delimiter: ";"
ids: text
leave_out:
  - {reason: no customer, column: Who, missing: true}
  - {reason: cancelled, column: Order, starts_with: C}
catalogue:
  columns: {product_id: Sku, title: Name, category_code: Path}
  category_separator: ">"
"""


def test_a_layout_is_read_whole() -> None:
    layout = parse_layout(SHOP, "shop.yaml")
    assert layout.columns.product_id == "Sku"
    assert layout.columns.brand is None
    assert layout.event_types == {"AddToCart": "cart", "4": "purchase"}
    assert (layout.time.zone, layout.delimiter, layout.ids) == ("Europe/London", ";", "text")
    assert [rule.reason for rule in layout.leave_out] == ["no customer", "cancelled"]
    assert layout.catalogue is not None
    assert layout.catalogue.columns.named() == ["Sku", "Name", "Path"]
    assert layout.named_columns() == ["When", "What", "Sku", "Cost", "Who", "Pieces", "Order"]


def test_the_default_is_the_rees46_layout_and_needs_all_nine_columns() -> None:
    assert layout_of(Settings()) == REES46
    assert REES46.named_columns() == list(RAW_COLUMNS)


def test_the_delimiter_given_wins_over_the_layouts(tmp_path: Path) -> None:
    (tmp_path / "shop.yaml").write_text(SHOP)
    assert layout_of(Settings(layout=tmp_path / "shop.yaml")).delimiter == ";"
    assert layout_of(Settings(layout=tmp_path / "shop.yaml", delimiter="|")).delimiter == "|"
    assert layout_of(Settings(delimiter="\t")).delimiter == "\t"


def test_an_event_is_known_by_its_id_where_it_has_one() -> None:
    assert identity(REES46) == IDENTITY
    with_id = parse_layout(SHOP.replace("  user_id: Who", "  user_id: Who\n  event_id: [Order, Sku]"), "x")
    assert identity(with_id) == BY_ID
    assert "Order" in with_id.columns.named()


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (
            ("  user_id: Who", "  usr_id: Who\n  user_id: Who"),
            "columns.usr_id: there is no such key; did you mean user_",
        ),
        (("ids: text", "id: text"), "id: there is no such key; did you mean ids"),
        (("column: Order, starts_with: C", "column: Order, begins: C"), "leave_out.1.begins: there is no such key"),
        (("title: Name", "name: Name"), "catalogue.columns.name: there is no such key"),
        (("  user_id: Who\n", ""), "columns.user_id: is not filled in"),
        (("  user_id: Who\n", "  user_id: null\n"), "columns.user_id: is not filled in"),
        (("4: purchase", "4: null"), "event_types.4: is not filled in"),
        (("4: purchase", "4: buy"), "event_types.4: input should be 'view', 'cart'"),
        (("ids: text", "ids: uuid"), "ids: input should be 'integer' or 'text', got 'uuid'"),
        (("  event_type: What\n", ""), "columns.event_type or one event_type"),
        (("ids: text", "event_type: view"), "columns.event_type or one event_type"),
        (("Europe/London", "London"), "time.zone: 'London' is no time zone"),
        (("d/M/yyyy H:mm", "YYYY-MM-dd"), "time.format: no time can be read by 'YYYY'"),
        (("d/M/yyyy H:mm", "H:mm"), "time.format: 'H:mm' is none of iso, epoch_seconds"),
        (("starts_with: C", "starts_with: C, missing: true"), "leave_out.1: needs one of missing, not_positive"),
        ((", starts_with: C", ""), "leave_out.1: needs one of missing, not_positive"),
        (("reason: cancelled", "reason: no customer"), "leave_out has two rules of the same reason"),
        (('delimiter: ";"', 'delimiter: ";;"'), "delimiter: string should have at most 1 character"),
        (("columns:", "columns: ["), "is not YAML"),
    ],
)
def test_a_mistake_is_one_line_that_names_it(change: tuple[str, str], says: str) -> None:
    assert change[0] in SHOP
    with pytest.raises(InputError) as raised:
        parse_layout(SHOP.replace(*change, 1), "shop.yaml")
    assert str(raised.value).startswith("--layout shop.yaml: ")
    assert says in str(raised.value)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("text", ["", "just a sentence", "- a\n- b"])
def test_what_is_no_layout_at_all(text: str) -> None:
    with pytest.raises(InputError, match="holds no layout; 'vitrine layout --events FILE' proposes one"):
        parse_layout(text, "shop.yaml")


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none\.yaml: no such file; 'vitrine layout --events FILE' proposes a layout"):
        read_layout(tmp_path / "none.yaml")


@pytest.mark.parametrize(
    ("pattern", "expected", "zoned"),
    [
        ("d/M/yyyy H:mm", "%d/%m/%Y %H:%M", False),
        ("yyyyMMddHHmmss", "%Y%m%d%H%M%S", False),
        ("MMM d, yy h:mm a", "%b %d, %y %I:%M %p", False),
        ("yyyy-MM-dd'T'HH:mm:ss.SSSXXX", "%Y-%m-%dT%H:%M:%S.%f%z", True),
        ("yyyy 'o''clock' 100%", "%Y o'clock 100%%", False),
    ],
)
def test_patterns_as_strptime_has_them(pattern: str, expected: str, zoned: bool) -> None:
    assert strptime_format(pattern) == expected
    assert has_zone(pattern) is zoned
