"""Bundles published under load: a real server takes up one after the other, and nobody notices but by the lists."""

import threading
from collections import Counter
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.api.client import Server
from tests.stream.shop import ANNA, STRANGER, recommender, until, write_bundle

BUNDLES = 4
ASKS: list[dict[str, Any]] = [
    {"user_id": ANNA, "count": 8},
    {"user_id": STRANGER, "count": 8},
    {"session": [{"event_type": "view", "product_id": 120}], "count": 8},
    {"user_id": ANNA, "count": 5, "filters": {"price_max": 20}},
]
Found = dict[str, list[list[str]]]


def lists_of(answers: list[dict[str, Any]]) -> Found:
    """Lists by the version that each says it is of."""
    found: Found = {}
    for answer in answers:
        found.setdefault(answer["model_version"], []).append([one["product_id"] for one in answer["products"]])
    return found


class Client(threading.Thread):
    """Asks for all lists at once and then for each by itself, on one connection, until it is told to stop."""

    def __init__(self, url: str):
        super().__init__()
        self._url, self.stop = url, threading.Event()
        self.faults: list[str] = []
        self.seen: Counter[str] = Counter()
        self.lists: set[tuple[str, str]] = set()  # of a version, of a whole answer

    def run(self) -> None:
        with httpx.Client(base_url=self._url, timeout=60) as client:
            while not self.stop.is_set():
                self._ask(client, "/v1/recommendations/batch", {"requests": ASKS})
                for number, ask in enumerate(ASKS):
                    self._ask(client, "/v1/recommendations", ask, number)

    def _ask(self, client: httpx.Client, path: str, body: dict[str, Any], number: int | None = None) -> None:
        try:
            answer = client.post(path, json=body)
            answers = answer.json()["lists"] if number is None else [answer.json()]
            (version, lists), *others = lists_of(answers).items()
        except (httpx.HTTPError, KeyError) as error:
            self.faults.append(f"{path}: {error!r}")
            return
        if others:
            self.faults.append(f"{path}: of {version} and {others}")
        self.seen[version] += 1
        self.lists.add((version, repr((number, lists))))


@pytest.mark.slow(seconds=15)
@pytest.mark.timeout(600)
def test_no_request_fails_and_none_is_answered_half_from_each(tmp_path: Path) -> None:
    """The products of every second bundle are liked in reverse: of each visit there are two lists, one of each kind."""
    models = tmp_path / "models"
    write_bundle(models, "v0", recommender())
    server = Server(tmp_path).wait()
    clients = [Client(server.url) for _ in range(4)]
    for client in clients:
        client.start()

    def answered(version: str) -> bool:
        return all(client.seen[version] > 10 for client in clients)

    try:
        until(lambda: answered("v0"), "lists of the first")
        for number in range(1, BUNDLES):
            write_bundle(models, f"v{number}", recommender(reverse=number % 2 == 1))
            until(lambda number=number: answered(f"v{number}"), "lists of the next")
    finally:
        for client in clients:
            client.stop.set()
        for client in clients:
            client.join()
        server.stop()
    assert [client.faults for client in clients] == [[]] * 4
    lists = set.union(*(client.lists for client in clients))
    for kind in (0, 1):
        versions = [f"v{number}" for number in range(kind, BUNDLES, 2)]
        of_each = [{text for version, text in lists if version == one} for one in versions]
        assert all(found == of_each[0] for found in of_each), "the same lists whichever bundle of its kind"
        assert len(of_each[0]) == 1 + len(ASKS), "one of all asks, and one of each"
    assert {text for version, text in lists if version == "v0"}.isdisjoint(
        text for version, text in lists if version == "v1"
    )
