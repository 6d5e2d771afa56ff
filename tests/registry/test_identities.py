"""Who a bundle takes visitors for: known, forgotten, known anew, and several who are one."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from app.events.forgotten import Forgotten, hashed
from app.events.merged import Merge, Merged
from app.registry.bundle import Bundle
from app.registry.identities import Identities
from app.serve.ragged import NONE
from app.serve.visits import Visitors
from tests.stream.shop import ANNA, recommender, write_bundle

BEN, CLEO, DORA = 2, 7, 11


@pytest.fixture
def bundle(tmp_path: Path) -> Bundle:
    return Bundle.open(write_bundle(tmp_path / "models", "a", recommender()))


def obeying(bundle: Bundle, *names: str | None) -> Bundle:
    return replace(bundle, manifest=bundle.manifest.model_copy(update={"forgotten": list(names)}))


def forgotten(*users: int) -> Forgotten:
    return Forgotten("salt", {hashed("salt", user): user * 1_000_000 for user in users})


def one(user: int, into: int, at: int = 1) -> Merge:
    return Merge(user=user, into=into, into_key=str(into), at=at)


def others(visitors: Visitors) -> list[list[int]]:
    if visitors.others is None:
        return [[] for _ in range(len(visitors))]
    shape = visitors.others.shape
    return [visitors.others.users[shape.rows() == row].tolist() for row in range(len(shape))]


def introduced(who: Identities, visitors: Visitors, bundle: Bundle) -> Visitors:
    return who.introduced(visitors, bundle.recommender.users.ids, bundle.obeyed)


def test_nobody_forgotten_or_merged_changes_nothing(bundle: Bundle) -> None:
    asked = Visitors.of([ANNA, BEN], 0.0)
    assert introduced(Identities(), asked, bundle) is asked


def test_a_bundle_that_has_obeyed_knows_a_user_anew(bundle: Bundle) -> None:
    asked, who = Visitors.of([ANNA, BEN, ANNA], 0.0), Identities(forgotten(ANNA))
    strange = introduced(who, asked, bundle)
    assert strange.user_ids[1] == BEN
    assert bundle.recommender.visits(strange).users.tolist() == [NONE] * 3
    assert strange.others is None
    known = introduced(who, asked, obeying(bundle, who.forgotten.name(ANNA)))
    assert known.user_ids.tolist() == [ANNA, BEN, ANNA]


def test_all_of_a_group_stand_for_each_of_them(bundle: Bundle) -> None:
    """Anna → Ben ← Cleo; Dora is alone."""
    who = Identities(merged=Merged.of([one(ANNA, BEN), one(CLEO, BEN, 2)]))
    known = introduced(who, Visitors.of([BEN, DORA, ANNA], 0.0), bundle)
    assert known.user_ids.tolist() == [BEN, DORA, BEN]
    assert others(known) == [[ANNA, CLEO], [], [ANNA, CLEO]]
    visits = bundle.recommender.visits(known)
    assert visits.users.tolist() == [0, NONE, 0], "of them the bundle knows Anna alone"
    assert np.diff(visits.history.shape.offsets).tolist() == [2, 0, 2]


def test_of_a_group_the_forgotten_are_left_out(bundle: Bundle) -> None:
    """As a reader may find it while the group is being forgotten, one name after the other."""
    who = Identities(forgotten(BEN, CLEO), Merged.of([one(ANNA, BEN), one(CLEO, BEN, 2)]))
    known = introduced(who, Visitors.of([BEN], 0.0), bundle)
    assert (known.user_ids.tolist(), others(known)) == ([ANNA], [[]])
    whole = introduced(who, Visitors.of([BEN], 0.0), obeying(bundle, *who.forgotten.names))
    assert (whole.user_ids.tolist(), others(whole)) == ([BEN], [[ANNA, CLEO]])
    all_gone = replace(who, forgotten=forgotten(ANNA, BEN, CLEO))
    assert bundle.recommender.visits(introduced(all_gone, Visitors.of([CLEO], 0.0), bundle)).users.tolist() == [NONE]
