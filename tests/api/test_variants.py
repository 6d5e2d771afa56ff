"""Variants: users are split once and for all, each answered by one bundle; a challenger that fails costs nothing."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.api.variants import split
from app.core.errors import InputError
from app.core.settings import load_settings
from app.registry.registry import Registry
from tests.api.client import Api, event, ids
from tests.api.conftest import MakeApi
from tests.api.test_attribution import answer, count, led_to, post
from tests.stream.shop import damage, recommender, write_bundle

FIRST = {"champion": 100, "challenger": 129}  #: the most popular product of each bundle
USERS = range(3_000, 3_200)  #: strangers to both


@pytest.fixture
def challenger(output: Path) -> Path:
    return write_bundle(output / "models", "b", recommender(reverse=True), publish=False)


def variants(api: Api) -> dict[int, str]:
    """The variant of each user; each list must be of its variant's bundle."""
    requests = [{"user_id": user, "count": 1} for user in USERS]
    found = {}
    for start in range(0, len(requests), 100):
        body = api.post("/v1/recommendations/batch", {"requests": requests[start : start + 100]}).json()
        for one in body["lists"]:
            assert int(one["products"][0]["product_id"]) == FIRST[one["variant"]]
            assert one["model_version"] == {"champion": "a", "challenger": "b"}[one["variant"]]
            found[int(one["user_id"])] = one["variant"]
    return found


@pytest.mark.usefixtures("challenger")
def test_users_are_split_once_and_for_all(make_api: MakeApi) -> None:
    first = variants(make_api(challenger="b", challenger_share=0.3))
    assert variants(make_api(challenger="b", challenger_share=0.3)) == first, "every replica splits alike"
    number = sum(variant == "challenger" for variant in first.values())
    assert 30 <= number <= 90, "200 users, 0.3 of them"
    more = variants(make_api(challenger="b", challenger_share=0.6))
    assert all(more[user] == "challenger" for user, variant in first.items() if variant == "challenger")
    other = variants(make_api(challenger="b", challenger_share=0.3, experiment="another"))
    assert other != first


@pytest.mark.usefixtures("challenger")
def test_all_or_none(make_api: MakeApi) -> None:
    assert set(variants(make_api(challenger="b", challenger_share=1)).values()) == {"challenger"}
    assert set(variants(make_api(challenger="b", challenger_share=0)).values()) == {"champion"}


@pytest.mark.usefixtures("challenger")
def test_what_has_no_user_is_the_champions(make_api: MakeApi) -> None:
    api = make_api(challenger="b", challenger_share=1)
    for path in ("/v1/popular?count=1", "/v1/products/unheard-of/similar?count=1"):
        found = api.get(path)
        assert (found.json()["variant"], ids(found)) == ("champion", [100])
    anonymous = api.post("/v1/recommendations", {"count": 1}).json()
    assert anonymous["variant"] == "champion"
    assert api.get("/v1/users/12.0/recommendations").json()["variant"] == "challenger"


@pytest.mark.usefixtures("challenger")
def test_a_session_counts_for_either(make_api: MakeApi) -> None:
    for share in (0, 1):
        api = make_api(challenger="b", challenger_share=share)
        api.post("/v1/events", event(share, user=3_000, product=120))
        assert 120 not in ids(api.get("/v1/users/3000/recommendations?count=29"))


@pytest.mark.usefixtures("challenger")
def test_what_variants_lead_to_is_counted_apart(make_api: MakeApi, output: Path) -> None:
    api = make_api(challenger="b", challenger_share=0.5, experiment="autumn")
    for number, user in enumerate(USERS[:20]):
        recommendation_id, products = answer(api, user_id=user, count=2)
        post(api, number, recommendation_id, user=user, product=products[0])
    answer(api, count=2)
    count(api)
    of_challenger = led_to(output, "lists", experiment="autumn", variant="challenger", model_version="b")
    of_champion = led_to(output, "lists", experiment="autumn", variant="champion", model_version="a")
    assert of_challenger["answered"] + of_champion["answered"] == 20
    assert min(of_challenger["clicked"], of_champion["clicked"]) > 0
    assert led_to(output, "lists", experiment="")["answered"] == 1, "the one without a user takes no part"


@pytest.mark.parametrize("name", ["z", "../models/b", ".", "a/../b"])
def test_an_unknown_challenger_is_one_line(make_api: MakeApi, name: str) -> None:
    api = make_api(challenger=name, challenger_share=1)
    for _ in range(3):
        api.service.follow_champion()
    (line,) = [line for line in api.said if "challenger" in line]
    assert "has no such bundle; the champion serves all users" in line
    assert set(variants(api).values()) == {"champion"}


def test_a_challenger_that_comes_later_is_taken_up(make_api: MakeApi, output: Path) -> None:
    api = make_api(challenger="b", challenger_share=0.25)
    write_bundle(output / "models", "b", recommender(reverse=True), publish=False)
    for _ in range(2):
        api.service.follow_champion()
    assert [line for line in api.said if "serves" in line][1:] == [
        "challenger b serves 0.25 of the users, experiment b"
    ]
    assert set(variants(api).values()) == {"champion", "challenger"}


def test_a_broken_challenger_is_one_line(make_api: MakeApi, challenger: Path) -> None:
    damage(challenger)
    api = make_api(challenger="b", challenger_share=1)
    for _ in range(3):
        api.service.follow_champion()
    (line,) = [line for line in api.said if "challenger" in line]
    assert line.startswith("challenger refused, the champion serves all users: ")
    assert set(variants(api).values()) == {"champion"}


def test_a_challenger_that_is_published_is_the_champion(make_api: MakeApi, output: Path, challenger: Path) -> None:
    api = make_api(challenger="b", challenger_share=0.5)
    Registry(output / "models").publish("b")
    for _ in range(2):
        api.service.follow_champion()
    assert [line for line in api.said if "challenger" in line][1:] == [
        "challenger b is the champion, and serves all users"
    ]
    found = api.get("/v1/users/3000/recommendations?count=1")
    assert (found.json()["variant"], found.json()["model_version"], ids(found)) == ("champion", "b", [129])


def test_a_training_keeps_the_challenger(tmp_path: Path) -> None:
    for name in "abcde":
        write_bundle(tmp_path, name, recommender())
    assert Registry(tmp_path).prune(1, "b") == ["a", "c"]


@pytest.mark.parametrize("name", ["none", "", "two words", "x" * 65])
def test_a_name_that_cannot_be_one_is_refused(name: str) -> None:
    with pytest.raises(InputError, match="setting experiment"):
        load_settings(experiment=name)


@settings(deadline=None, max_examples=20)
@given(st.text(max_size=20), st.integers(-(2**63), 2**63 - 1))
def test_a_place_is_within_bounds(experiment: str, user: int) -> None:
    assert 0 <= split(experiment, user) < 1


def test_places_are_even() -> None:
    counts: dict[int, int] = {}
    for user in range(10_000):
        tenth = int(split("autumn", user) * 10)
        counts[tenth] = counts.get(tenth, 0) + 1
    assert sorted(counts) == list(range(10))
    assert min(counts.values()) > 880
    assert max(counts.values()) < 1_120
