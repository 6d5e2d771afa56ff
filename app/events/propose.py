"""What `vitrine layout` prints: a layout for a file, with a comment wherever it is a guess."""

import re
from dataclasses import dataclass
from typing import Any

import pandas as pd

from app.events.guess_catalogue import CatalogueGuess, guess_catalogue
from app.events.guess_columns import OF_A_LINE, TYPE_OF_WORD, Guesses, guess_columns, has_decimal_commas, plain
from app.events.identity import IDENTITY
from app.events.layout import REES46, Columns, parse_layout
from app.events.propose_catalogue import add_catalogue
from app.events.sample import Sample, read_sample
from app.events.times import ISO
from app.events.vocabulary import EVENT_TYPES, PURCHASE, VIEW
from app.events.yaml_lines import Lines, as_yaml

NEEDED = ("event_time", "product_id", "user_id")
INTEGER = re.compile(r"0|-?[1-9]\d*")
LARGEST = 2**63 - 1
SPARE_PREFIX = 0.2  #: cancelled lines are fewer than this share
ENDED = re.compile(r"cancel|refund|return|reject|fail|void|fraud", re.IGNORECASE)
MOST_STATES = 20  #: a column of order states has no more different values
LISTED = 12  #: columns named in a comment


@dataclass
class Proposal:
    """A layout as YAML with comments, and which of our columns the user has to fill in."""

    text: str
    unfilled: list[str]


def propose(source: str) -> Proposal:
    """Look at the first rows of a local file, and propose how to read it, and a catalogue beside it.

    Parameters
    ----------
    source
        CSV (plain or gzip) or Parquet; of a folder, the first such file.

    Returns
    -------
    Proposal
        Its text is a layout that `--layout` takes, once what is marked FILL IN is filled in.

    Raises
    ------
    InputError
        See `app.events.sample.read_sample`.
    """
    sample = read_sample(source)
    found = guess_columns(sample)
    catalogue = guess_catalogue(sample, found)
    out = Lines()
    rows = f"{'all' if sample.whole else 'its first'} {len(sample.rows):,} rows"
    out.add(f"# Layout of {sample.file.name}, proposed from {rows}. Check the lines with a comment.")
    unfilled = [*_columns(out, sample, found), *_types(out, sample, found)]
    _time(out, found)
    if sample.delimiter not in (None, ","):
        out.add(f"delimiter: {as_yaml(sample.delimiter)}")
    _ids(out, sample, found, catalogue)
    _rules(out, sample, found)
    if catalogue:
        add_catalogue(out, catalogue, source)
    _unused(out, sample, found, catalogue)
    if not unfilled and parse_layout(str(out), "proposed") == REES46:
        out.lines.insert(1, "# It is the default layout: --layout is not needed.")
    return Proposal(str(out), unfilled)


def _columns(out: Lines, sample: Sample, found: Guesses) -> list[str]:
    """The part `columns`; returns what it could not find."""
    out.add("columns:")
    unfilled = []
    others = _some(_left(sample, found))
    lines = _event_id_of_lines(sample, found)
    for name in Columns.model_fields:
        guess = found.columns.get(name)
        if guess is None and name in NEEDED:
            unfilled.append(name)
            out.add(f"  {name}: null", f"FILL IN: which column is it? There are {others}")
        elif name == "event_id" and guess is None and lines:
            out.add(f"  event_id: {as_yaml(lines)}", "lines of one order that differ in these are events of their own")
        elif name == "order_id" and found.order is not None:
            out.add(f"  order_id: {as_yaml(found.order)}")
        elif guess is not None:
            out.add(f"  {name}: {as_yaml(guess.column)}", *guess.doubts, *_doubts(name, guess.column, found))
    return unfilled


def _doubts(name: str, column: str, found: Guesses) -> list[str]:
    if name == "price" and plain(column) in OF_A_LINE.split() and "quantity" in found.columns:
        return ["if it is the price of the whole line, remove quantity: revenue is price × quantity"]
    if name == "category_code":
        return ["the first part, up to a dot, is the main category"]
    return []


def _event_id_of_lines(sample: Sample, found: Guesses) -> list[str]:
    """Columns that distinguish the lines of an order, where the usual identity would take them for one event."""
    names = ("event_time", "user_session", "product_id", "quantity", "price")
    if found.order is None or not all(name in found.columns for name in names):
        return []
    if found.columns["user_session"].column != found.order or "event_type" in found.columns:
        return []
    columns = [found.columns[name].column for name in names]
    usual = [found.columns[name].column for name in IDENTITY if name in found.columns]
    same = sample.rows.duplicated(usual).sum()
    return columns if same > sample.rows.duplicated(columns).sum() else []


def _types(out: Lines, sample: Sample, found: Guesses) -> list[str]:
    """The words of event types, or the one type of all rows; returns what it could not determine."""
    guess = found.columns.get("event_type")
    if guess is None:
        orders = found.order is not None or "quantity" in found.columns
        why = (
            "no column of event types: each row looks like a line of an order"
            if orders
            else (f"no column of event types: all rows are taken for views; others are {', '.join(EVENT_TYPES[1:])}")
        )
        out.add(f"event_type: {PURCHASE if orders else VIEW}", why)
        return []
    words = _other_words(sample, guess.column)
    if not words:
        return []
    out.add("event_types:")
    unfilled = []
    known = {word: TYPE_OF_WORD[plain(word)] for word in words if plain(word) in TYPE_OF_WORD}
    for word, ours in known.items():
        out.add(f"  {as_yaml(word)}: {ours}")
    for word in [word for word in words if word not in known and not known]:
        unfilled.append(f"event_types.{word}")
        out.add(f"  {as_yaml(word)}: null", f"FILL IN: {', '.join(EVENT_TYPES)}; or leave it out by a rule")
    return unfilled


def _other_words(sample: Sample, column: str) -> list[str]:
    """Words of event types that are not ours, the most frequent first."""
    counts = sample.rows[column].str.lower().value_counts()
    return [str(word) for word in counts.index if word not in EVENT_TYPES]


def _time(out: Lines, found: Guesses) -> None:
    if found.time is None or (found.time.format == ISO and not found.time.doubts):
        return
    out.add("time:")
    spelling = [doubt for doubt in found.time.doubts if "zone" not in doubt]
    out.add(f"  format: {as_yaml(found.time.format)}", *spelling)
    zones = [doubt for doubt in found.time.doubts if "zone" in doubt]
    if zones:
        out.add("  zone: UTC", *zones)


def _ids(out: Lines, sample: Sample, found: Guesses, catalogue: CatalogueGuess | None) -> None:
    known = [(sample, found.columns[name].column) for name in ("product_id", "user_id") if name in found.columns]
    if catalogue and not catalogue.is_log:
        known.append((catalogue.sample, catalogue.columns["product_id"].column))
    for where, column in known:
        values = where.rows[column].dropna().drop_duplicates()
        other = next((value for value in values if not _is_integer(value)), None)
        if other is not None:
            file = "" if where is sample else f" of {where.file.name}"
            out.add("ids: text", f"{column}{file} holds {_short(other)}, which is no 64-bit integer")
            return
    if sample.whole or "product_id" not in found.columns:
        return
    out.add("ids: integer", "all ids sampled are integers; use text if later ones may contain letters")


def _is_integer(value: str) -> bool:
    return bool(INTEGER.fullmatch(value)) and abs(int(value)) <= LARGEST


def _short(value: object) -> str:
    text = repr(str(value))
    return text if len(text) <= 40 else f"{text[:36]}…'"


def _rules(out: Lines, sample: Sample, found: Guesses) -> None:
    """Rows that are no events of a customer: the first rule that a row meets counts it."""
    rules: list[tuple[dict[str, Any], str]] = [*_cancelled(sample, found), *_ended(sample, found)]
    rows = sample.rows
    if "user_id" in found.columns:
        column = found.columns["user_id"].column
        gone = int(rows[column].isna().sum())
        if gone:
            rules.append(({"reason": "no customer", "column": column, "missing": True}, f"{gone:,} rows"))
    if "quantity" in found.columns:
        column = found.columns["quantity"].column
        gone = int((pd.to_numeric(rows[column], errors="coerce") <= 0).sum())
        if gone:
            rules.append(({"reason": "nothing sold", "column": column, "not_positive": True}, f"{gone:,} rows"))
    rules += _other_types(sample, found)
    if rules:
        out.add("leave_out:", "rows that are no events; the first rule that holds counts a row")
    for rule, why in rules:
        out.add(f"  - {as_yaml(rule)}", why)


def _cancelled(sample: Sample, found: Guesses) -> list[tuple[dict[str, Any], str]]:
    """Orders whose number begins with a letter where the others are numbers."""
    if found.order is None:
        return []
    numbers = sample.rows[found.order].dropna()
    prefix = numbers.str.extract(r"^([A-Za-z]+)\d+$")[0]
    letters = prefix.value_counts()
    if letters.empty or prefix.notna().mean() > SPARE_PREFIX:
        return []
    letter, count = str(letters.index[0]), int(letters.iloc[0])
    rule = {"reason": "cancelled", "column": found.order, "starts_with": letter}
    return [(rule, f"{count:,} rows; are these cancelled orders?")]


def _ended(sample: Sample, found: Guesses) -> list[tuple[dict[str, Any], str]]:
    """Orders whose state shows that they failed or were cancelled."""
    rules: list[tuple[dict[str, Any], str]] = []
    for column in _left(sample, found):
        values = sample.rows[column].value_counts()
        states = [str(value) for value in values.index if ENDED.search(str(value))]
        if "status" in column.lower() and states and len(values) <= MOST_STATES:
            rule = {"reason": f"{column} says so", "column": column, "is_one_of": states}
            rules.append((rule, f"{int(values[states].sum()):,} rows"))
    return rules


def _other_types(sample: Sample, found: Guesses) -> list[tuple[dict[str, Any], str]]:
    """Event types that are none of ours, beside some that are."""
    guess = found.columns.get("event_type")
    if guess is None:
        return []
    words = _other_words(sample, guess.column)
    counts = sample.rows[guess.column].str.lower().value_counts()
    other = [word for word in words if plain(word) not in TYPE_OF_WORD]
    if not other or len(other) == len(counts):  # none known: then they are to be filled in
        return []
    rule = {"reason": "other event types", "column": guess.column, "is_one_of": other}
    return [(rule, f"{int(counts[other].sum()):,} rows; or map them under event_types")]


def _left(sample: Sample, found: Guesses) -> list[str]:
    taken = {guess.column for guess in found.columns.values()}
    return [column for column in sample.rows.columns if column not in taken]


def _some(names: list[str]) -> str:
    return ", ".join(map(as_yaml, names[:LISTED])) + (", …" if len(names) > LISTED else "") if names else "no others"


def _unused(out: Lines, sample: Sample, found: Guesses, catalogue: CatalogueGuess | None) -> None:
    used = {found.order}
    if catalogue and catalogue.is_log:
        used |= {guess.column for guess in catalogue.columns.values()}
    left = [name for name in _left(sample, found) if name not in used]
    if left:
        out.add(f"# Not used: {_some(left)}")
        commas = [name for name in left if has_decimal_commas(sample.rows[name])]
        if commas:
            out.add(
                f"# Decimal commas are not read: write the numbers of {_some(commas)} with points, if they are wanted"
            )
