"""Which column of an unknown log is which: by its name, and only where its content agrees."""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import pandas as pd

from app.events.guess_times import TimeGuess, guess_time
from app.events.sample import Sample
from app.events.times import ISO
from app.events.vocabulary import CART, PURCHASE, REMOVE, VIEW

#: Names of columns, in lower case and without marks between words; the first is the best.
NAMES = {
    "event_time": (
        "eventtime timestamp eventtimestamp datetime time ts eventdatetime createdat occurredat servertime "
        "invoicedate orderdate purchasedate transactiondate orderpurchasetimestamp orderdatetime eventdate date day"
    ),
    "event_type": (
        "eventtype event eventname action actiontype behavior behaviour behaviortype behaviourtype interaction "
        "interactiontype activity activitytype type"
    ),
    "user_session": "usersession sessionid session sid visitid sessionkey",
    "user_id": (
        "userid visitorid customerid custid clientid user visitor customer customerno customernumber "
        "customeruniqueid memberid accountid buyerid shopperid fullvisitorid userpseudoid uid householdkey personid"
    ),
    "product_id": (
        "productid itemid product item sku skuid stockcode articleid article asin productcode itemcode goodsid "
        "productno prodid itemnumber productsku aid pid iid contentid"
    ),
    "category_id": "categoryid catid departmentid category",
    "category_code": (
        "categorycode category categoryname categorypath productcategory productcategoryname maincategory itemcategory "
        "department"
    ),
    "brand": "brand brandname manufacturer vendor productbrand",
    "price": (
        "price unitprice itemprice productprice saleprice sellingprice salesprice priceusd amount total totalprice "
        "revenue sales value paid"
    ),
    "quantity": "quantity qty itemquantity quantitysold units unitssold numitems count",
    "event_id": "eventid eventuuid logid messageid rowid orderitemid uuid id",
    "recommendation_id": "recommendationid recid recoid",
}
ORDERS = (
    "invoice invoiceno invoiceid invoicenumber orderid orderno ordernumber order transactionid transaction basketid "
    "receiptid receiptno ticket billno"
)
OF_A_LINE = "amount total totalprice revenue sales value paid"  #: prices that may be of the whole line
#: Words that hint at a column without naming it exactly.
HINTS = {
    "event_time": {"time", "timestamp", "date", "datetime", "ts"},
    "user_id": {"user", "visitor", "customer", "client", "member", "shopper", "buyer"},
    "product_id": {"product", "item", "sku", "article", "goods"},
    "user_session": {"session", "visit"},
}
#: What shops call the types of events.
WORDS = {
    VIEW: (
        "view views viewed viewitem itemview pageview pageviews productview viewproduct detail productdetail "
        "click clicks pv browse"
    ),
    CART: "cart carts addtocart addcart cartadd addtobasket basket tocart",
    REMOVE: "removefromcart removecart cartremove deletefromcart removefrombasket",
    PURCHASE: "purchase purchases purchased transaction transactions buy buys bought order orders ordered sale",
}
TYPE_OF_WORD = {word: ours for ours, words in WORDS.items() for word in words.split()}
MOST_TYPES = 30  #: a column with more different values is none of event types
NUMERIC = 0.98  #: share of values that must be numbers


@dataclass
class Guess:
    """A column that was found, and what is not sure about it."""

    column: str
    doubts: list[str] = field(default_factory=list)


@dataclass
class Guesses:
    """What was found out about a log's columns, by our names."""

    columns: dict[str, Guess]
    time: TimeGuess | None
    order: str | None  #: a column that numbers orders


def plain(name: str) -> str:
    """A name in lower case, letters and digits alone."""
    return re.sub(r"[^a-z0-9]", "", name.lower())


def guess_columns(sample: Sample) -> Guesses:
    """Find our columns among those of a sample; what is not found is absent."""
    finder = Finder(sample)
    for name in ("event_time", "user_session", "user_id", "product_id", "event_type"):
        finder.find(name)
    order = finder.named(ORDERS.split(), finder.is_label)
    if order and "user_session" not in finder.found and finder.share_known(order) > 0.95:
        finder.take("user_session", order, "an order is taken for a session")
    if "user_id" not in finder.found and "user_session" in finder.found:
        session = finder.found["user_session"].column
        finder.take("user_id", session, "no column identifies the user: each session counts as a user of its own")
    if all(name in finder.found for name in ("event_time", "product_id", "user_id")):
        finder.find("event_id")  # else a column of unique numbers may be one of those
    for name in ("category_id", "category_code", "brand", "price", "quantity", "recommendation_id"):
        finder.find(name)
    return Guesses(finder.found, finder.time, order)


def has_decimal_commas(values: "pd.Series[str]") -> bool:
    """Whether these are numbers that a comma parts from their fractions."""
    known = values.dropna()
    numbers = known.str.fullmatch(r"-?\d+(,\d+)?")
    return bool(known.str.contains(",").any()) and bool(numbers.mean() >= NUMERIC)


class Finder:
    """Takes one column after the other for one of ours."""

    def __init__(self, sample: Sample):
        self.sample, self.rows = sample, sample.rows
        self.found: dict[str, Guess] = {}
        self.time: TimeGuess | None = None
        self._plain = {column: plain(column) for column in self.rows.columns}
        self._agrees: dict[str, Callable[[str], bool]] = {
            "event_time": self.is_time,
            "event_type": self.is_type,
            # of these, an empty column is taken by its name
            "category_id": lambda column: self.is_empty(column) or self.is_number(column, whole=True),
            "category_code": lambda column: not self.is_number(column),
            "brand": lambda column: not self.is_number(column),
            "price": lambda column: self.is_empty(column) or self.is_number(column),
            "quantity": lambda column: self.is_empty(column) or self.is_number(column),
            "event_id": lambda column: self.known(column).is_unique and self.share_known(column) == 1,
        }

    def take(self, name: str, column: str, *doubts: str) -> None:
        self.found[name] = Guess(column, list(doubts))

    def find(self, name: str) -> None:
        """By its exact name, else by a word in it, else (times and types alone) by content."""
        agrees = self._agrees.get(name, self.is_label)
        if column := self.named(NAMES[name].split(), agrees):
            self.take(name, column)
        elif column := self._hinted(HINTS.get(name, set()), agrees):
            self.take(name, column, "guessed from a word in its name")
        elif name in ("event_time", "event_type"):
            telling = [column for column in self._free() if agrees(column) and self._sure(name, column)]
            if len(telling) == 1:
                self.take(name, telling[0], "guessed from its values alone")
        if name == "event_time" and name in self.found:
            self.time = self._written(self.found[name].column)

    def named(self, names: Iterable[str], agrees: Callable[[str], bool]) -> str | None:
        columns = {self._plain[column]: column for column in reversed(self._free())}
        return next((columns[name] for name in names if name in columns and agrees(columns[name])), None)

    def _hinted(self, hints: set[str], agrees: Callable[[str], bool]) -> str | None:
        for column in self._free():
            words = re.findall(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])", column)
            if hints & {word.lower() for word in words} and agrees(column):
                return column
        return None

    def _free(self) -> list[str]:
        taken = {guess.column for guess in self.found.values()}
        return [column for column in self.rows.columns if column and column not in taken]

    def _sure(self, name: str, column: str) -> bool:
        """Whether the values leave no doubt: a number may be anything."""
        if name == "event_time":
            return not self.is_number(column)
        return sum(plain(word) in TYPE_OF_WORD for word in self.known(column).unique()) >= 2

    def known(self, column: str) -> "pd.Series[str]":
        return self.rows[column].dropna()

    def share_known(self, column: str) -> float:
        return float(self.rows[column].notna().mean())

    def is_empty(self, column: str) -> bool:
        return self.known(column).empty

    def is_number(self, column: str, *, whole: bool = False) -> bool:
        known = self.known(column)
        numbers = pd.to_numeric(known, errors="coerce")
        good = numbers.notna() & ((numbers % 1 == 0) | (not whole))
        return not known.empty and bool(good.mean() >= NUMERIC)

    def is_label(self, column: str) -> bool:
        """Whether values can identify users, sessions or products: several, short, and no fractions."""
        known = self.known(column)
        if known.empty or known.str.len().median() > 64:
            return False
        return known.nunique() > 1 and not (self.is_number(column) and not self.is_number(column, whole=True))

    def is_type(self, column: str) -> bool:
        values = self.known(column)
        few = 1 <= values.nunique() <= min(MOST_TYPES, max(4, len(values) // 10))
        return few and (self.is_number(column, whole=True) or any(plain(v) in TYPE_OF_WORD for v in values.unique()))

    def is_time(self, column: str) -> bool:
        return self._written(column) is not None

    def _written(self, column: str) -> TimeGuess | None:
        return TimeGuess(ISO) if column in self.sample.times else guess_time(self.known(column))
