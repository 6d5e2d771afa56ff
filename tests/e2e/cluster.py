"""What the end-to-end test needs of kubectl: requests, waiting, looking into the volume and InfluxDB."""

import csv
import json
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.e2e.probe import PROBE, Probe

ROOT = Path(__file__).resolve().parents[2]
HEALED = 120  #: seconds a fault may be felt
TOLD = 3  #: seconds of waiting from which on it is told

FLUX = """
import os, sys, urllib.parse, urllib.request
url, org, query = sys.argv[1:]
request = urllib.request.Request(
    f"{url}/api/v2/query?org={urllib.parse.quote(org)}",
    query.encode(),
    {"Authorization": f"Token {os.environ['VITRINE_INFLUX_TOKEN']}", "Content-Type": "application/vnd.flux"},
)
with urllib.request.urlopen(request, timeout=60) as answer:
    print(answer.read().decode())
"""

#: `archived()` gives the files of the archive that count.
ARCHIVED = """
import os
from pathlib import Path
from app.events.archive_names import EPOCHS, without_uncounted
def archived():
    files = [str(path) for path in Path("/data/vitrine/stream/archive").glob("batch*/*.parquet")]
    return without_uncounted(files, lambda archive: os.listdir(f"{archive}/{EPOCHS}"))
"""

CENSUS = (
    ARCHIVED
    + """
import json
import pandas as pd, pyarrow.dataset as ds
landing = Path("/data/vitrine/landing")
played = json.loads(Path("/data/vitrine/stream/replay.json").read_text())["position"]["rows"]
key = ["event_time", "event_type", "product_id", "user_id", "user_session"]
def events(frame):
    return frame[key].assign(event_time=pd.to_datetime(frame.event_time, utc=True).astype("datetime64[us, UTC]"))
replayed = [events(pd.read_csv(path)) for path in landing.glob("replay-*.csv")]
assert sum(map(len, replayed)) == played, "not every played event has landed once"
extra = [events(pd.read_csv(path)) for path in landing.glob("extra-*.csv")]
posted = [events(pd.read_parquet(path)) for path in landing.glob("posted-*.parquet")]
log = pd.concat([*replayed, *extra, *posted], ignore_index=True)
files = archived()
archive = events(ds.dataset(files, format="parquet").to_table().to_pandas()) if files else log.head(0)
sent, kept = (frame.groupby(key, dropna=False).size() for frame in (log, archive))
both = pd.concat([sent, kept], axis=1).fillna(0)
print(json.dumps({
    "sent": len(log), "posted": sum(map(len, posted)), "distinct": len(sent), "archived": len(archive),
    "lost": int((both[0] > both[1]).sum()), "doubled": int((both[0] < both[1]).sum()),
}))
"""
)

LATE_LISTS = """
from pathlib import Path
from app.core.settings import Settings
from app.stream.epoch import marked
from app.stream.folders import StreamFolders
from app.stream.list_files import parts
folders = StreamFolders.of(Settings(output=Path("/data/vitrine")))
epochs = marked(folders)
for folder in (folders.lists, folders.csv):
    print(*(name for number, epoch, name in parts(folder) if epoch != epochs.owner(number)), sep="\\n")
"""


class Cluster:
    """A namespace of the cluster that kubectl's context names."""

    def __init__(
        self, namespace: str, influx: str = "http://influxdb:8086", org: str = "vitrine", bucket: str = "vitrine"
    ):
        self.namespace, self.influx, self.org, self.bucket = namespace, influx, org, bucket
        self._probe: Probe | None = None

    def kubectl(self, *words: str, stdin: str | None = None, check: bool = True, timeout: float = 300) -> str:
        """Run kubectl in the namespace; returns what it printed."""
        return run(*self.command(*words), stdin=stdin, check=check, timeout=timeout)

    def command(self, *words: str) -> tuple[str, ...]:
        """The command line of kubectl in the namespace."""
        return ("kubectl", "-n", self.namespace, *words)

    def get(self, kind: str, name: str | None = None, **labels: str) -> Any:
        """An object, or the list of those with some labels."""
        if name:
            return json.loads(self.kubectl("get", kind, name, "-o", "json"))
        selector = ",".join(f"{key}={value}" for key, value in labels.items())
        return json.loads(self.kubectl("get", kind, "-l", selector, "-o", "json"))["items"]

    def apply(self, document: dict[str, Any]) -> None:
        self.kubectl("apply", "-f", "-", stdin=json.dumps(document))

    def state(self, app: str) -> str:
        """The operator's word for how an application is."""
        return str(self.get("sparkapplication", app).get("status", {}).get("applicationState", {}).get("state", ""))

    def executors(self, app: str) -> list[str]:
        """Names of an application's executor pods that are ready."""
        pods = self.get("pods", **{"spark-role": "executor", "sparkoperator.k8s.io/app-name": app})
        return [pod["metadata"]["name"] for pod in pods if is_ready(pod)]

    def python(self, program: str, *words: str) -> str:
        """Run a program in the probe, which is made when it is first needed."""
        if self._probe is None:
            self.apply(PROBE)
            self.kubectl("wait", "pod/probe", "--for=condition=Ready", "--timeout=120s")
            self._probe = Probe(*self.command("exec", "-i", "probe", "--"))
        return self._probe.run(program, *words)

    def close(self) -> None:
        """Leave the probe."""
        if self._probe is not None:
            self._probe.close()

    def rows(self, query: str) -> list[dict[str, str]]:
        """Rows of a Flux query, all values as text; `BUCKET` stands for the bucket."""
        said = self.python(FLUX, self.influx, self.org, query.replace("BUCKET", self.bucket))
        tables = said.replace("\r", "").strip().split("\n\n")  # an empty line and a header before each schema
        return [row for table in tables for row in csv.DictReader(table.splitlines())]

    def files(self, pattern: str) -> list[str]:
        """Files of the volume."""
        return self.python(f"import glob; print(*sorted(glob.glob({pattern!r})), sep='\\n')").split()

    def census(self) -> dict[str, int]:
        """Events that have landed, by the replay, by the API and by hand, against events archived; the replay must
        stand still.
        """
        return json.loads(self.python(CENSUS))

    def late_lists(self) -> list[str]:
        """Lists of micro-batches that another epoch owns than the one that wrote them."""
        return self.python(LATE_LISTS).split()

    def progress_since(self, moment: float) -> bool:
        """Has a micro-batch that began after a moment written its lists and its point?"""
        since = int(moment * 1e9)
        found = self.rows(
            f'from(bucket: "BUCKET") |> range(start: time(v: {since})) '
            '|> filter(fn: (r) => r._measurement == "stream_progress" and r._field == "lists" and r._value > 0) '
            "|> limit(n: 1)"
        )
        return bool(found)

    def diagnosis(self) -> str:
        """What one wants to see when something did not happen."""
        asked = [
            ("get", "pods,jobs,sparkapplications,pvc", "-o", "wide"),
            ("get", "events", "--sort-by=.lastTimestamp"),
            ("logs", "stream-driver", "-c", "spark-kubernetes-driver", "--tail=40"),
            ("logs", "job/first-training", "--tail=40"),
            ("logs", "-l", "app.kubernetes.io/component=api", "--all-containers", "--prefix", "--tail=40"),
            ("describe", "sparkapplications"),
        ]
        return "\n\n".join(
            f"$ kubectl {' '.join(words)}\n{self.kubectl(*words, check=False)[-6000:]}" for words in asked
        )


def run(*words: str, stdin: str | None = None, check: bool = True, timeout: float = 300) -> str:
    """Run a command in the repository; its output, or an AssertionError with what it said."""
    done = subprocess.run(words, cwd=ROOT, input=stdin, capture_output=True, text=True, timeout=timeout, check=False)
    if check and done.returncode:
        raise AssertionError(
            f"{' '.join(words)}: exit code {done.returncode}\n{done.stdout[-3000:]}{done.stderr[-3000:]}"
        )
    return done.stdout if check else done.stdout + done.stderr


def until(what: str, seconds: float, ask: Callable[[], Any], every: float = 2.0) -> float:
    """Ask until the answer is true; returns the seconds it took, and tells of them where they were many."""
    begun, error = time.monotonic(), None
    while time.monotonic() - begun < seconds:
        try:
            if ask():
                took = time.monotonic() - begun
                if took > TOLD:
                    print(f"  {what}: after {took:.0f} s")
                return took
        except AssertionError as refused:  # what is asked may be down just now: that is what is waited for
            error = refused
        time.sleep(every)
    raise AssertionError(f"{what}: not within {seconds:.0f} s" + (f"\nlast error: {error}" if error else ""))


def is_ready(pod: dict[str, Any]) -> bool:
    conditions = pod["status"].get("conditions", [])
    alive = "deletionTimestamp" not in pod["metadata"]
    return alive and any(one["type"] == "Ready" and one["status"] == "True" for one in conditions)
