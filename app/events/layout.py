"""Layouts: which of a shop's columns is which of ours, and how its values are written.

A layout is a small YAML file; docs/layout.md walks through one. Without a file the log is read as the
REES46 months are. Nothing here needs Spark.
"""

from difflib import get_close_matches
from pathlib import Path
from typing import Literal, Self
from zoneinfo import available_timezones

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator
from pydantic_core import ErrorDetails

from app.core.errors import InputError
from app.core.settings import Settings
from app.events.times import EPOCHS, ISO, check_pattern
from app.events.vocabulary import RAW_COLUMNS, EventType


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", coerce_numbers_to_str=True)


class Columns(_Part):
    """Names of the shop's columns, by ours."""

    event_time: str
    event_type: str | None = None
    product_id: str
    category_id: str | None = None
    category_code: str | None = None
    brand: str | None = None
    price: str | None = None
    user_id: str
    user_session: str | None = None
    quantity: str | None = None
    event_id: str | tuple[str, ...] | None = None  #: several columns together may be the id
    order_id: str | None = None  #: lines of one purchase share it
    recommendation_id: str | None = None

    def named(self) -> list[str]:
        """The shop's columns, each once, in the order of ours."""
        names: list[str] = []
        for _, value in self:
            names += [value] if isinstance(value, str) else value or ()
        return list(dict.fromkeys(names))


class TimeFormat(_Part):
    """How times are written, and in which zone those without an offset are."""

    format: str = ISO  #: iso, epoch_seconds, epoch_milliseconds, epoch_microseconds, or a pattern of Java
    zone: str = "UTC"

    @field_validator("format")
    @classmethod
    def _known_format(cls, value: str) -> str:
        if value != ISO and value not in EPOCHS:
            check_pattern(value)
        return value

    @field_validator("zone")
    @classmethod
    def _known_zone(cls, value: str) -> str:
        if value not in available_timezones():
            raise ValueError(f"{value!r} is no time zone; give one like UTC or Europe/Paris")
        return value


class Rule(_Part):
    """Rows that are left out: those whose column meets the one condition given."""

    reason: str
    column: str
    missing: Literal[True] | None = None
    not_positive: Literal[True] | None = None
    starts_with: str | None = Field(default=None, min_length=1)
    is_one_of: tuple[str, ...] | None = Field(default=None, min_length=1)

    @model_validator(mode="after")
    def _one_condition(self) -> Self:
        given = [self.missing, self.not_positive, self.starts_with, self.is_one_of]
        if sum(value is not None for value in given) != 1:
            raise ValueError("needs one of missing, not_positive, starts_with, is_one_of")
        return self


CATEGORY = "category"  #: as many shops call a catalogue's `category_code`


class CatalogueColumns(_Part):
    """Names of the catalogue's columns, by ours."""

    product_id: str
    title: str | None = None
    category_code: str | None = None
    brand: str | None = None
    price: str | None = None
    available: str | None = None

    def named(self) -> list[str]:
        """The catalogue's columns, each once, in the order of ours."""
        return list(dict.fromkeys(value for _, value in self if value))


class CatalogueLayout(_Part):
    """How a catalogue of products is read."""

    columns: CatalogueColumns
    delimiter: str = Field(default=",", min_length=1, max_length=1)
    category_separator: str = Field(default=".", min_length=1)  #: between the parts of a category's path


class Layout(_Part):
    """How a shop's event log is read."""

    columns: Columns
    event_type: EventType | None = None  #: of all rows, where no column holds it
    event_types: dict[str, EventType] = {}  #: the shop's words, in any case; ours are known
    time: TimeFormat = TimeFormat()
    delimiter: str = Field(default=",", min_length=1, max_length=1)
    ids: Literal["integer", "text"] = "integer"  #: what product_id and user_id are
    leave_out: tuple[Rule, ...] = ()  #: the first rule that a row meets counts it
    catalogue: CatalogueLayout | None = None

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if (self.columns.event_type is None) == (self.event_type is None):
            raise ValueError("needs either columns.event_type or one event_type for all rows")
        if self.event_types and self.event_type:
            raise ValueError("event_types has no effect without a column of event types")
        reasons = [rule.reason for rule in self.leave_out]
        if len(set(reasons)) < len(reasons):
            raise ValueError("leave_out has two rules of the same reason")
        return self

    def named_columns(self) -> list[str]:
        """All of the shop's columns that the layout names, each once: a log must have them."""
        return list(dict.fromkeys([*self.columns.named(), *(rule.column for rule in self.leave_out)]))


REES46 = Layout(columns=Columns(**{name: name for name in RAW_COLUMNS}))


def layout_of(settings: Settings) -> Layout:
    """The layout that the settings name; `--delimiter` wins over that of the layout.

    Raises
    ------
    InputError
        The layout's file can't be read, or is no layout.
    """
    layout = REES46 if settings.layout is None else read_layout(settings.layout)
    return layout if settings.delimiter is None else layout.model_copy(update={"delimiter": settings.delimiter})


def read_layout(path: Path) -> Layout:
    """The layout of a YAML file.

    Raises
    ------
    InputError
        The file can't be read, is no YAML, has an unknown key, or a value is wrong or missing.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise InputError(f"--layout {path}: no such file; 'vitrine layout --events FILE' proposes a layout") from None
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"--layout {path}: can't be read ({error}); 'vitrine layout' proposes one") from None
    return parse_layout(text, str(path))


def parse_layout(text: str, name: str) -> Layout:
    """The layout of YAML text; `name` is its file's, for errors.

    Raises
    ------
    InputError
        See `read_layout`.
    """
    try:
        values = yaml.safe_load(text)
    except yaml.YAMLError as error:
        problem = " ".join(str(error).split())
        raise InputError(f"--layout {name}: is not YAML ({problem})") from None
    if not isinstance(values, dict):
        raise InputError(f"--layout {name}: holds no layout; 'vitrine layout --events FILE' proposes one")
    try:
        return Layout.model_validate(values)
    except ValidationError as error:
        raise InputError(f"--layout {name}: {_describe(error.errors()[0])}") from None


def _describe(error: ErrorDetails) -> str:
    place = ".".join(str(part) for part in error["loc"])
    if error["type"] == "extra_forbidden":
        known = _known_keys(error["loc"])
        close = get_close_matches(str(error["loc"][-1]), known, n=1)
        return f"{place}: there is no such key; " + (
            f"did you mean {close[0]}?" if close else f"there are {', '.join(known)}"
        )
    if error["type"] == "missing" or error["input"] is None:
        return f"{place}: is not filled in"
    message = error["msg"].removeprefix("Value error, ")
    if not place:
        return message
    given = "" if isinstance(error["input"], dict) else f", got {error['input']!r}"
    return f"{place}: {message[0].lower()}{message[1:]}{given}"


def _known_keys(place: tuple[int | str, ...]) -> list[str]:
    """Keys that the part of a layout has in which an unknown one was found."""
    parts: dict[str, type[BaseModel]] = {
        "columns": Columns,
        "time": TimeFormat,
        "leave_out": Rule,
        "catalogue": CatalogueLayout,
        "catalogue.columns": CatalogueColumns,
    }
    within = ".".join(part for part in place[:-1] if isinstance(part, str))
    return list(parts.get(within, Layout).model_fields)
