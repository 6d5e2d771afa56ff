"""How a column of unknown times is written."""

import re
from dataclasses import dataclass

import pandas as pd

from app.events.times import EPOCHS, ISO, ISO_PATTERN, OFFSET_PATTERN, strptime_format

READABLE = 0.98  #: share of the values that a format must read
EARLIEST, LATEST = pd.Timestamp("1995-01-01"), pd.Timestamp("2100-01-01")
DISTINCT = 5_000  #: values looked at

DATES = (
    "yyyy-M-d",
    "yyyy/M/d",
    "yyyy.M.d",
    "d/M/yyyy",
    "M/d/yyyy",
    "d-M-yyyy",
    "M-d-yyyy",
    "d.M.yyyy",
    "d/M/yy",
    "M/d/yy",
    "d-MMM-yyyy",
    "d MMM yyyy",
    "d MMMM yyyy",
    "MMM d, yyyy",
    "MMMM d, yyyy",
)
CLOCKS = ("", " H:mm:ss", " H:mm", " H:mm:ss.SSSSSS", " h:mm:ss a", " h:mm a", "'T'H:mm:ss", "'T'H:mm")
SPELLED = tuple(f"{date}{clock}" for date in DATES for clock in CLOCKS)
IN_DIGITS = {8: "yyyyMMdd", 14: "yyyyMMddHHmmss"}  #: by the number of digits


@dataclass(frozen=True)
class TimeGuess:
    """A format of `app.events.layout.TimeFormat`, and what is not sure about it."""

    format: str
    doubts: tuple[str, ...] = ()


def guess_time(values: "pd.Series[str]") -> TimeGuess | None:
    """The format that reads the values; None if they are no times.

    Parameters
    ----------
    values
        Text without nulls.
    """
    distinct = values.drop_duplicates().head(DISTINCT)
    if distinct.empty:
        return None
    if distinct.str.match(ISO_PATTERN).mean() >= READABLE:
        zoned = distinct.str.contains(OFFSET_PATTERN).mean() >= READABLE
        return TimeGuess(ISO, () if zoned else (NO_ZONE,))
    return _pattern(distinct) or _epoch(distinct)


NO_ZONE = "the times carry no zone: if they are the shop's local time, name its zone, like Europe/Paris"


def _epoch(values: "pd.Series[str]") -> TimeGuess | None:
    numbers = pd.to_numeric(values, errors="coerce").dropna()
    if len(numbers) < READABLE * len(values):
        return None
    for format, micros in EPOCHS.items():
        seconds = numbers * micros / 1e6
        if seconds.between(EARLIEST.timestamp(), LATEST.timestamp()).mean() >= READABLE and seconds.min() > 1e8:
            return TimeGuess(format)
    return None


def _pattern(values: "pd.Series[str]") -> TimeGuess | None:
    digits = len(values.iloc[0]) if values.str.isdigit().all() and values.str.len().nunique() == 1 else 0
    patterns = [IN_DIGITS[digits]] if digits in IN_DIGITS else SPELLED
    reading = [pattern for pattern in patterns if _reads(values.head(20), pattern) and _reads(values, pattern)]
    if not reading:
        return None
    best = reading[0]
    doubts = [] if re.search("[Hh]", best) else ["only days: what came first within a day is not known"]
    twin = best.translate(str.maketrans("dM", "Md"))
    if twin != best and twin in reading:
        doubts.append(f"day and month may be the other way round: {twin} reads all values as well")
    return TimeGuess(best, (*doubts, NO_ZONE))


def _reads(values: "pd.Series[str]", pattern: str) -> bool:
    times = pd.to_datetime(values, format=strptime_format(pattern), errors="coerce")
    return bool(times.between(EARLIEST, LATEST).mean() >= READABLE)
