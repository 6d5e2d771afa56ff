"""What `vitrine layout` proposes for files of many shapes, and where it says that it does not know."""

import gzip
from pathlib import Path

import pandas as pd
import pytest
from click.testing import CliRunner

from app.cli import main
from app.core.errors import InputError
from app.events.guess_times import guess_time
from app.events.layout import REES46, Layout, parse_layout
from app.events.propose import Proposal, propose
from app.events.vocabulary import RAW_COLUMNS


def file(path: Path, *lines: str) -> str:
    path.write_text("\n".join(lines) + "\n")
    return str(path)


def accepted(proposal: Proposal) -> Layout:
    assert proposal.unfilled == []
    return parse_layout(proposal.text, "proposed")


def comment(proposal: Proposal, start: str) -> str:
    """The comment on the line that begins so."""
    (line,) = [line for line in proposal.text.splitlines() if line.strip().startswith(start)]
    return line.partition("  # ")[2]


def test_the_default_layout_is_recognised(tmp_path: Path) -> None:
    row = "2019-10-01 00:00:{:02} UTC,{},{},2053013,a.b,acme,{}.5,{},s{}"
    kinds = ("view", "cart", "purchase")
    lines = [row.format(i, kinds[i % 3], i % 7, i, i % 5, i % 9) for i in range(50)]
    proposal = propose(file(tmp_path / "log.csv", ",".join(RAW_COLUMNS), *lines))
    assert accepted(proposal) == REES46
    assert "--layout is not needed" in proposal.text


def test_clicks_with_words_and_milliseconds(tmp_path: Path) -> None:
    """As RetailRocket publishes its events; a transaction's number is no session where most rows have none."""
    kinds = ["view"] * 7 + ["addtocart"] * 2 + ["transaction"]
    lines = [
        f"{1433221332117 + i * 1000},{i % 11},{kinds[i % 10]},{i % 13},{i if i % 10 == 9 else ''}" for i in range(200)
    ]
    proposal = propose(file(tmp_path / "events.csv", "timestamp,visitorid,event,itemid,transactionid", *lines))
    layout = accepted(proposal)
    assert layout.columns.named() == ["timestamp", "event", "itemid", "visitorid", "transactionid"]
    assert layout.event_types == {"addtocart": "cart", "transaction": "purchase"}
    assert layout.time.format == "epoch_milliseconds"
    assert (layout.ids, layout.leave_out) == ("integer", ())


def test_invoices_without_an_event_type(tmp_path: Path) -> None:
    header = "InvoiceNo;StockCode;Description;Quantity;InvoiceDate;UnitPrice;CustomerID;Country"
    lines = [
        f"{536365 + i // 3};{'85123A' if i % 5 == 0 else 71053 + i % 5};thing;{i % 4 + 1};{i % 20 + 1}/12/2010 8:26;"
        f"2.55;{17850 + i % 9 if i % 6 else ''};UK"
        for i in range(120)
    ]
    lines += ["C536379;22139;thing;-1;1/12/2010 9:41;27.5;14527;UK"] * 4
    proposal = propose(file(tmp_path / "retail.csv", header, *lines))
    layout = accepted(proposal)
    assert (layout.event_type, layout.ids, layout.delimiter) == ("purchase", "text", ";")
    assert (layout.columns.user_session, layout.columns.quantity) == ("InvoiceNo", "Quantity")
    assert layout.time.format == "d/M/yyyy H:mm"
    assert [(rule.reason, rule.column) for rule in layout.leave_out] == [
        ("cancelled", "InvoiceNo"),
        ("no customer", "CustomerID"),
        ("nothing sold", "Quantity"),
    ]
    assert "85123A" in comment(proposal, "ids:")
    assert "an order is taken for a session" in comment(proposal, "user_session:")
    assert "zone" in comment(proposal, "zone:")
    assert "4 rows; are these cancelled orders?" in proposal.text
    assert "# Not used: Description, Country" in proposal.text


def test_prices_with_decimal_commas_are_not_passed_over_in_silence(tmp_path: Path) -> None:
    lines = [f"2024-05-01 10:00:{i:02};purchase;p{i % 7};u{i % 5};{i},5{i % 10}" for i in range(50)]
    proposal = propose(file(tmp_path / "log.csv", "event_time;event_type;product_id;user_id;price", *lines))
    assert "price" not in accepted(proposal).columns.named()
    assert "# Not used: price" in proposal.text
    assert "Decimal commas are not read: write the numbers of price with points" in proposal.text


def test_a_user_column_that_is_missing_is_the_session(tmp_path: Path) -> None:
    lines = [f"{i % 9}\t{i % 5}\t{1592337718 + i}.0" for i in range(60)]
    proposal = propose(file(tmp_path / "train.txt", "SessionId\tItemId\tTime", *lines))
    layout = accepted(proposal)
    assert (layout.columns.user_id, layout.columns.user_session) == ("SessionId", "SessionId")
    assert (layout.event_type, layout.time.format, layout.delimiter) == ("view", "epoch_seconds", "\t")
    assert "each session counts as a user" in comment(proposal, "user_id:")
    assert "taken for views" in comment(proposal, "event_type:")


def test_types_as_bare_numbers_are_to_be_filled_in(tmp_path: Path) -> None:
    lines = [f"{i % 9},{i % 5},{i % 4 + 1},2014-12-{i % 28 + 1:02} 10:00:00" for i in range(60)]
    proposal = propose(file(tmp_path / "log.csv", "user_id,item_id,behavior_type,time", *lines))
    assert sorted(proposal.unfilled) == [f"event_types.{number}" for number in range(1, 5)]
    assert "FILL IN: view, cart, remove_from_cart, purchase" in proposal.text
    with pytest.raises(InputError, match=r"event_types\.\d: is not filled in"):
        parse_layout(proposal.text, "proposed")


def test_types_that_are_none_of_ours_are_left_out_by_a_rule(tmp_path: Path) -> None:
    kinds = ("pv", "buy", "cart", "fav")
    lines = [f"{i % 9},{i % 5},{kinds[i % 4]},{1511544070 + i}" for i in range(60)]
    proposal = propose(file(tmp_path / "log.csv", "uid,iid,what,ts", *lines))
    layout = accepted(proposal)
    assert layout.event_types == {"pv": "view", "buy": "purchase"}
    assert [rule.is_one_of for rule in layout.leave_out] == [("fav",)]
    assert "guessed from its values alone" in comment(proposal, "event_type:")
    assert "15 rows; or map them under event_types" in proposal.text


def test_orders_whose_state_says_that_they_came_to_nothing(tmp_path: Path) -> None:
    states = ("delivered", "canceled", "shipped", "Returned")
    lines = [f"o{i // 2},2018-01-{i % 28 + 1:02} 10:00:00,p{i % 7},c{i % 5},{states[i % 4]},9.5" for i in range(60)]
    header = "order_id,order_purchase_timestamp,product_id,customer_unique_id,order_status,price"
    layout = accepted(propose(file(tmp_path / "orders.csv", header, *lines)))
    assert {word for rule in layout.leave_out for word in rule.is_one_of or ()} == {"canceled", "Returned"}
    assert layout.columns.event_time == "order_purchase_timestamp"
    assert layout.ids == "text"


def test_nothing_is_guessed_where_nothing_tells(tmp_path: Path) -> None:
    lines = [f"{i},{i % 4},{i * 0.37:.2f},{i * 0.9:.2f}" for i in range(60)]
    proposal = propose(file(tmp_path / "summary.csv", "ID,frequency,recency,T", *lines))
    assert proposal.unfilled == ["event_time", "product_id", "user_id"]
    assert comment(proposal, "event_time:") == "FILL IN: which column is it? There are ID, frequency, recency, T"
    with pytest.raises(InputError, match=r"columns\.event_time: is not filled in"):
        parse_layout(proposal.text, "proposed")


def test_a_name_alone_is_not_enough(tmp_path: Path) -> None:
    """A column called price that holds words, one called time that holds durations."""
    lines = [f"2019-10-01 00:00:{i:02},{i % 9},{i % 5},cheap,{i % 30}" for i in range(60)]
    proposal = propose(file(tmp_path / "log.csv", "moment,user,product,price,time", *lines))
    layout = accepted(proposal)
    assert (layout.columns.event_time, layout.columns.price) == ("moment", None)
    assert "guessed from its values alone" in comment(proposal, "event_time:")


def test_gzip_and_parquet_with_types_and_gaps(tmp_path: Path) -> None:
    text = "ts,user,product\n" + "".join(f"2019-10-01 00:00:{i:02},{i % 9},{i % 5}\n" for i in range(60))
    (tmp_path / "log.csv.gz").write_bytes(gzip.compress(text.encode()))
    packed = accepted(propose(str(tmp_path / "log.csv.gz")))
    frame = pd.read_csv(tmp_path / "log.csv.gz", parse_dates=["ts"])
    frame.loc[3, "user"] = None  # a float column from here on
    frame.to_parquet(tmp_path / "log.parquet")
    typed = accepted(propose(str(tmp_path / "log.parquet")))
    assert packed.columns == typed.columns
    assert typed.ids == "integer"
    assert [rule.reason for rule in typed.leave_out] == ["no customer"]


def test_the_command_prints_a_layout_and_says_what_to_fill_in(tmp_path: Path) -> None:
    known = file(tmp_path / "known.csv", "ts,user,product", *(f"15923377{i},{i % 9},{i % 5}" for i in range(10, 60)))
    done = CliRunner().invoke(main, ["layout", "--events", known])
    assert (done.exit_code, done.stderr) == (0, "")
    assert parse_layout(done.stdout, "printed").columns.product_id == "product"
    unknown = file(tmp_path / "unknown.csv", "a,b", *(f"{i},{i / 3:.3f}" for i in range(60)))
    done = CliRunner().invoke(main, ["layout", "--events", unknown])
    assert (done.exit_code, done.stderr) == (0, "fill in before you use it: event_time, product_id, user_id\n")
    done = CliRunner().invoke(main, ["layout", "--events", str(tmp_path / "none.csv")])
    assert done.exit_code == 2
    assert done.stderr.startswith("error: ")
    assert "no such file" in done.stderr
    assert CliRunner().invoke(main, ["layout"]).exit_code == 2


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (" 00004 0001 19970101  2   29.33\n" * 5, "blanks separate its columns .*write it as CSV"),
        ("1,2,2019-10-01 00:00:00\n" * 5, "has no line of column names .*user_id,event_time,product_id"),
        ("", "is empty"),
        ("a,b,c\n", "has a header but no rows"),
        ("word\nword\n", "nothing separates columns in it"),
    ],
)
def test_what_can_not_be_read_is_one_line(content: str, says: str, tmp_path: Path) -> None:
    (tmp_path / "in.csv").write_text(content)
    with pytest.raises(InputError, match=says) as raised:
        propose(str(tmp_path / "in.csv"))
    assert "\n" not in str(raised.value)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        propose(str(tmp_path / "none.csv"))


@pytest.mark.parametrize(
    ("values", "format", "doubt"),
    [
        (["2019-10-01 00:00:00 UTC", "2019-10-02T00:00:00.5Z"], "iso", ""),
        (["2019-10-01 00:00:00"], "iso", "zone"),
        (["1592337718", "1592337720.5"], "epoch_seconds", ""),
        (["1592337718000"], "epoch_milliseconds", ""),
        (["19970101", "19971212"], "yyyyMMdd", "only days"),
        (["20100131235959"], "yyyyMMddHHmmss", "zone"),
        (["13/7/2011 10:00", "1/12/2010 8:26"], "d/M/yyyy H:mm", "zone"),
        (["7/13/2011 10:00", "12/1/2010 8:26"], "M/d/yyyy H:mm", "zone"),
        (["1/2/2011 10:00"], "d/M/yyyy H:mm", "M/d/yyyy H:mm reads all values as well"),
        (["01-Dec-2009"], "d-MMM-yyyy", "only days"),
        (["2011/12/31 11:05 PM"], "yyyy/M/d h:mm a", "zone"),
    ],
)
def test_how_times_are_written(values: list[str], format: str, doubt: str) -> None:
    found = guess_time(pd.Series(values, dtype="string"))
    assert found is not None
    assert found.format == format
    assert doubt in "; ".join(found.doubts)


@pytest.mark.parametrize("values", [["12.5", "13"], ["1", "2", "3"], ["red", "blue"], ["10:00:00"], []])
def test_what_is_no_time(values: list[str]) -> None:
    assert guess_time(pd.Series(values, dtype="string")) is None


def clicks(folder: Path, *, products: int = 10) -> str:
    """A log of products p0, p1, …; none of them is named there."""
    lines = [f"2019-10-01 00:00:{i:02},{i % 9},p{i % products}" for i in range(60)]
    return file(folder / "events.csv", "ts,user,sku", *lines)


def test_a_file_of_products_beside_the_log_is_its_catalogue(tmp_path: Path) -> None:
    kinds = ("Home > Kitchen", "Home > Bath", "Garden")
    lines = [f"{i};p{i};Thing {i};{kinds[i % 3]};{i}.5;{'yes' if i % 2 else 'no'};x" for i in range(9)]
    file(tmp_path / "products.csv", "id;SKU;Name;Path;Unit Price;In stock;Note", *lines)
    file(tmp_path / "users.csv", "user,name", *(f"{i},User {i}" for i in range(9)))
    file(tmp_path / "orders.csv", "sku,price", *(f"p{i % 10},3.5" for i in range(60)))
    (tmp_path / "picture.csv").write_bytes(b"\x00\xff" * 50)
    proposal = propose(clicks(tmp_path))
    catalogue = accepted(proposal).catalogue
    assert catalogue is not None
    assert catalogue.columns.model_dump() == {
        "product_id": "SKU",
        "title": "Name",
        "category_code": "Path",
        "brand": None,
        "price": "Unit Price",
        "available": "In stock",
    }
    assert (catalogue.delimiter, catalogue.category_separator) == (";", ">")
    assert comment(proposal, "catalogue:") == (
        f"products.csv beside the log names 90% of the products sampled: give --catalogue {tmp_path / 'products.csv'}"
    )


def test_a_catalogue_in_our_words_needs_no_part_of_the_layout(tmp_path: Path) -> None:
    file(tmp_path / "zoo.csv", "product_id,title,category", *(f"p{i},Thing {i},a.b" for i in range(10)))
    file(tmp_path / "half.csv", "product_id,title", *(f"p{i},Thing {i}" for i in range(5)))
    clicks(tmp_path)
    proposal = propose(str(tmp_path))
    assert accepted(proposal).catalogue is None
    said = [line for line in proposal.text.splitlines() if "zoo.csv" in line]
    assert said == [
        f"# zoo.csv beside the log names 100% of the products sampled: give --catalogue {tmp_path / 'zoo.csv'}, and "
        "--events the files of the log in place of their folder."
    ]


@pytest.mark.parametrize(
    ("name", "header", "row"),
    [
        ("users.csv", "id,name", "p{},Ann"),  # ids of anything, in a file that is not of products
        ("products.csv", "sku,note", "p{},x"),  # nothing is said of them
        ("products.csv", "sku,title", "q{},Thing"),  # others than the log's
        ("products.csv", "sku,title", "p{0}\np{0},Thing"),  # a row without a title is another, torn one
    ],
)
def test_what_is_no_catalogue(name: str, header: str, row: str, tmp_path: Path) -> None:
    file(tmp_path / name, header, *(row.format(i) for i in range(10)))
    assert "catalogue" not in propose(clicks(tmp_path)).text


def test_ids_of_a_catalogue_decide_what_ids_are_too(tmp_path: Path) -> None:
    file(tmp_path / "events.csv", "ts,user,sku", *(f"2019-10-01 00:00:{i:02},{i % 9},{i % 5}" for i in range(60)))
    file(tmp_path / "items.csv", "sku,title", *(f"{i},Thing {i}" for i in range(5)), "5B,New")
    proposal = propose(str(tmp_path / "events.csv"))
    assert accepted(proposal).ids == "text"
    assert comment(proposal, "ids:") == "sku of items.csv holds '5B', which is no 64-bit integer"


@pytest.mark.parametrize(
    ("title", "names"),
    [
        ("Thing {product}", True),
        ("Thing {row}", False),  # a note on each line
        ("gift", False),  # one word for all
    ],
)
def test_a_log_whose_lines_name_its_products_is_its_catalogue(title: str, names: bool, tmp_path: Path) -> None:
    lines = [
        f"2019-10-01 00:00:{i:02},{i % 9},p{i % 10},{'' if i == 59 else title.format(product=i % 10, row=i)}"
        for i in range(60)
    ]
    proposal = propose(file(tmp_path / "events.csv", "ts,user,sku,description", *lines))
    catalogue = accepted(proposal).catalogue
    assert (catalogue is not None and catalogue.columns.named() == ["sku", "description"]) is names
    assert ("# Not used: description" in proposal.text) is not names


def test_real_logs(shared_data: Path) -> None:
    retail = accepted(propose(str(shared_data / "online_retail_2010" / "online_retail_2009_2010.parquet")))
    assert (retail.event_type, retail.ids, retail.columns.user_id) == ("purchase", "text", "Customer ID")
    assert retail.columns.event_id == ("InvoiceDate", "Invoice", "StockCode", "Quantity", "Price")
    assert [rule.reason for rule in retail.leave_out] == ["cancelled", "no customer", "nothing sold"]
    assert retail.catalogue is not None
    assert retail.catalogue.columns.named() == ["StockCode", "Description"]
    for name in ("rees46_oct2019_head", "retailrocket_week"):
        assert accepted(propose(str(shared_data / name / "events.csv"))) == REES46
    clicks = accepted(propose(str(shared_data / "serenade_example" / "train.txt")))
    assert clicks.columns.named() == ["Time", "ItemId", "SessionId"]
    with pytest.raises(InputError, match="blanks separate its columns"):
        propose(str(shared_data / "cdnow" / "cdnow_sample.txt"))
