"""The API in the cluster: asked from a pod beside it, one request after the other or as a lasting load."""

import json
import subprocess
import uuid
from dataclasses import dataclass
from typing import Any

from tests.e2e.cluster import ARCHIVED, Cluster, is_ready

API = {"app.kubernetes.io/component": "api"}

FORGOTTEN = 880_001  #: a user of no shop, who comes to be forgotten

#: `call` gives status and answer of a request, on a connection of its own.
CALL = (
    f"FORGOTTEN = {FORGOTTEN}"
    + """
import http.client, json, os, sys, threading, time, uuid
WRITTEN = ("/v1/events", "/v1/users/merge", f"/v1/users/{FORGOTTEN}")
def call(method, path, body=None, key=None, host="vitrine-api"):
    connection = http.client.HTTPConnection(host, timeout=20)
    try:
        key = key or os.environ["WRITE_KEY" if path in WRITTEN or method == "DELETE" else "READ_KEY"]
        headers = {"Content-Type": "application/json", "Authorization": f"Bearer {key}"}
        connection.request(method, path, None if body is None else json.dumps(body), headers)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    finally:
        connection.close()
"""
)

ASK = CALL + "print(json.dumps(call(*json.loads(sys.argv[1]))))"

#: Some clients ask for lists, one posts what twenty users do with theirs, until a line comes on standard input; what is
#: left without an answer or has a 5xx is sent again as often as it is told.
LOAD = (
    CALL
    + """
tries, session, readers = int(sys.argv[1]), sys.argv[2], int(sys.argv[3])
stop, said, faults = threading.Event(), {"lists": 0, "events": 0, "again": 0}, []
def send(kind, method, path, body):
    for number in range(tries):
        try:
            status, answer = call(method, path, body)
            if status < 400:
                said[kind] += 1
                return json.loads(answer)
            fault = f"{status} {answer}"
            if status < 500:
                break
        except (OSError, http.client.HTTPException) as error:
            fault = f"{type(error).__name__}: {error}"
        if number + 1 < tries:
            said["again"] += 1
            time.sleep(0.5)
    faults.append(f"{kind}: {fault}")
def lists(user):
    while not stop.is_set():
        send("lists", "POST", "/v1/recommendations", {"user_id": user})
        time.sleep(0.1)
def events():
    number = 0
    while not stop.is_set():
        number, user = number + 1, 1 + number % 20
        shown = send("lists", "POST", "/v1/recommendations", {"user_id": user, "count": 3})
        if shown is not None:
            names = {"user_session": session, "recommendation_id": shown["recommendation_id"]}
            done = {"event_type": "purchase", "price": 9.5} if number % 3 == 0 else {"event_type": "view"}
            event = {"event_id": str(uuid.uuid4()), "product_id": shown["products"][0]["product_id"], "user_id": user}
            send("events", "POST", "/v1/events", event | names | done)
        time.sleep(0.2)
clients = [threading.Thread(target=lists, args=(512 + number,)) for number in range(readers)]
clients.append(threading.Thread(target=events))
for client in clients: client.start()
sys.stdin.readline()
stop.set()
for client in clients: client.join()
print(json.dumps(said | {"faults": faults}))
"""
)

#: Events of a session: ids that lie in the landing folder, ids among them that are there twice, rows of the archive.
POSTED = (
    ARCHIVED
    + """
import json, sys
from collections import Counter
import pandas as pd, pyarrow.dataset as ds
files = [pd.read_parquet(path) for path in Path("/data/vitrine/landing").glob("posted-*.parquet")]
landed = pd.concat(files) if files else pd.DataFrame({"user_session": [], "event_id": []})
ids = Counter(landed[landed.user_session == sys.argv[1]].event_id)
rows = ds.dataset(archived(), format="parquet").count_rows(filter=ds.field("user_session") == sys.argv[1])
print(json.dumps({"landed": len(ids), "doubled": sum(count > 1 for count in ids.values()), "archived": rows}))
"""
)


@dataclass(frozen=True)
class Answer:
    """What the API said."""

    status: int
    text: str

    @property
    def body(self) -> Any:
        return json.loads(self.text)


def ask(
    shop: Cluster, method: str, path: str, body: Any = None, key: str | None = None, host: str = "vitrine-api"
) -> Answer:
    """One request through the Service, or to one of `hosts`, with the right key unless one is given."""
    return Answer(*json.loads(shop.python(ASK, json.dumps([method, path, body, key, host]))))


def hosts(shop: Cluster) -> list[str]:
    """Where each pod of the API that is ready can be asked by itself."""
    return [f"{pod['status']['podIP']}:8000" for pod in shop.get("pods", **API) if is_ready(pod)]


def ready(shop: Cluster) -> dict[str, str]:
    """Pods of the API that are ready, and of which ReplicaSet each is."""
    pods = shop.get("pods", **API)
    return {pod["metadata"]["name"]: pod["metadata"]["labels"]["pod-template-hash"] for pod in pods if is_ready(pod)}


def stopping(shop: Cluster) -> list[str]:
    """Pods of the API that are told to end."""
    return [pod["metadata"]["name"] for pod in shop.get("pods", **API) if "deletionTimestamp" in pod["metadata"]]


def posted(shop: Cluster, session: str) -> dict[str, int]:
    """What became of the events that were posted with a session."""
    found: dict[str, int] = json.loads(shop.python(POSTED, session))
    return found


class Load:
    """Clients that ask for lists and post events from a pod beside the API, until `stop`.

    Parameters
    ----------
    shop
        Whose API.
    tries
        How often a request is sent that gets no answer or a 5xx.
    readers
        Clients that do nothing but ask for lists, each some ten times a second.
    """

    def __init__(self, shop: Cluster, tries: int = 1, readers: int = 2):
        self.session = f"load-{uuid.uuid4()}"
        shop.python("")  # the probe is there
        shop.kubectl("exec", "-i", "probe", "--", "tee", "/tmp/load.py", stdin=LOAD)
        self._process = subprocess.Popen(
            shop.command("exec", "-i", "probe", "--", "python", "/tmp/load.py", str(tries), self.session, str(readers)),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def stop(self) -> dict[str, Any]:
        """End it; requests answered by kind, how many were sent again, and what went wrong."""
        said, wrong = self._process.communicate("stop\n", timeout=60)
        assert self._process.returncode == 0, wrong
        found: dict[str, Any] = json.loads(said)
        print(f"load: {found}")
        return found
