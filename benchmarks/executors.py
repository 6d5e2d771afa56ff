"""A training on a cluster with 1, 2 and 4 executors: the same figures, and how the work divides.

    python benchmarks/executors.py --executors 1,2,4 --events 250000 --output executors

On the cluster of kind that kubectl's context names; where there is none, one is made, which stays (`kind delete cluster
--name vitrine`). Needs what `make cluster-demo` needs: docker, kubectl, kind, helm. Builds the image, makes a
synthetic log on the volume, and runs the SparkApplication of manifests/sparkapplications/train.yaml once for each
number of executors, one after the other, each into a folder of its own.

Prints, for each number, every executor's tasks, seconds at work, and bytes that its processes read and wrote (sampled
from /proc, pages in the cache included); then how far apart the figures of `run.json` are from the first number's.
Closes with one JSON line: `runs`, a list of {executors, seconds, work}, `sections`, `ndcg_10_apart`. Its exit code is 1
where counts or sums differ by more than rounding, or NDCG@10 by more than `same_figures.py` allows. What was found is
kept in the output folder, with each run.json.
"""

import argparse
import json
import math
import shutil
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from typing import Any

import yaml
from arguments import folder, number, numbers
from same_figures import LEARNED, ROUNDING, Section, of_models, sections, too_far

from tests.e2e.cluster import Cluster, run, until
from tests.e2e.deployment import operator_chart

WANTED = {"Namespace", "PersistentVolumeClaim", "ServiceAccount", "Role", "RoleBinding", "ConfigMap"}
FOLDER = "/data/executors"  #: on the volume
HISTORY = "/data/events/history.synthetic.csv"
ENDED = ("COMPLETED", "FAILED")
IO = "for p in /proc/[0-9]*; do echo $p $(grep -E '^[rw]char' $p/io 2>/dev/null); done"
#: Tasks and milliseconds at work by executor, from Spark's event log.
WORK = """
import json, sys
from collections import Counter
from pathlib import Path
tasks, busy = Counter(), Counter()
for log in Path(sys.argv[1]).iterdir():
    with log.open() as lines:
        for line in lines:
            if line.startswith('{"Event":"SparkListenerTaskEnd"'):
                task = json.loads(line)
                executor = task["Task Info"]["Executor ID"]
                tasks[executor] += 1
                busy[executor] += task.get("Task Metrics", {}).get("Executor Run Time", 0)
print(json.dumps({executor: [tasks[executor], busy[executor]] for executor in sorted(tasks)}))
"""


@dataclass(frozen=True)
class Work:
    """What an executor did: tasks, seconds in them, MB read and written by its processes."""

    executor: str
    tasks: int
    busy_s: float
    read_mb: int
    written_mb: int


@dataclass(frozen=True)
class Ran:
    """A training with so many executors: its seconds from the application's start, and what each of them did."""

    executors: int
    seconds: float
    work: tuple[Work, ...]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--executors", type=numbers, default="1,2,4", help="numbers of executors, separated by commas (%(default)s)"
    )
    parser.add_argument("--events", type=number, default=250_000, help="of the synthetic log (%(default)s)")
    parser.add_argument("--output", type=folder, default="executors", help="work folder (%(default)s)")
    asked = parser.parse_args()
    asked.output.mkdir(parents=True, exist_ok=True)
    shop, objects = Cluster("vitrine"), prepared()
    generate(shop, objects, asked.events)
    runs, figures = [], []
    for many in asked.executors:
        runs.append(train(shop, objects, many))
        text = shop.python(f"print(open('{FOLDER}/{many}/run.json').read())")
        (asked.output / f"run-{many}.json").write_text(text)
        figures.append(json.loads(text))
        show(runs[-1])
    differing = False
    compared, models = {}, {}
    for ran, other in zip(runs, figures, strict=True):
        compared[ran.executors], models[ran.executors] = sections(figures[0], other), of_models(figures[0], other)
        differing |= compare(runs[0].executors, ran.executors, compared[ran.executors], models[ran.executors])
    closing = {
        "synthetic": True,
        "runs": [asdict(ran) for ran in runs],
        "sections": {many: [plain(section) for section in found] for many, found in compared.items()},
        "ndcg_10_apart": models,
    }
    print(json.dumps(closing))
    (asked.output / "executors.json").write_text(json.dumps(closing, indent=1))
    return int(differing)


def plain(section: Section) -> dict[str, Any]:
    """For the closing line: JSON knows nothing infinite."""
    return asdict(section) | {"largest": section.largest if math.isfinite(section.largest) else None}


def prepared() -> list[dict[str, Any]]:
    """A cluster with operator, image, volume and accounts; returns the objects of `manifests/`."""
    if missing := [name for name in ("docker", "kubectl", "kind", "helm") if not shutil.which(name)]:
        sys.exit(f"error: this needs {', '.join(missing)}")
    say("image")
    run("docker", "build", "-t", "vitrine:dev", "-f", "docker/Dockerfile", ".", timeout=1200)
    if subprocess.run(["kubectl", "cluster-info"], capture_output=True, check=False).returncode:
        say("cluster")
        run("kind", "create", "cluster", "--name", "vitrine", timeout=600)
    context = run("kubectl", "config", "current-context").strip()
    if not context.startswith("kind-"):
        sys.exit(f"error: kubectl's context is {context}: this benchmark installs on kind only")
    run("kind", "load", "docker-image", "vitrine:dev", "--name", context.removeprefix("kind-"), timeout=600)
    objects = list(yaml.safe_load_all(run("kubectl", "kustomize", "manifests")))
    for each in sorted(objects, key=lambda each: each["kind"] != "Namespace"):
        each.get("data", {}).pop("VITRINE_INFLUX_URL", None)  # there is no InfluxDB here
        if each["kind"] in WANTED:
            run("kubectl", "apply", "-f", "-", stdin=json.dumps(each))
    # Training and probe name the Secrets of the API and of InfluxDB, of which there is none here.
    run("scripts/api-keys", "vitrine")
    token = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "influxdb-auth"}, "stringData": {"token": "-"}}
    run("kubectl", "-n", "vitrine", "apply", "-f", "-", stdin=json.dumps(token))
    say("Spark operator")
    operator = ("helm", "upgrade", "--install", "spark-operator", *operator_chart(), "--namespace", "spark-operator")
    run(*operator, "--create-namespace", "-f", "charts/spark-operator.yaml", "--wait", timeout=600)
    return objects


def named(objects: list[dict[str, Any]], kind: str, name: str) -> dict[str, Any]:
    """A copy of one object, for changing."""
    found = next(one for one in objects if (one["kind"], one["metadata"]["name"]) == (kind, name))
    return json.loads(json.dumps(found))


def generate(shop: Cluster, objects: list[dict[str, Any]], events: int) -> None:
    """The demo's Job, with a history of so many events."""
    say(f"log of {events:,} events")
    job = named(objects, "Job", "generate")
    job["spec"]["template"]["spec"]["containers"][0]["env"] = [
        {"name": "EVENTS", "value": str(events * 5 // 4)},  # the last fifth lies in the future, for a replay
        {"name": "HISTORY", "value": str(events)},
    ]
    shop.kubectl("delete", "job", "generate", "--ignore-not-found")
    shop.python(f"import os\nif os.path.exists('{HISTORY}'): os.remove('{HISTORY}')")
    shop.apply(job)
    shop.kubectl("wait", "--for=condition=complete", "job/generate", "--timeout=10m", timeout=660)


def train(shop: Cluster, objects: list[dict[str, Any]], many: int) -> Ran:
    """The application of the manifests with so many executors, run to its end."""
    say(f"training with {many} executors")
    application = named(objects, "SparkApplication", "train")
    name, output = f"train-{many}", f"{FOLDER}/{many}"
    application["metadata"]["name"] = name
    spec = application["spec"]
    spec["suspend"] = False
    spec["executor"]["instances"] = many
    spec["sparkConf"] |= {
        "spark.eventLog.enabled": "true",
        "spark.eventLog.dir": f"file:{output}-log",
        "spark.eventLog.rolling.enabled": "false",
        "spark.eventLog.compress": "false",
        # Else small stages may begin, and end, before all executors are there.
        "spark.scheduler.minRegisteredResourcesRatio": "1.0",
    }
    spec["driver"]["env"].append({"name": "VITRINE_OUTPUT", "value": output})  # it counts more than the ConfigMap's
    shop.kubectl("delete", "sparkapplication", name, "--ignore-not-found")
    fresh = (
        "import shutil, os\nfor f in ('{0}', '{0}-log'): shutil.rmtree(f, ignore_errors=True)\nos.makedirs('{0}-log')"
    )
    shop.python(fresh.format(output))
    begun = time.monotonic()
    shop.apply(application)
    moved: dict[str, dict[str, tuple[int, int]]] = {}

    def ended() -> bool:
        sample(shop, name, moved)
        return shop.state(name) in ENDED

    until(f"training with {many} executors", 3000, ended)
    seconds = round(time.monotonic() - begun, 1)
    if shop.state(name) == "FAILED":
        sys.exit(shop.kubectl("logs", f"{name}-driver", "--tail=40", check=False) + f"error: {name} failed, see above")
    found: dict[str, tuple[int, int]] = json.loads(shop.python(WORK, f"{output}-log"))
    return Ran(many, seconds, tuple(work(executor, *did, moved) for executor, did in sorted(found.items())))


def sample(shop: Cluster, name: str, moved: dict[str, dict[str, tuple[int, int]]]) -> None:
    """Bytes that each process of each executor has read and written until now."""
    for pod in shop.executors(name):
        processes = moved.setdefault(pod, {})
        for line in shop.kubectl("exec", pod, "--", "sh", "-c", IO, check=False).splitlines():
            match line.split():
                case [process, "rchar:", read, "wchar:", written]:
                    processes[process] = int(read), int(written)


def work(executor: str, tasks: int, busy_ms: int, moved: dict[str, dict[str, tuple[int, int]]]) -> Work:
    """Of one executor; its pod's name ends in its number."""
    processes = next((found for pod, found in moved.items() if pod.endswith(f"-exec-{executor}")), {})
    read, written = (sum(column) // 2**20 for column in zip(*processes.values(), strict=True)) if processes else (0, 0)
    return Work(executor, tasks, round(busy_ms / 1000, 1), read, written)


def show(ran: Ran) -> None:
    print(f"\n{ran.executors} executors: {ran.seconds:.0f} s")
    print(f"{'executor':>10}{'tasks':>8}{'busy s':>9}{'read MB':>9}{'written MB':>12}")
    for did in ran.work:
        print(f"{did.executor:>10}{did.tasks:>8,}{did.busy_s:>9.1f}{did.read_mb:>9,}{did.written_mb:>12,}")
    sys.stdout.flush()


def compare(first: int, many: int, found: list[Section], models: dict[str, float]) -> bool:
    """Say how far apart two runs are; returns whether by more than they may be."""
    print(f"\n{many} executors beside {first}")
    for section in found:
        largest = f", by {section.largest:.1e} of themselves at most" if section.differing else ""
        print(f"  {section.name:<18}{section.differing:>6,} of {section.figures:,} figures differ{largest}")
    print("  NDCG@10 apart: " + ", ".join(f"{model} {distance:.4f}" for model, distance in models.items()))
    off = [section.name for section in found if section.name not in LEARNED and section.largest > ROUNDING]
    if far := off + too_far(models):
        print(f"  further apart than they may be: {', '.join(far)}")
    return bool(far)


def say(what: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {what} …", file=sys.stderr, flush=True)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except AssertionError as failed:  # of a command, with what it said
        sys.exit(f"error: {failed}")
