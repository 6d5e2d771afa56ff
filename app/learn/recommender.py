"""Learning everything that serves, from one slice of time."""

import shutil
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import pyarrow.parquet as pq

from app.core.errors import InputError
from app.core.parts import Part, by_part, part_files
from app.core.settings import Settings
from app.features.slices import Slice
from app.learn.als import fit_als
from app.learn.content import fit_content
from app.learn.covisitation import fit_covisitation
from app.learn.item_graph import fit_item_graph
from app.learn.popularity import fit_popularity, segment_interest
from app.learn.session_walk import fit_session_walk
from app.learn.tables import Tables
from app.learn.users import read_users, user_histories
from app.serve.catalogue import SCHEMA, Catalogue
from app.serve.contract import Baseline, Generator
from app.serve.generators import GENERATORS, Content, CoVisitation, ImplicitALS, ItemGraph, Popularity, SessionWalk
from app.serve.rankers import ReciprocalRank
from app.serve.recommender import Parameters, Recommender
from app.serve.users import UserTable

Fit = Callable[[Tables, Settings], Generator]

#: How each generator is learned.
FIT_OF: dict[type[Generator], Fit] = {
    ImplicitALS: fit_als,
    CoVisitation: fit_covisitation,
    Popularity: fit_popularity,
    SessionWalk: fit_session_walk,
    ItemGraph: fit_item_graph,
    Content: fit_content,
}


def chosen_fits(settings: Settings) -> dict[str, Fit]:
    """How the generators of the setting `generators` are learned, by name.

    Raises
    ------
    InputError
        There is no such generator, or none of them has a list for everyone.
    """
    known = {kind.name: kind for kind in GENERATORS}
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
    return {kind.name: FIT_OF[kind] for kind in chosen}


def fit_recommender(
    known: Slice,
    segments: Path,
    settings: Settings,
    scratch: Path,
    timed: Callable[[str], AbstractContextManager[object]] = nullcontext,
) -> Recommender:
    """Learn the generators that are set, and gather what serving needs beside them.

    Parameters
    ----------
    known
        What to learn from.
    segments
        Table of user_id and segment_id, in the parts of the slice.
    settings
        Of generators, ranker and lists.
    scratch
        Folder for tables on the way, on a disk that driver and executors share; emptied first.
    timed
        Each generator is learned inside of what this gives for its name.
    """
    fits = chosen_fits(settings)
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir(parents=True)
    tables, users = _tables(known, segments, settings, scratch)
    generators = {}
    for name, fit in fits.items():
        with timed(name):
            generators[name] = fit(tables, settings)
    return Recommender(
        tables.catalogue,
        users,
        generators,
        reciprocal_rank(settings),
        Parameters(
            settings.candidates,
            settings.bought_days,
            settings.session_max_events,
            settings.session_max_products,
            settings.session_idle_minutes,
            text_ids=users.keys is not None or tables.catalogue.keyed,
        ),
    )


def reciprocal_rank(settings: Settings) -> ReciprocalRank:
    """The ranker that needs no learning, as it is set."""
    return ReciprocalRank(dict(settings.blend_weights), settings.blend_offset)


def _tables(known: Slice, segments: Path, settings: Settings, scratch: Path) -> tuple[Tables, UserTable]:
    all_pairs, most = known.folder / "pairs", settings.history_products

    def by_user(part: Part) -> None:
        pairs, in_segment = part.read(all_pairs), part.read(segments)
        part.write("users", user_histories(pairs, in_segment, most))
        part.write("interactions", pairs.filter("rating > 0").select("user_id, product_id, rating"))
        part.write("interest", segment_interest(pairs, in_segment))

    by_part(known.spark, len(part_files(known.events)), by_user, scratch)
    products = pq.read_table(known.folder / "products")
    catalogue = Catalogue.of(products.select([name for name in SCHEMA.names if name in products.column_names]))
    users = read_users(scratch / "users", catalogue)
    tables = Tables(
        spark=known.spark,
        interactions=scratch / "interactions",
        touches=known.folder / "touches",
        interest=scratch / "interest",
        catalogue=catalogue,
        user_ids=users.ids,
        folder=scratch,
    )
    return tables, users
