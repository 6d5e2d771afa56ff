"""How shops write times: ISO text, seconds since 1970, or a pattern of Java, as Spark knows them."""

import re

ISO = "iso"
#: Microseconds in one unit of a time that counts from 1970.
EPOCHS = {"epoch_seconds": 1_000_000, "epoch_milliseconds": 1_000, "epoch_microseconds": 1}

#: ISO-like text: date and time, with fraction and zone or without.
ISO_PATTERN = r"^\d{4}-\d{2}-\d{2}[ T]\d{2}:\d{2}:\d{2}(?:\.\d+)?(?: ?UTC|Z|[+-]\d{2}:?\d{2})?$"
OFFSET_PATTERN = r"(?:UTC|Z|[+-]\d{2}:?\d{2})$"  #: at the end of such text: its own zone
ZONE_LETTERS = frozenset("VzOXxZ")

#: Directives of strptime for what a pattern may hold.
STRPTIME = {
    "yyyy": "%Y",
    "yy": "%y",
    "MMMM": "%B",
    "MMM": "%b",
    "MM": "%m",
    "M": "%m",
    "dd": "%d",
    "d": "%d",
    "HH": "%H",
    "H": "%H",
    "hh": "%I",
    "h": "%I",
    "mm": "%M",
    "m": "%M",
    "ss": "%S",
    "s": "%S",
    "a": "%p",
    "XXX": "%z",
    "XX": "%z",
    "Z": "%z",
}
_PART = re.compile(r"'(?:[^']|'')*'|([A-Za-z])\1*|[^A-Za-z']+|.")


def strptime_format(pattern: str) -> str:
    """The pattern as Python's strptime has it.

    Parameters
    ----------
    pattern
        Like "d/M/yyyy H:mm"; letters in quotes stand for themselves.

    Raises
    ------
    ValueError
        The pattern holds something else than year, month, day, hour, minute, second, fraction, am/pm or
        an offset.
    """
    parts = []
    for found in _PART.finditer(pattern):
        part = found.group()
        if part.startswith("'") and len(part) > 1:
            parts.append(part[1:-1].replace("''", "'").replace("%", "%%"))
        elif set(part) == {"S"} and len(part) <= 9:
            parts.append("%f")
        elif part in STRPTIME:
            parts.append(STRPTIME[part])
        elif part[0].isalpha() or part == "'":
            raise ValueError(f"no time can be read by {part!r} in {pattern!r}; a pattern looks like d/M/yyyy H:mm")
        else:
            parts.append(part.replace("%", "%%"))
    return "".join(parts)


def check_pattern(pattern: str) -> None:
    """Refuse a pattern that gives no date: Spark would only do so in the midst of a run.

    Raises
    ------
    ValueError
        See `strptime_format`; or year, month or day is missing.
    """
    format = strptime_format(pattern)
    if not all(re.search(part, format) for part in ("%[Yy]", "%[mbB]", "%d")):
        raise ValueError(
            f"{pattern!r} is none of iso, {', '.join(EPOCHS)}, nor a pattern with year, month and day "
            "like d/M/yyyy H:mm"
        )


def has_zone(pattern: str) -> bool:
    """Whether times of this pattern carry their own offset."""
    return bool(ZONE_LETTERS & set(re.sub(r"'[^']*'", "", pattern)))
