"""Which generators a training learns."""

import pytest

from app.core.errors import InputError
from app.core.settings import Settings
from app.learn.popularity import fit_popularity
from app.learn.recommender import FIT_OF, chosen_fits
from app.learn.session_walk import fit_session_walk
from app.serve.generators import GENERATORS


def test_those_of_the_setting_in_the_order_of_sources() -> None:
    every = [(kind.name, FIT_OF[kind]) for kind in GENERATORS]
    assert list(chosen_fits(Settings()).items()) == every
    two = chosen_fits(Settings(generators="session_walk, popularity,"))
    assert list(two.items()) == [("popularity", fit_popularity), ("session_walk", fit_session_walk)]
    assert list(chosen_fits(Settings(generators=",".join(name for name, _ in every))).items()) == every


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ("popularity,sesion_walk", "there is no sesion_walk; choose from als, covisitation, popularity"),
        ("als,session_walk", "needs popularity, which has a list for everyone"),
        ("", "needs popularity"),
    ],
)
def test_a_wrong_choice_is_one_line_that_names_the_setting(names: str, message: str) -> None:
    with pytest.raises(InputError, match=message) as raised:
        chosen_fits(Settings(generators=names))
    assert "VITRINE_GENERATORS" in str(raised.value)
    assert "\n" not in str(raised.value)
