"""A shop's ids without Spark: the same text and number that `app.events.clean` gives them."""

import re

import xxhash

from app.events.vocabulary import MISSING_TEXT

WHOLE_FLOAT = re.compile(r"(-?\d+)\.0", re.ASCII)
INTEGER = re.compile(r"-?\d{1,19}", re.ASCII)
ONE_WAY = re.compile(r"0|-?[1-9]\d{0,18}", re.ASCII)  #: the one way to write an integer
SMALLEST, LARGEST = -(2**63), 2**63 - 1
SPARK_SEED = 42  #: of Spark's xxhash64


def written(value: str | int) -> str | None:
    """An id as the events table has it, None where it is a word for nothing.

    Blanks around it are no part of it, and a whole number written as a float, "12.0", is that number.
    """
    text = str(value)
    whole = WHOLE_FLOAT.fullmatch(text)
    text = (whole.group(1) if whole else text).strip(" ")
    return None if text.lower() in MISSING_TEXT else text


def number_of(value: str | int | None, text_ids: bool) -> int | None:
    """The internal number of an id (64 bits, signed), None where it has none.

    Parameters
    ----------
    value
        As the shop has it.
    text_ids
        Whether any text may be an id: then another text than an integer has its xxhash64. Else only integers are ids.

    Examples
    --------
    >>> number_of("0012", text_ids=False), number_of("12.0", text_ids=True), number_of("B2", text_ids=False)
    (12, 12, None)
    """
    text = None if value is None else written(value)
    if text is None:
        return None
    if (ONE_WAY if text_ids else INTEGER).fullmatch(text) and SMALLEST <= int(text) <= LARGEST:
        return int(text)
    if not text_ids:
        return None
    unsigned = xxhash.xxh64_intdigest(text.encode(), SPARK_SEED)
    return unsigned if unsigned <= LARGEST else unsigned - 2**64
