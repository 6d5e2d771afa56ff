"""Which bundle a micro-batch gets: the published one, the same at a second try, never a damaged one."""

from pathlib import Path

import pytest

from app.core.errors import BundleError, InputError
from app.core.settings import Settings
from app.registry.in_use import BundleInUse
from app.registry.registry import Registry
from app.stream.champion import KEPT_PINS, Champion
from tests.stream.shop import damage, recommender, write_bundle


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def champion(tmp_path: Path, said: list[str]) -> Champion:
    write_bundle(tmp_path / "models", "a", recommender())
    return again(tmp_path, said)


def again(folder: Path, said: list[str], settings: Settings | None = None) -> Champion:
    """A stream started (once more) over the same folder."""
    (folder / "pins").mkdir(exist_ok=True)
    in_use = BundleInUse(Registry(folder / "models"), settings or Settings(), said.append)
    return Champion(in_use, folder / "pins")


def test_a_bundle_that_means_another_session_or_id_is_refused(
    champion: Champion, tmp_path: Path, said: list[str]
) -> None:
    with pytest.raises(BundleError, match="VITRINE_SESSION_MAX_EVENTS 100, here it is 50"):
        again(tmp_path, said, Settings(session_max_events=50))
    layout = tmp_path / "layout.yaml"
    layout.write_text("columns: {event_time: t, product_id: p, user_id: u}\nevent_type: view\nids: text\n")
    with pytest.raises(BundleError, match="its ids are integers, those of the given layout text"):
        again(tmp_path, said, Settings(layout=layout))


def test_a_published_bundle_is_taken_up_between_micro_batches(
    tmp_path: Path, champion: Champion, said: list[str]
) -> None:
    assert champion.for_batch(0).version == "a"
    write_bundle(tmp_path / "models", "b", recommender(), publish=False)
    assert champion.for_batch(1).version == "a"  # written is not published
    Registry(tmp_path / "models").publish("b")
    assert champion.for_batch(2).version == "b"
    Registry(tmp_path / "models").rollback()
    assert champion.for_batch(3).version == "a"
    assert said == ["bundle b is in use", "bundle a is in use"]


def test_a_second_try_gets_the_first_ones_bundle(tmp_path: Path, champion: Champion, said: list[str]) -> None:
    champion.for_batch(0)
    write_bundle(tmp_path / "models", "b", recommender())
    assert champion.for_batch(0).version == "a"
    restarted = again(tmp_path, said)
    assert restarted.for_batch(0).version == "a"
    assert restarted.for_batch(1).version == "b"


def test_a_damaged_bundle_is_refused_once(tmp_path: Path, champion: Champion, said: list[str]) -> None:
    damage(write_bundle(tmp_path / "models", "b", recommender()))
    assert [champion.for_batch(number).version for number in range(3)] == ["a"] * 3
    assert champion.refused == 1
    assert len(said) == 1
    assert "a stays in use" in said[0]
    write_bundle(tmp_path / "models", "c", recommender())
    assert champion.for_batch(3).version == "c"


@pytest.mark.parametrize("pointer", ["missing\n", "", "../models\n"])
def test_a_damaged_pointer_changes_nothing(pointer: str, tmp_path: Path, champion: Champion) -> None:
    (tmp_path / "models" / "CURRENT").write_text(pointer)
    assert champion.for_batch(0).version == "a"


def test_a_start_with_a_damaged_champion_takes_the_one_before(
    tmp_path: Path, champion: Champion, said: list[str]
) -> None:
    damage(write_bundle(tmp_path / "models", "b", recommender()))
    restarted = again(tmp_path, said)
    assert restarted.for_batch(0).version == "a"
    assert restarted.refused == 1
    assert "bundle refused, a before it is in use" in said[0]
    damage(tmp_path / "models" / "a")
    with pytest.raises(BundleError, match=r"/b: users/history_products\.npy is damaged"):
        again(tmp_path, said)


def test_a_start_without_a_bundle_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="run vitrine train first"):
        again(tmp_path, [])


def test_pins_do_not_pile_up(tmp_path: Path, champion: Champion) -> None:
    for number in range(KEPT_PINS + 20):
        champion.for_batch(number)
    assert len(list((tmp_path / "pins").iterdir())) == KEPT_PINS
