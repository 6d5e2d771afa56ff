"""Two SparkApplications on one output: who is at work, faults given to their drivers, and what they must not lose."""

import json
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tests.e2e.api import Load, posted
from tests.e2e.cluster import HEALED, Cluster, until
from tests.e2e.deployment import land

LEADS, WAITS = "waiting for files", "waiting for its end"  # what a stream says that has its output, or has not
TWO = ("stream", "stream-2")  # SparkApplications on one output
#: Sends a signal to the JVM and the Python of a driver: all that there is but tini.
SIGNAL = """
for process in /proc/[0-9]*; do
  if tr '\\0' ' ' <$process/cmdline | grep -qE '^[^ ]*/(java|python[0-9.]*) '; then kill -{} ${{process#/proc/}}; fi
done
"""


def log(shop: Cluster, app: str) -> str:
    """What an application's driver has said; nothing before there is one."""
    return shop.kubectl("logs", f"{app}-driver", "-c", "spark-kubernetes-driver", check=False)


def who_leads_and_waits(shop: Cluster) -> tuple[set[str], set[str]]:
    """Which of two streams have said that they are at work, and which that they wait."""
    said = {name: log(shop, name) for name in TWO}
    leads, waits = ({name for name in TWO if words in said[name]} for words in (LEADS, WAITS))
    return leads, waits


def one_works_and_one_waits(shop: Cluster) -> str:
    """The name of the one at work, once the other is back and waits for it."""

    def settled() -> bool:
        leads, waits = who_leads_and_waits(shop)
        return len(leads) == 1 and leads | waits == {*TWO}

    until("one works and one waits", 3 * HEALED, settled)
    ((at_work,), _) = who_leads_and_waits(shop)
    return at_work


def uid(shop: Cluster, app: str) -> str:
    """Tells a driver's pod from the one that comes after it."""
    return str(shop.get("pod", f"{app}-driver")["metadata"]["uid"])


def cut_off(shop: Cluster, app: str) -> None:
    """Delete a driver by force, and wait until its log can't be taken for that of the next."""
    old = uid(shop, app)
    shop.kubectl("delete", "pod", f"{app}-driver", "--force", "--grace-period=0")
    until("a new driver", HEALED, lambda: uid(shop, app) != old)


def evict(shop: Cluster, app: str) -> None:
    """As `kubectl drain` does."""
    old, pod = uid(shop, app), f"{app}-driver"
    asked = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": pod, "namespace": shop.namespace}}
    place = f"/api/v1/namespaces/{shop.namespace}/pods/{pod}/eviction"
    shop.kubectl("create", "--raw", place, "-f", "-", stdin=json.dumps(asked))
    until("a new driver", HEALED, lambda: uid(shop, app) != old)


@contextmanager
def each_posted_event_once(shop: Cluster) -> Iterator[None]:
    """Work is under way all the while: some events a second are posted, and each is in the archive once at the end."""
    load = Load(shop, readers=0)
    try:
        yield
    finally:
        said = load.stop()
    assert said["faults"] == []
    assert said["events"] > 0
    archived_once(shop, load, said["events"], within=HEALED)


def archived_once(shop: Cluster, load: Load, events: int, within: float) -> None:
    """So many events of a load have landed, and each is in the archive once."""
    until("events of the load are archived", within, lambda: posted(shop, load.session)["archived"] == events)
    assert posted(shop, load.session) == {"landed": events, "doubled": 0, "archived": events}


def goes_on(shop: Cluster) -> None:
    """Events of now lead to lists."""
    since = time.time()
    land(shop)
    until("lists again", HEALED, lambda: shop.progress_since(since))


def to_driver(shop: Cluster, app: str, signal: str) -> None:
    """Pause a driver as a frozen node does, or let it go on."""
    words = ("exec", f"{app}-driver", "-c", "spark-kubernetes-driver", "--", "sh", "-c", SIGNAL.format(signal))
    shop.kubectl(*words)


@contextmanager
def following(shop: Cluster, app: str) -> Iterator[Callable[[], str]]:
    """What a driver has said, once it has ended: also what it says just before this is there to listen."""
    words = shop.command("logs", "-f", f"{app}-driver", "-c", "spark-kubernetes-driver")
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield lambda: process.communicate(timeout=HEALED)[0]
        finally:
            process.terminate()


def healed_after(what: str, begun: float, happened: str = "deleted") -> None:
    took = time.monotonic() - begun
    print(f"{what} {happened}: lists are written again after {took:.0f} s")
    assert took < HEALED
