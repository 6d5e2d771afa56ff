"""The API follows the champion: no request fails, none is answered half from each, a damaged one is refused."""

import gc
import threading
import weakref
from pathlib import Path

from app.core.settings import Settings
from tests.api.client import Api, ids
from tests.api.conftest import MakeApi
from tests.stream.shop import damage, recommender, until, write_bundle

FIRST = {"a": 100, "b": 129}  #: the most popular product of each bundle


def test_a_new_bundle_is_taken_up(api: Api, output: Path) -> None:
    write_bundle(output / "models", "b", recommender(reverse=True))
    assert api.get("/v1/popular?count=1").json()["model_version"] == "a"
    api.service.follow_champion()
    answer = api.get("/v1/popular?count=1")
    assert (answer.json()["model_version"], ids(answer)) == ("b", [129])
    assert api.get("/health/ready").json()["model_version"] == "b"
    assert api.said[-1] == "bundle b is in use"


def test_no_answer_is_half_from_each_while_bundles_change(api: Api, output: Path) -> None:
    write_bundle(output / "models", "b", recommender(reverse=True), publish=False)
    stop = threading.Event()

    def change() -> None:
        names = ["a", "b"]
        while not stop.is_set():
            names.reverse()
            (output / "models" / "CURRENT").write_text("\n".join(names))
            api.service.follow_champion()

    thread = threading.Thread(target=change)
    thread.start()
    versions = set()
    try:
        for _ in range(15):
            requests = [("POST", "/v1/recommendations/batch", {"requests": [{"count": 1}] * 30})] * 4
            for answer in api.together(requests):
                assert answer.status_code == 200
                lists = answer.json()["lists"]
                (version,) = {one["model_version"] for one in lists}
                assert {int(one["products"][0]["product_id"]) for one in lists} == {FIRST[version]}
                versions.add(version)
    finally:
        stop.set()
        thread.join()
    assert versions == {"a", "b"}


def test_a_damaged_bundle_is_refused(api: Api, output: Path) -> None:
    damage(write_bundle(output / "models", "b", recommender(reverse=True)))
    for _ in range(2):
        api.service.follow_champion()
    assert ids(api.get("/v1/popular?count=1")) == [100]
    assert [line for line in api.said if "bundle refused, a stays in use" in line]
    assert api.metric("vitrine_bundle_refused_total") == 1


def test_one_that_is_refused_as_the_api_starts_is_counted(make_api: MakeApi, output: Path) -> None:
    damage(write_bundle(output / "models", "b", recommender(reverse=True)))
    api = make_api()
    api.service.follow_champion()
    assert api.metric("vitrine_bundle_refused_total") == 1


def test_a_service_that_has_ended_is_let_go_of(output: Path) -> None:
    """With its bundle, whose files it has open: FastAPI remembers the functions of routes for good."""
    with Api(Settings(output=output)) as api:
        for path in ("/health/live", "/health/ready", "/metrics", "/v1/popular", "/docs"):
            assert api.get(path).status_code == 200
        ended = weakref.ref(api.service)
    del api

    def let_go() -> bool:
        gc.collect()
        return ended() is None

    until(let_go, "nothing holds it, not even the thread that made the last answer")
