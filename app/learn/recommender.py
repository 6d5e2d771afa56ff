"""Learning everything that serves, from one slice of time."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from pyspark.sql import DataFrame

from app.core.errors import InputError
from app.core.settings import Settings
from app.features.slices import Slice
from app.learn.als import fit_als
from app.learn.covisitation import fit_covisitation
from app.learn.item_graph import fit_item_graph
from app.learn.popularity import fit_popularity
from app.learn.session_walk import fit_session_walk
from app.learn.tables import Tables
from app.learn.users import read_users, user_histories
from app.serve.catalogue import SCHEMA, Catalogue
from app.serve.contract import Baseline, Generator
from app.serve.generators import GENERATORS
from app.serve.rankers import ReciprocalRank
from app.serve.recommender import Parameters, Recommender
from app.serve.users import UserTable

Fit = Callable[[Tables, Settings], Generator]

#: How each of `GENERATORS` is learned, in the order in which sources are numbered.
FITS: tuple[Fit, ...] = (fit_als, fit_covisitation, fit_popularity, fit_session_walk, fit_item_graph)
FIT_OF: dict[type[Generator], Fit] = dict(zip(GENERATORS, FITS, strict=True))


def chosen_fits(settings: Settings) -> tuple[Fit, ...]:
    """How the generators of the setting `generators` are learned.

    Raises
    ------
    InputError
        There is no such generator, or none of them has a list for everyone.
    """
    known = {kind.name: kind for kind in FIT_OF}
    names = [name.strip() for name in settings.generators.split(",") if name.strip()]
    unknown = sorted(set(names) - set(known))
    if unknown:
        raise InputError(
            f"setting generators (VITRINE_GENERATORS): there is no {', '.join(unknown)}; choose from {', '.join(known)}"
        )
    chosen = [kind for name, kind in known.items() if name in names]
    if not any(issubclass(kind, Baseline) for kind in chosen):
        needed = ", ".join(name for name, kind in known.items() if issubclass(kind, Baseline))
        raise InputError(f"setting generators (VITRINE_GENERATORS): needs {needed}, which has a list for everyone")
    return tuple(FIT_OF[kind] for kind in chosen)


def fit_recommender(known: Slice, user_segments: DataFrame, settings: Settings, scratch: Path) -> Recommender:
    """Learn the generators that are set, and gather what serving needs beside them.

    Parameters
    ----------
    known
        What to learn from.
    user_segments
        user_id, segment_id, of the slice's users.
    settings
        Of generators, ranker and lists.
    scratch
        Folder for tables on the way, on a disk that driver and executors share; emptied first.
    """
    fits = chosen_fits(settings)
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir(parents=True)
    tables, users = _tables(known, user_segments, settings, scratch)
    generators = [fit(tables, settings) for fit in fits]
    return Recommender(
        tables.catalogue,
        users,
        {generator.name: generator for generator in generators},
        ReciprocalRank(dict(settings.blend_weights)),
        Parameters(
            settings.candidates,
            settings.bought_days,
            settings.session_max_events,
            settings.session_max_products,
            settings.session_idle_minutes,
            text_ids=users.keys is not None or tables.catalogue.keyed,
        ),
    )


def _tables(known: Slice, user_segments: DataFrame, settings: Settings, scratch: Path) -> tuple[Tables, UserTable]:
    segments = user_segments.select("user_id", "segment_id")
    columns = [name for name in SCHEMA.names if name in known.products.columns]
    catalogue = Catalogue.of(_on_disk(known.products.select(*columns), scratch / "products"))
    histories = scratch / "users"
    user_histories(known.pairs, segments, settings.history_products).write.parquet(str(histories))
    users = read_users(histories, catalogue)
    interactions = scratch / "interactions"
    rated = known.pairs.where("rating > 0").select("user_id", "product_id", "rating")
    rated.write.parquet(str(interactions))
    tables = Tables(
        interactions=interactions,
        touches=known.touches,
        popularity=known.pairs.select("user_id", "product_id", "decayed"),
        user_segments=segments,
        catalogue=catalogue,
        user_ids=users.ids,
        folder=scratch,
    )
    return tables, users


def _on_disk(frame: DataFrame, path: Path) -> pa.Table:
    """A product-sized table on the driver, by way of the disk."""
    frame.write.parquet(str(path))
    return pq.read_table(path)
