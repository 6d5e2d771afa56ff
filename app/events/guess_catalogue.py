"""Which file beside an unknown log knows the shop's products, or whether the log itself names them."""

from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from app.core.errors import InputError
from app.events.guess_columns import NAMES, Finder, Guess, Guesses, plain
from app.events.sample import ENDINGS, Sample, read_sample
from app.events.vocabulary import NO, YES

#: Names of a catalogue's columns, by ours, as those of a log in `guess_columns`.
TITLES = (
    "title name productname producttitle itemname itemtitle description productdescription itemdescription prodname "
    "articlename"
)
COLUMNS = {
    "title": TITLES,
    "category_code": f"{NAMES['category_code']} path categories producttype producttypename productgroup",
    "brand": NAMES["brand"],
    "price": "price unitprice itemprice productprice saleprice sellingprice listprice retailprice",
    "available": "available availability isavailable instock stock stockquantity stocklevel inventory active isactive",
}
OF_ANYTHING = "id code no number key"  #: an id by these names may be of anything: only in a file of products
FILE_OF_PRODUCTS = ("product", "item", "catalog", "article", "sku", "goods")
ENDING = (*ENDINGS, ".tsv", ".txt")
MOST_FILES = 100  #: that are looked at, of a folder
FIRST_ROWS = 1_000  #: that show whether a file is worth reading
ONCE = 0.95  #: share of rows that name a product for the first time
HELD = 0.5  #: share of the log's products that a catalogue names
ONE_TITLE = 0.8  #: share of a log's rows that bear their product's usual title
PATHS = (">", "|", "/")  #: between the parts of a category's path, other than a dot
PATH_LIKE = 0.2  #: share of categories that hold it


@dataclass(frozen=True)
class CatalogueGuess:
    """A file that names the log's products.

    `sample`: its rows. `columns`: by our names. `separator`: of a category's path. `held`: share of the products
    sampled of the log that are in it. `is_log`: the log's own lines name them.
    """

    sample: Sample
    columns: dict[str, Guess]
    separator: str
    held: float
    is_log: bool = False

    @property
    def delimiter(self) -> str:
        return self.sample.delimiter or ","


def guess_catalogue(log: Sample, found: Guesses) -> CatalogueGuess | None:
    """The file beside the log that knows most of its products; else the log, if its lines name them."""
    if "product_id" not in found.columns:
        return None
    column = found.columns["product_id"].column
    products = frozenset(log.rows[column].dropna())
    guesses = [guess for file in _beside(log.file) if (guess := _of_file(file, plain(column), products))]
    best = max(guesses, key=lambda guess: (guess.held, len(guess.columns)), default=None)
    return best or _of_log(log, found, column)


def _beside(log: Path) -> list[Path]:
    files = sorted(file for file in log.parent.iterdir() if file.name.endswith(ENDING) and file.name[0] not in "._")
    return [file for file in files if file != log and file.is_file()][:MOST_FILES]


def _of_file(file: Path, product: str, products: frozenset[str]) -> CatalogueGuess | None:
    """A catalogue as this file would be; None if it is none."""
    try:
        if not _columns(read_sample(str(file), FIRST_ROWS), product, products):
            return None
        sample = read_sample(str(file))
    except InputError:
        return None  # what can't be read as a table is no catalogue
    columns = _columns(sample, product, products)
    held = _held(sample.rows[columns["product_id"].column], products) if columns else 0.0
    return CatalogueGuess(sample, columns, _separator(sample, columns), held) if held >= HELD else None


def _columns(sample: Sample, product: str, products: frozenset[str]) -> dict[str, Guess]:
    """Its columns by our names; empty if it names no products, or says nothing of them.

    Parameters
    ----------
    product
        What the log calls its products' ids, without marks.
    products
        Of the log.
    """
    finder = Finder(sample)
    sure = {product, *NAMES["product_id"].split()}
    if any(word in sample.file.name.lower() for word in FILE_OF_PRODUCTS):
        sure |= {*OF_ANYTHING.split()}
    ids = [column for column in sample.rows.columns if plain(column) in sure and _identifies(sample.rows[column])]
    if not ids:
        return {}
    held = {column: _held(sample.rows[column], products) for column in ids}
    finder.take("product_id", max(ids, key=held.__getitem__))
    agrees = {
        "title": lambda column: not finder.is_number(column) and not finder.is_empty(column),
        "category_code": lambda column: not finder.is_number(column) and not finder.is_empty(column),
        "brand": lambda column: not finder.is_number(column) and not finder.is_empty(column),
        "price": finder.is_number,
        "available": lambda column: finder.is_number(column) or _is_yes_or_no(finder.known(column)),
    }
    for name, words in COLUMNS.items():
        if column := finder.named(words.split(), agrees[name]):
            finder.take(name, column)
    return finder.found if len(finder.found) > 1 else {}


def _identifies(ids: "pd.Series[str]") -> bool:
    """Whether every row has an id, and nearly every row one of its own."""
    return bool(ids.notna().all()) and ids.nunique() >= ONCE * len(ids)


def _held(ids: "pd.Series[str]", products: frozenset[str]) -> float:
    return len(products & {*ids}) / len(products)


def _is_yes_or_no(values: "pd.Series[str]") -> bool:
    return not values.empty and bool(values.str.lower().isin([*YES, *NO]).all())


def _separator(sample: Sample, columns: dict[str, Guess]) -> str:
    if "category_code" not in columns:
        return "."
    paths = sample.rows[columns["category_code"].column].dropna()
    shares = {mark: float(paths.str.contains(mark, regex=False).mean()) for mark in PATHS}
    best = max(PATHS, key=lambda mark: shares[mark])
    return best if shares[best] >= PATH_LIKE else "."


def _of_log(log: Sample, found: Guesses, product: str) -> CatalogueGuess | None:
    """The log as a catalogue: its lines name the products, and a product nearly always has the same title."""
    finder = Finder(log)
    finder.found = dict(found.columns)
    title = finder.named(TITLES.split(), lambda column: not finder.is_number(column) and not finder.is_empty(column))
    if title is None or log.rows[product].isna().any():
        return None
    known = log.rows[[product, title]].dropna()
    usual = known.value_counts().groupby(level=0).max().sum() / len(known)
    if usual < ONE_TITLE or known[title].nunique() < HELD * known[product].nunique():
        return None
    columns = {"product_id": Guess(product), "title": Guess(title)}
    return CatalogueGuess(log, columns, ".", known[product].nunique() / log.rows[product].nunique(), is_log=True)
