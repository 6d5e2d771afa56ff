"""Figures of customers and behaviour as Parquet tables, for other programs: those of the report, a table for each."""

import types
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import pyarrow as pa
import pyarrow.parquet as pq

from app.core.part import Part
from app.core.parts import COMPLETE
from app.insight import figure_rows as rows
from app.insight.behaviour_results import Behaviour, CartOutcome, Funnel, Instead, ShopRate, Waited
from app.insight.customer_results import Customers, HoldoutRow, RfmRow
from app.insight.results import Move, ProfileRow, SegmentRow, Segments, TriedNumber

ARROW = {int: pa.int64(), float: pa.float64(), str: pa.string(), bool: pa.bool_(), date: pa.date32()}


@dataclass(frozen=True)
class Figures:
    """What a run has found; None where it did not look for it."""

    customers: Customers | None = None
    behaviour: Behaviour | None = None
    segments: Segments | None = None
    profiles: tuple[ProfileRow, ...] | None = None


@dataclass(frozen=True)
class FigureTable:
    """A table: the type of its rows, the part of `Figures` that holds them, and how they are taken from it."""

    row: type[Part]
    part: Literal["customers", "behaviour", "segments", "profiles"]
    rows: Callable[[Any], Iterable[Part]]


def write_figures(found: Figures, target: Path) -> None:
    """Write each table of what was looked for as `<target>/<name>.parquet`; one may have no rows.

    Parameters
    ----------
    found
        Figures.
    target
        Folder to make.
    """
    target.mkdir(parents=True)
    for name, table in TABLES.items():
        part = getattr(found, table.part)
        if part is not None:
            written = pa.Table.from_pylist([flat(row) for row in table.rows(part)], schema=schema(table.row))
            pq.write_table(written, target / f"{name}.parquet", compression="zstd")
    (target / COMPLETE).touch()


def schema(row: type[Part]) -> pa.Schema:
    """Columns of a table of such rows, in order, each nullable where the field is."""
    return pa.schema([pa.field(name, kind, nullable) for name, kind, nullable, _ in columns(row)])


def columns(row: type[Part]) -> Iterator[tuple[str, pa.DataType, bool, str]]:
    """Name, type, whether it may be null, and meaning of each column.

    A figure within a figure has a column `<field>_<its field>`, and one called `value` has the field's name: a forecast
    has three. What has rows of its own is another table.
    """
    for name, field in row.model_fields.items():
        kind, nullable = _plain(field.annotation)
        meaning = field.description or ""
        if isinstance(kind, type) and issubclass(kind, Part):
            for inner, inner_kind, inner_nullable, inner_meaning in columns(kind):
                told = meaning if inner == "value" else f"likewise: {inner_meaning}"
                yield _joined(name, inner), inner_kind, nullable or inner_nullable, told
        elif get_origin(kind) is not tuple:
            yield name, ARROW[kind], nullable, meaning
        elif get_args(kind)[0] in ARROW:
            yield name, pa.list_(ARROW[get_args(kind)[0]]), nullable, meaning


def flat(row: Part) -> dict[str, Any]:
    """Values of a row by column; what has a null in the place of figures lacks their columns."""
    found: dict[str, Any] = {}
    for name, value in row:
        if isinstance(value, Part):
            found |= {_joined(name, inner): figure for inner, figure in flat(value).items()}
        else:
            found[name] = value
    return {name: found[name] for name, *_ in columns(type(row)) if name in found}


def _joined(name: str, inner: str) -> str:
    return name if inner == "value" else f"{name}_{inner}"


def _plain(annotation: Any) -> tuple[Any, bool]:
    """The type without what may be missing, and whether it may be."""
    origin, inner = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _plain(inner[0])
    if origin in (Union, types.UnionType):
        (kind,) = (one for one in inner if one is not type(None))
        return _plain(kind)[0], True
    return (type(inner[0]), False) if origin is Literal else (annotation, False)


def _weeks(found: Customers) -> Iterator[Part]:
    for lifecycle in found.lifecycle:
        last = len(lifecycle.weeks) - 1
        for number, week in enumerate(lifecycle.weeks):
            whole = number < last or lifecycle.last_is_whole
            yield rows.WeekOfLifecycle(kind=lifecycle.kind, whole=whole, **dict(week))


def _cohorts(found: Customers) -> Iterator[Part]:
    for table in found.cohorts:
        for cohort in table.rows:
            first, last = cohort.users[0], len(cohort.users) - 1
            for later, users in enumerate(cohort.users):
                yield rows.CohortCell(
                    kind=table.kind,
                    period=table.period,
                    start=cohort.start,
                    later=later,
                    users=users,
                    share=users / first if first else None,
                    whole=later < last or table.last_is_whole,
                )


def _value(found: Customers) -> Iterator[Part]:
    if found.value:
        every, *named = found.value.rows
        yield rows.ValueOfGroup(by="all", **dict(every))
        yield from (rows.ValueOfGroup(by="rfm", **dict(row)) for row in named)
        yield from (rows.ValueOfGroup(by="segment", **dict(row)) for row in found.value.by_segment)


def _parameters(found: Customers) -> Iterator[Part]:
    if found.value:
        for row in found.value.bg_nbd.parameters:
            yield rows.ParameterOfModel(model="bg_nbd", **dict(row))
        for row in found.value.gamma_gamma.parameters:
            yield rows.ParameterOfModel(model="gamma_gamma", **dict(row))


def _funnel(found: Behaviour) -> Iterator[Part]:
    if found.funnel:
        yield from _steps(found.funnel)


def _steps(funnel: Funnel) -> Iterator[Part]:
    groups = {
        "all": (funnel.total,),
        "segment": funnel.by_segment,
        "category": funnel.by_category,
        "price": funnel.by_price,
    }
    for by, members in groups.items():
        for group in members:
            for at, step in enumerate(funnel.steps):
                yield rows.FunnelStep.model_validate(
                    {
                        "by": by,
                        "name": group.name,
                        "number": at + 1,
                        "step": step,
                        "sessions": group.sessions[at],
                        "users": group.users[at] if group.users is not None else None,
                    }
                )


def _left(found: Behaviour) -> Iterator[Part]:
    if found.carts:
        yield from (rows.LeftOfGroup(by="product", **dict(row)) for row in found.carts.products)
        yield from (rows.LeftOfGroup(by="category", **dict(row)) for row in found.carts.categories)


def _paths(found: Behaviour) -> Iterator[Part]:
    if found.paths:
        yield from (rows.Path(by="event", **dict(row)) for row in found.paths.events)
        yield from (rows.Path(by="category", **dict(row)) for row in found.paths.categories)


def _features(found: Segments) -> Iterator[Part]:
    for row in found.rows:
        for feature in row.features:
            yield rows.FeatureOfSegment(segment_id=row.segment_id, segment=row.segment, **dict(feature))


#: By name. Tables with a row for each user or product lie beside them: customers, segments, product performance.
TABLES: dict[str, FigureTable] = {
    "rfm": FigureTable(RfmRow, "customers", lambda found: found.rfm),
    "lifecycle": FigureTable(rows.WeekOfLifecycle, "customers", _weeks),
    "cohorts": FigureTable(rows.CohortCell, "customers", _cohorts),
    "value": FigureTable(rows.ValueOfGroup, "customers", _value),
    "value_parameters": FigureTable(rows.ParameterOfModel, "customers", _parameters),
    "value_holdout": FigureTable(
        HoldoutRow, "customers", lambda found: found.value.holdout.rows if found.value else ()
    ),
    "funnel": FigureTable(rows.FunnelStep, "behaviour", _funnel),
    "funnel_instead": FigureTable(Instead, "behaviour", lambda found: found.funnel.instead if found.funnel else ()),
    "cart_outcomes": FigureTable(CartOutcome, "behaviour", lambda found: found.carts.outcomes if found.carts else ()),
    "cart_left": FigureTable(rows.LeftOfGroup, "behaviour", _left),
    "cart_times": FigureTable(
        Waited, "behaviour", lambda found: found.carts.times.bars if found.carts and found.carts.times else ()
    ),
    "product_rates": FigureTable(ShopRate, "behaviour", lambda found: found.performance.rates),
    "paths": FigureTable(rows.Path, "behaviour", _paths),
    "segments": FigureTable(SegmentRow, "segments", lambda found: found.rows),
    "segment_features": FigureTable(rows.FeatureOfSegment, "segments", _features),
    "segment_moves": FigureTable(Move, "segments", lambda found: found.movement.moves if found.movement else ()),
    "segment_numbers": FigureTable(TriedNumber, "segments", lambda found: found.tried),
    "profiles": FigureTable(ProfileRow, "profiles", lambda found: found),
}
