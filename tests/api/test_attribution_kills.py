"""Attribution by real processes that are killed amid attributed events: nothing is lost, nothing counted twice."""

import random
import threading
import time
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.api.attribution.counter import Folders
from app.core.settings import Settings
from tests.api.client import Server, event, free_port
from tests.api.test_attribution import led_to, outcomes
from tests.stream.shop import until

#: As `vitrine serve`, but that a step of the counting is of a few events and comes at once: kills hit one more often.
IN_SMALL_STEPS = """
from app.api import http
from app.api.attribution import counter
from app.cli import main

http.WRITE_SECONDS, http.COUNT_SECONDS = 0.05, 0.05
counter.SETTLED_SECONDS, counter.MOST_BATCHES, counter.MOST_BYTES = 0.3, 2, 2_000
main()
"""
CLIENTS, KILLS = 3, 3


class Client(threading.Thread):
    """Asks for lists, and buys the first product of each for 1: sent again, to any server, until it is answered."""

    def __init__(self, name: int, ports: list[int]):
        super().__init__()
        self.number, self._ports, self._rng = name, ports, random.Random(name)
        self.stop = threading.Event()
        self.accepted = 0
        self.again = 0

    def run(self) -> None:
        visit = 0
        while not self.stop.is_set():
            visit += 1
            shown = self._ask("/v1/recommendations", {"user_id": self.number, "count": 3})
            bought = {
                "recommendation_id": shown["recommendation_id"],
                "product": shown["products"][0]["product_id"],
                "event_type": "purchase",
                "price": 1,
            }
            receipt = self._ask(
                "/v1/events", event(0, user=self.number, **bought) | {"event_id": f"{self.number}-{visit}"}
            )
            assert receipt["accepted"] + receipt["duplicates"] == 1
            self.accepted += 1
            self.again += receipt["duplicates"]

    def _ask(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        for _ in range(1_000):
            try:
                answer = httpx.post(f"http://127.0.0.1:{self._rng.choice(self._ports)}{path}", json=body, timeout=20)
            except httpx.HTTPError:
                time.sleep(0.05)
                continue
            if answer.is_success:
                return dict(answer.json())
            assert answer.status_code == 503, answer.text
        raise AssertionError("never answered")


def counted(output: Path) -> float:
    """Events that the database has."""
    return sum(outcomes(output).values())


def written_down(output: Path) -> int:
    """Lists in the files of all processes; the last line of a killed one may be cut off."""
    folder = Folders.of(Settings(output=output)).lists
    return sum(path.read_bytes().count(b"\n") for path in folder.glob("*.jsonl"))


@pytest.mark.slow(seconds=60)
@pytest.mark.timeout(600)
def test_every_event_is_counted_once_though_whoever_counts_is_killed(output: Path) -> None:
    ports = [free_port(), free_port()]
    servers = [Server(output, port, IN_SMALL_STEPS).wait() for port in ports]
    clients = [Client(name, ports) for name in range(CLIENTS)]
    for client in clients:
        client.start()
    rng = random.Random(1)
    for _ in range(KILLS):
        before = counted(output)
        until(lambda before=before: counted(output) > before + 5, "counting goes on")
        time.sleep(rng.uniform(0, 0.1))
        for server in servers:  # both: one of them is counting
            server.kill()
        servers = [Server(output, port, IN_SMALL_STEPS) for port in ports]
    for client in clients:
        client.stop.set()
    for client in clients:
        client.join()
    accepted = sum(client.accepted for client in clients)
    until(lambda: counted(output) >= accepted, "all events are counted", 200)
    time.sleep(1)  # some hundred steps more
    for server in servers:
        server.stop()
    found = outcomes(output)
    assert sum(found.values()) == accepted
    assert set(found) <= {("purchase", "attributed"), ("purchase", "unknown_list")}, (
        "a killed server loses its last lists"
    )
    attributed = found["purchase", "attributed"]
    assert attributed > accepted / 2
    lists = led_to(output, "lists")
    assert lists == {
        "answered": written_down(output),
        "clicked": 0,
        "carted": 0,
        "bought": attributed,
        "revenue": attributed,
    }
    places = led_to(output, "places")
    assert (places["bought"], places["revenue"], places["shown"]) == (attributed, attributed, 3 * lists["answered"])
