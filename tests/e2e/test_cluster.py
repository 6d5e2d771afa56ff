"""Vitrine on a real cluster, from nothing to the last fault; run by `tests/e2e/run` (`make e2e`).

The stages build on each other, in the order of the file; on a cluster that has them behind it, single
ones run again: `tests/e2e/run -k driver`. What may go on beside other stages is begun in one and looked
at in a later one. `stage(…)` says how long each takes on a good day, and whether it is of the core, which
always runs (conftest.py).
"""

import json
import os
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import pytest

from tests.e2e.api import FORGOTTEN, Load, ask, hosts, posted, ready, stopping
from tests.e2e.cluster import HEALED, ROOT, Cluster, run, until
from tests.e2e.deployment import land, layer, renamed, retrain, scale, upgrade_operator
from tests.e2e.streams import (
    LEADS,
    TWO,
    WAITS,
    archived_once,
    cut_off,
    each_posted_event_once,
    evict,
    following,
    goes_on,
    healed_after,
    log,
    one_works_and_one_waits,
    to_driver,
    uid,
    who_leads_and_waits,
)
from tests.e2e.users import done, in_use, listed_by_training, lists_of, merge, shown, told_alike, user_of_the_past

pytestmark = [
    pytest.mark.skipif("VITRINE_E2E" not in os.environ, reason="needs a cluster; tests/e2e/run makes one"),
    pytest.mark.timeout(1500),
]
stage = pytest.mark.stage
EVENTS, HISTORY = 45_000, 25_000  # of the shop: the history is trained on, the rest replayed
BROKEN = ("one", "other")  # Jobs of trainings that can't succeed


@pytest.fixture(scope="module")
def shop() -> Iterator[Cluster]:
    cluster = Cluster("vitrine")
    yield cluster
    cluster.close()


@pytest.fixture(scope="module")
def boutique() -> Iterator[Cluster]:
    """A second shop, of other names; it and its namespace are gone at the end."""
    other = Cluster("e2e-boutique", "http://store:8086", "acme", "clicks")
    yield other
    other.close()
    upgrade_operator("-f", "charts/spark-operator.yaml")
    run("kubectl", "delete", "namespace", other.namespace, "--ignore-not-found", "--wait=false")


@pytest.fixture(scope="module")
def changed() -> dict[str, Any]:
    """What one stage hands on to the one that completes it."""
    return {}


@pytest.fixture(scope="module")
def champion(shop: Cluster) -> str:
    """The pointer to the bundle in use, before the trainings that can't succeed."""
    return shop.python("print(open('/data/vitrine/models/CURRENT').read())")


@stage(120, core=True, telling=False)  # how long depends on what images there are
def test_install_from_nothing(shop: Cluster) -> None:
    """The commands of the README bring up everything, and the first training completes."""
    folder = layer(shop.namespace, EVENTS, HISTORY)
    environment = os.environ | {"MANIFESTS": str(folder)}
    done = subprocess.run(["scripts/cluster-demo"], cwd=ROOT, env=environment, text=True, timeout=1400, check=False)
    assert done.returncode == 0, shop.diagnosis()
    assert finished(shop, "first-training") == "Complete"


@stage(5, core=True)
def test_bundle_and_report_are_on_the_volume(shop: Cluster) -> None:
    current = in_use(shop)
    assert f"/data/vitrine/models/{current}/manifest.json" in shop.files("/data/vitrine/models/*/manifest.json")
    page = shop.python("print(open('/data/vitrine/report.html').read())")
    assert "synthetic" in page.lower()


@stage(40, core=True)
def test_stream_writes_lists_and_points(shop: Cluster) -> None:
    """A driver and an executor; files on the volume, points in the chart's InfluxDB."""
    until("stream is running", 300, lambda: shop.state("stream") == "RUNNING" and shop.executors("stream"))
    until("lists on the volume", 180, lambda: shop.files("/data/vitrine/stream/lists/*.parquet"))
    for measurement in ("recommendations", "events", "stream_progress", "quality", "model"):
        until(f"points of {measurement}", 120, partial(points_of, shop, measurement))


@stage(10, core=True)
def test_api_answers_and_a_posted_event_reaches_the_archive(shop: Cluster) -> None:
    """Through the Service, with the Secret's keys: page, lists, a session that counts at once; the stream takes it."""
    assert ask(shop, "GET", "/health/ready").body["status"] == "ready"
    assert "<title>" in ask(shop, "GET", "/").text
    assert ask(shop, "GET", "/v1/popular", key="x" * 16).status == 401
    product, other = (one["product_id"] for one in ask(shop, "GET", "/v1/popular?count=2").body["products"])
    session = f"e2e-{time.time_ns()}"
    event = {"event_id": session, "event_type": "view", "product_id": product, "user_id": 7, "user_session": session}
    for accepted in (1, 0):  # sent again it is taken once, whichever replica has it
        assert ask(shop, "POST", "/v1/events", event).body["accepted"] == accepted
    answer = ask(shop, "POST", "/v1/recommendations", {"user_id": 7, "count": 5}).body
    assert len(answer["products"]) == 5
    assert product not in [one["product_id"] for one in answer["products"]], "the session is not known"
    bought = event | {"event_id": f"{session}-2", "event_type": "purchase", "product_id": other, "price": 9.5}
    assert ask(shop, "POST", "/v1/events", bought).body["accepted"] == 1
    until("both are archived", 60, lambda: posted(shop, session)["archived"] == 2)
    assert posted(shop, session) == {"landed": 2, "doubled": 0, "archived": 2}


@stage(2)
def test_java_starts_from_the_archive_of_classes(shop: Cluster) -> None:
    for pod in ("stream-driver", shop.executors("stream")[0]):
        shop.kubectl("exec", pod, "--", "sh", "-c", "grep -qs spark.jsa /proc/[0-9]*/maps")


@stage(45, core=True)
def test_driver_deleted_by_force(shop: Cluster) -> None:
    """As of a node that is cut off: Kubernetes forgets the pod while its process still runs; a scaled one ends well."""
    old = shop.get("pod", "stream-driver")["metadata"]["uid"]
    begun = time.monotonic()
    shop.kubectl("delete", "pod", "stream-driver", "--force", "--grace-period=0")
    gone = time.time()
    until("a new driver", HEALED, lambda: shop.get("pod", "stream-driver")["metadata"]["uid"] != old)
    until("lists again", HEALED, lambda: shop.progress_since(gone))
    healed_after("driver", begun)


@stage(55, core=True)
def test_executors_scaled_in_the_manifest(shop: Cluster) -> None:
    """`executor.instances` is changed and applied: back from the checkpoint with that many."""
    old, now = shop.get("pod", "stream-driver")["metadata"]["uid"], shop.get("sparkapplication", "stream")
    wanted = 3 - now["spec"]["executor"]["instances"]  # two; one where this stage is run again
    begun = time.monotonic()
    scale(shop, wanted)
    until("a new driver", HEALED, lambda: shop.get("pod", "stream-driver")["metadata"]["uid"] != old)
    restarted = time.time()
    until(f"{wanted} executors", HEALED, lambda: len(shop.executors("stream")) == wanted)
    until("lists again", HEALED, lambda: shop.progress_since(restarted))
    print(f"scaled to {wanted} executors after {time.monotonic() - begun:.0f} s")


@stage(3)
def test_api_is_asked_for_more_replicas_and_replaced_under_load(shop: Cluster, changed: dict[str, Any]) -> None:
    """The autoscaler's least number is changed by hand, and all pods are replaced; seen further down."""
    changed["before"] = ready(shop)
    assert len(changed["before"]) == 2
    changed["load"] = Load(shop)
    shop.kubectl("patch", "hpa", "vitrine-api", "-p", '{"spec": {"minReplicas": 3}}')
    shop.kubectl("rollout", "restart", "deployment/vitrine-api")


@stage(20)
def test_executor_deleted(shop: Cluster) -> None:
    wanted = shop.get("sparkapplication", "stream")["spec"]["executor"]["instances"]
    until("all executors", HEALED, lambda: len(shop.executors("stream")) == wanted)
    before, driver = shop.executors("stream"), shop.get("pod", "stream-driver")["metadata"]["uid"]
    begun = time.monotonic()
    shop.kubectl("delete", "pod", before[0])
    gone = time.time()
    until("a new executor", HEALED, lambda: set(shop.executors("stream")) - set(before))
    until("lists again", HEALED, lambda: shop.progress_since(gone))
    healed_after("executor", begun)
    assert shop.get("pod", "stream-driver")["metadata"]["uid"] == driver


@stage(45)
def test_influxdb_lost_with_its_volume(shop: Cluster) -> None:
    """The stream waits for it, and goes on by itself; `vitrine backfill` writes again what the files know."""
    driver = shop.get("pod", "stream-driver")["metadata"]["uid"]
    begun = time.monotonic()
    shop.kubectl("delete", "pvc", "data-influxdb-0", "--wait=false")  # waits for its pod, which goes next
    shop.kubectl("delete", "pod", "influxdb-0")
    gone = time.time()
    until("points again", HEALED, lambda: shop.progress_since(gone))
    healed_after("InfluxDB", begun)
    assert shop.get("pod", "stream-driver")["metadata"]["uid"] == driver
    assert not any(points_of(shop, name) for name in ("model", "segments"))  # else nothing was lost
    driver_pod = ("stream-driver", "-c", "spark-kubernetes-driver")
    print(shop.kubectl("exec", *driver_pod, "--", "vitrine", "backfill"))
    assert all(points_of(shop, name) for name in ("model", "segments", "events", "quality"))


@stage(10, completes="test_api_is_asked_for_more_replicas_and_replaced_under_load")
def test_api_was_replaced_without_a_failed_request(shop: Cluster, changed: dict[str, Any]) -> None:
    """Three new pods, and nobody has noticed: no request without an answer, none with a 5xx, each event once."""
    if "load" not in changed:
        pytest.skip("the pods were not replaced")
    before, load = changed["before"], changed["load"]
    until("three new pods", 240, lambda: len(ready(shop)) == 3 and not set(ready(shop)) & set(before))
    until("the old ones are gone", 60, lambda: not stopping(shop))
    said = load.stop()
    assert said["faults"] == []
    assert said["lists"] > 50
    archived_once(shop, load, said["events"], within=60)
    shop.kubectl("patch", "hpa", "vitrine-api", "-p", '{"spec": {"minReplicas": 2}}')
    shop.kubectl("scale", "deployment/vitrine-api", "--replicas=2")


@stage(20)
def test_users_are_merged(shop: Cluster, changed: dict[str, Any]) -> None:
    """Asked of one replica: every replica and the stream tell both ids the same from then on, what each has of the
    other's; a training has yet to come.
    """
    visitor = int(time.time())  # a new one, also if the stage runs again
    known = user_of_the_past(shop, visitor)
    before, strange = shown(shop, known), shown(shop, visitor)
    assert before != strange, "the bundle does not know the user"
    bought = {"event_type": "purchase", "price": 9.5, "product_id": before[0], "user_id": visitor}
    assert ask(shop, "POST", "/v1/events", bought).body["accepted"] == 1
    alone = shown(shop, visitor)
    assert alone != strange, "the session is not known"
    until("a list of the visitor", 60, lambda: lists_of(shop, visitor))
    listed = lists_of(shop, visitor)
    receipt = merge(shop, visitor, known, hosts(shop)[0])
    assert done(receipt) == {"sessions and lists of the API", "lists of the stream"}
    one = told_alike(shop, visitor, known)
    assert one != alone, "the history is not the visitor's"
    assert before[0] not in one, "the visitor has bought it"
    view = {"event_type": "view", "product_id": one[0], "user_id": visitor}
    assert ask(shop, "POST", "/v1/events", view).body["accepted"] == 1
    until("a list of the other", 60, lambda: lists_of(shop, known))
    assert lists_of(shop, visitor) <= listed, "the stream lists the visitor"
    changed["merged"] = visitor, known, in_use(shop)


@stage(40)
def test_another_shop_is_installed(shop: Cluster, boutique: Cluster) -> None:
    """Another namespace, releases, organisation and bucket, side by side with the first shop; its training begins."""
    run("kubectl", "create", "namespace", boutique.namespace)
    run("scripts/api-keys", boutique.namespace)
    namespaces = f"spark.jobNamespaces={{{shop.namespace},{boutique.namespace}}}"
    upgrade_operator("--reuse-values", "--set", namespaces, "--wait")
    setup = ["--set", f"setup.organization={boutique.org},setup.bucket={boutique.bucket}"]
    run("helm", "install", "store", "charts/influxdb", "-n", boutique.namespace, *setup)
    source = f"influxdb.url={boutique.influx},influxdb.organization={boutique.org},influxdb.bucket={boutique.bucket}"
    run("helm", "install", "board", "charts/grafana", "-n", boutique.namespace, "--set", source)
    settings = {
        "VITRINE_INFLUX_URL": boutique.influx,
        "VITRINE_INFLUX_ORG": boutique.org,
        "VITRINE_INFLUX_BUCKET": boutique.bucket,
    }
    run("kubectl", "apply", "-k", str(layer(boutique.namespace, 12_000, 9_000, guest=True, **settings)))
    boutique.kubectl("wait", "--for=condition=complete", "job/generate", "--timeout=200s")


@stage(3, core=True)
def test_retraining_begins(shop: Cluster, changed: dict[str, Any]) -> None:
    """From the archive; what becomes of it is asked further down."""
    changed["retrained"] = in_use(shop), shop.get("pod", "stream-driver")["metadata"]["uid"]
    # Synthetic figures move at random; this stage is about the way of a bundle, not about the gate.
    retrain(shop, "retrain-now", VITRINE_FORCE_PUBLISH="true")


@stage(20)
def test_api_pod_killed_under_load(shop: Cluster) -> None:
    """As of a node that is cut off; clients that send again what got no answer lose nothing."""
    before = ready(shop)
    load = Load(shop, tries=10)
    time.sleep(3)
    begun = time.monotonic()
    shop.kubectl("delete", "pod", min(before), "--force", "--grace-period=0")
    until("two pods again", HEALED, lambda: len(ready(shop)) >= 2 and min(before) not in ready(shop))
    print(f"a pod of the API killed: two are ready again after {time.monotonic() - begun:.0f} s")
    said = load.stop()
    assert said["faults"] == []
    until("events of the load are archived", 60, lambda: posted(shop, load.session)["archived"] == said["events"])
    assert posted(shop, load.session)["doubled"] == 0


@stage(80, core=True)
def test_retraining_reaches_the_running_stream(shop: Cluster, changed: dict[str, Any]) -> None:
    """Published; taken up by the same driver."""
    old, driver = changed["retrained"]
    until("the Job has ended", 900, lambda: finished(shop, "retrain-now"), every=5)
    assert finished(shop, "retrain-now") == "Complete", why(shop, "retrain-now")
    new = in_use(shop)
    assert new != old
    query = (
        'from(bucket: "BUCKET") |> range(start: -1h) '
        f'|> filter(fn: (r) => r._measurement == "lists" and r.model_version == "{new}") |> limit(n: 1)'
    )
    if finished(shop, "replay"):  # else what is being played will do: later events would make it late
        land(shop)
    until("lists of the new bundle", HEALED, lambda: shop.rows(query))
    assert shop.get("pod", "stream-driver")["metadata"]["uid"] == driver


@stage(3, completes="test_users_are_merged")
def test_merged_users_are_one_to_a_training(shop: Cluster, changed: dict[str, Any]) -> None:
    """The receipt is done but for the visitor's session, which goes on in the stream's state; no list is for both."""
    visitor, known, before = changed.get("merged", (0, 0, in_use(shop)))
    if before == in_use(shop):
        pytest.skip("no bundle was published since users were merged")
    receipt = merge(shop, visitor, known)
    assert {one["place"] for one in receipt["places"]} - done(receipt) == {"sessions of the stream"}
    told_alike(shop, visitor, known)
    assert {visitor, known} & listed_by_training(shop).keys() == {known}


@stage(60)
def test_two_bundles_are_compared(shop: Cluster) -> None:
    """The one before is the challenger of half the users: both answer, and both lead to clicks and purchases."""
    before = shop.python("print(open('/data/vitrine/models/CURRENT').read().split()[1])").strip()
    environment = (f"VITRINE_CHALLENGER={before}", "VITRINE_CHALLENGER_SHARE=0.5")
    shop.kubectl("set", "env", "deployment/vitrine-api", *environment)
    shop.kubectl("rollout", "status", "deployment/vitrine-api", "--timeout=200s")
    load = Load(shop)
    query = (
        'from(bucket: "BUCKET") |> range(start: -1h) '
        f'|> filter(fn: (r) => r._measurement == "attributed_lists" and r.experiment == "{before}") '
        '|> filter(fn: (r) => r._field == "clicked" or r._field == "bought") |> filter(fn: (r) => r._value > 0) '
        '|> group(columns: ["variant", "_field"]) |> count()'
    )
    until("lists of both are clicked and bought", 120, lambda: len(shop.rows(query)) == 4)
    assert load.stop()["faults"] == []
    shop.kubectl("set", "env", "deployment/vitrine-api", *(f"{name.partition('=')[0]}-" for name in environment))
    shop.kubectl("rollout", "status", "deployment/vitrine-api", "--timeout=200s")


@stage(60, completes="test_another_shop_is_installed")
def test_another_shop_is_served(shop: Cluster, boutique: Cluster) -> None:
    """Its training completes, its stream writes lists to its own bucket, its panels have rows."""
    if not run("kubectl", "get", "namespace", boutique.namespace, "--ignore-not-found"):
        pytest.skip("the other shop was not installed")
    until("first training", 600, lambda: finished(boutique, "first-training"))
    assert finished(boutique, "first-training") == "Complete", boutique.diagnosis()
    query = (
        'from(bucket: "BUCKET") |> range(start: -1h) '
        '|> filter(fn: (r) => r._measurement == "recommendations") |> limit(n: 1)'
    )
    until("points in the other bucket", 300, lambda: boutique.rows(query))
    boutique.kubectl("rollout", "status", "deployment/board", "--timeout=120s")
    with forwarded(boutique, "svc/board", 80) as url:
        panels = json.loads(fetch(f"{url}/check?from=-1h"))
    assert sum(bool(panel.get("rows")) for panel in panels) > len(panels) / 2
    # The namespace goes at the end; till then it takes no time of the other stages.
    boutique.kubectl("delete", "sparkapplication,job,deployment", "-l", "app.kubernetes.io/component", "--wait=false")


@stage(3)
def test_broken_trainings_begin(shop: Cluster, champion: str) -> None:
    """Two in the same second, of a log that is not there; what becomes of them is asked further down."""
    for name in BROKEN:
        retrain(shop, name, VITRINE_EVENTS="/data/no-such-log")


@stage(3)
def test_a_second_stream_begins(shop: Cluster) -> None:
    """A copy of the SparkApplication under another name; what becomes of it is asked further down."""
    shop.apply(renamed(shop.get("sparkapplication", "stream"), "stream-2"))


@stage(1)
@pytest.mark.parametrize(
    ("account", "verb", "resource", "allowed"),
    [
        ("driver", "create", "pods", "yes"),
        ("driver", "watch", "pods", "yes"),
        ("driver", "create", "configmaps", "yes"),
        ("driver", "get", "secrets", "no"),
        ("driver", "delete", "persistentvolumeclaims", "no"),
        ("driver", "create", "sparkapplications.sparkoperator.k8s.io", "no"),
        ("driver", "create", "pods/exec", "no"),
        ("launcher", "create", "sparkapplications.sparkoperator.k8s.io", "yes"),
        ("launcher", "delete", "sparkapplications.sparkoperator.k8s.io", "yes"),
        ("launcher", "get", "pods/log", "yes"),
        ("launcher", "update", "sparkapplications.sparkoperator.k8s.io", "no"),
        ("launcher", "create", "pods", "no"),
        ("launcher", "get", "secrets", "no"),
        ("executor", "list", "pods", "no"),
        ("job", "list", "pods", "no"),
    ],
)
def test_roles_allow_what_is_used_and_nothing_else(
    shop: Cluster, account: str, verb: str, resource: str, allowed: str
) -> None:
    who = f"--as=system:serviceaccount:{shop.namespace}:{account}"
    kind, _, part = resource.partition("/")  # kubectl would take pods/exec for a pod named exec
    words = [verb, kind, *([f"--subresource={part}"] if part else [])]
    assert shop.kubectl("auth", "can-i", *words, who, check=False).split()[-1] == allowed


@stage(2)
def test_no_account_reaches_other_namespaces() -> None:
    for account in ("driver", "launcher", "executor", "job"):
        who = f"--as=system:serviceaccount:vitrine:{account}"
        assert run("kubectl", "-n", "default", "auth", "can-i", "list", "pods", who, check=False).split()[-1] == "no"


@stage(1)
def test_pods_are_locked_down(shop: Cluster) -> None:
    """The namespace enforces `restricted`; beyond it every root file system is read-only."""
    enforced = json.loads(run("kubectl", "get", "namespace", shop.namespace, "-o", "json"))
    assert enforced["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"
    pods = shop.get("pods")
    assert pods
    for pod in pods:
        for container in [*pod["spec"]["containers"], *pod["spec"].get("initContainers", [])]:
            context = container["securityContext"]
            assert context["readOnlyRootFilesystem"] is True, (pod["metadata"]["name"], container["name"])
            assert context["capabilities"]["drop"] == ["ALL"]


@stage(10)
def test_upgrade_keeps_the_secrets(shop: Cluster) -> None:
    def secrets() -> list[dict[str, str]]:
        return [shop.get("secret", name)["data"] for name in ("influxdb-auth", "grafana-auth")]

    before = secrets()
    for chart in ("influxdb", "grafana"):
        run("helm", "upgrade", chart, f"charts/{chart}", "-n", shop.namespace, "--wait", "--timeout", "5m")
    assert secrets() == before


@stage(90, completes="test_a_second_stream_begins")
def test_a_paused_stream_is_replaced_and_ends_as_it_wakes_up(shop: Cluster) -> None:
    """The copy waits, takes over from a driver that stands still, and hands over to it again when it is deleted."""
    if not shop.kubectl("get", "sparkapplication", "stream-2", "--ignore-not-found"):
        pytest.skip("no second stream was begun")
    until("the copy waits", 300, lambda: WAITS in log(shop, "stream-2"))
    with each_posted_event_once(shop):
        goes_on(shop)
        assert LEADS not in log(shop, "stream-2")
        begun = time.monotonic()
        to_driver(shop, "stream", "STOP")
        until("the copy takes over", HEALED, lambda: LEADS in log(shop, "stream-2"))
        goes_on(shop)
        healed_after("the first stream", begun, "paused")
        with following(shop, "stream") as said:
            to_driver(shop, "stream", "CONT")
            assert "has taken over; this one stops" in said()
        until("it waits in its turn", 300, lambda: WAITS in log(shop, "stream"))
        until("lists are of one writer", 30, lambda: not shop.late_lists())
        begun = time.monotonic()
        shop.kubectl("delete", "sparkapplication", "stream-2")
        until("the first is back", HEALED, lambda: LEADS in log(shop, "stream"))
        goes_on(shop)
        healed_after("the copy", begun)


@stage(50)
def test_two_streams_start_at_once(shop: Cluster) -> None:
    """One works and the other waits, whichever it is."""
    first = shop.get("sparkapplication", "stream")
    shop.kubectl("delete", "sparkapplication", *TWO, "--ignore-not-found")
    for name in TWO:
        shop.kubectl("wait", f"pod/{name}-driver", "--for=delete", "--timeout=120s", check=False)
    shop.apply({"apiVersion": "v1", "kind": "List", "items": [renamed(first, name) for name in TWO]})
    at_work = one_works_and_one_waits(shop)
    goes_on(shop)
    print(f"of two streams started at once {at_work} is at work")


@stage(190)
def test_each_of_two_streams_is_killed_paused_and_evicted(shop: Cluster) -> None:
    """Whichever it is, at work or waiting: one of the two is at work, and the one that is to stay is in the end."""
    if not shop.kubectl("get", "sparkapplication", "stream-2", "--ignore-not-found"):
        shop.apply(renamed(shop.get("sparkapplication", "stream"), "stream-2"))
    with each_posted_event_once(shop):
        leader = one_works_and_one_waits(shop)
        (waiting,) = {*TWO} - {leader}
        to_driver(shop, waiting, "STOP")  # a node of one that waits is frozen, and meanwhile the other's is gone
        cut_off(shop, leader)
        until("the leader is back", 2 * HEALED, lambda: LEADS in log(shop, leader))
        to_driver(shop, waiting, "CONT")
        goes_on(shop)
        assert LEADS not in log(shop, waiting)
        working = uid(shop, leader)
        cut_off(shop, waiting)  # nobody minds
        until("it waits again", 300, lambda: WAITS in log(shop, waiting))
        goes_on(shop)
        assert uid(shop, leader) == working
        to_driver(shop, leader, "STOP")  # killed while it is paused: it never wakes up
        begun = time.monotonic()
        cut_off(shop, leader)
        until("one is at work", HEALED, lambda: who_leads_and_waits(shop)[0])
        goes_on(shop)
        healed_after(leader, begun, "killed while paused")
        evict(shop, one_works_and_one_waits(shop))  # as when its node is drained: it says goodbye
        at_work = one_works_and_one_waits(shop)
        goes_on(shop)
        print(f"evicted: {at_work} is at work")
        shop.kubectl("delete", "sparkapplication", "stream-2")
        until("the first has the output", 2 * HEALED, lambda: LEADS in log(shop, "stream"))
        goes_on(shop)
        until("lists are of one writer", 30, lambda: not shop.late_lists())


@stage(5, completes="test_broken_trainings_begin")
def test_broken_trainings_end(shop: Cluster, champion: str) -> None:
    """One runs and says why it fails, the other gives way and says so; the bundle in use stays."""
    if not shop.kubectl("get", "jobs", *BROKEN, "--ignore-not-found"):
        pytest.skip("the trainings were not started")
    until("both Jobs have ended", 400, lambda: all(finished(shop, name) == "Failed" for name in BROKEN))
    reasons = [why(shop, name) for name in BROKEN]
    assert sum("is still running" in reason for reason in reasons) == 1, reasons
    assert sum("/data/no-such-log" in reason for reason in reasons) == 1, reasons
    assert shop.python("print(open('/data/vitrine/models/CURRENT').read())") == champion


@stage(40, core=True)
def test_every_event_is_there_once(shop: Cluster) -> None:
    """After all faults: archive and counts hold what was played, each event once."""
    shop.kubectl("delete", "sparkapplication", "stream-2", "--ignore-not-found")  # where there was no time for its end
    shop.kubectl("delete", "job", "replay", "--ignore-not-found", "--cascade=foreground", "--timeout=120s")
    until("all are archived", HEALED, lambda: shop.census()["lost"] == 0)
    census = shop.census()
    print(census)
    assert (census["lost"], census["doubled"]) == (0, 0)
    query = (
        'from(bucket: "BUCKET") |> range(start: 2019-01-01T00:00:00Z) '
        '|> filter(fn: (r) => r._measurement == "events" and r._field == "events") |> group() |> sum()'
    )
    until("all are counted", HEALED, lambda: int(shop.rows(query)[0]["_value"]) == census["distinct"])


@stage(60)
def test_a_user_is_forgotten(shop: Cluster) -> None:
    """By all replicas at once, in lists and points within seconds; the receipt says what is not done yet.

    After the census, which would miss the user's events once they are cut out of the archive.
    """
    product = ask(shop, "GET", "/v1/popular?count=1").body["products"][0]["product_id"]
    event = {"event_id": f"forgotten-{time.time_ns()}", "event_type": "view", "product_id": product}
    assert ask(shop, "POST", "/v1/events", event | {"user_id": FORGOTTEN}).body["accepted"] == 1
    points = (
        'from(bucket: "BUCKET") |> range(start: -1h) |> filter(fn: (r) => r._measurement == "recommendations") '
        f'|> filter(fn: (r) => r._field == "user_id" and r._value == {FORGOTTEN})'
    )
    until("points of the user's list", 120, lambda: shop.rows(points))
    assert lists_of(shop, FORGOTTEN) > 0
    assert shown(shop, FORGOTTEN) != shown(shop, FORGOTTEN + 1), "the session is not known"
    receipt = ask(shop, "DELETE", f"/v1/users/{FORGOTTEN}").body
    assert not receipt["done"]
    for _ in range(6):  # whichever replica answers
        assert shown(shop, FORGOTTEN) == shown(shop, FORGOTTEN + 1)
    until("no point names the user", 60, lambda: not shop.rows(points))
    until("no list is the user's", 60, lambda: lists_of(shop, FORGOTTEN) == 0)
    places = {one["place"]: one for one in ask(shop, "GET", f"/v1/users/{FORGOTTEN}").body["places"]}
    assert places["sessions and lists of the API"]["done"]
    assert {name for name in ("log of posted events", "archive", "InfluxDB") if places[name]["done"]} == set()


#: Panels that only `test_two_bundles_are_compared` is sure to fill, for which there may have been no time.
OF_TWO_BUNDLES = {
    *(
        f"{rate}{what}"
        for rate in ("Click-through", "Conversion")
        for what in (" by variant", ": challenger against champion")
    ),
    "Events that name a list",
}


@stage(10)
def test_grafana_has_rows_for_every_panel_as_it_opens(shop: Cluster) -> None:
    """Each dashboard at its own time range."""
    boards = [json.loads(path.read_text()) for path in (ROOT / "grafana/dashboards").glob("*.json")]
    panels = []
    with forwarded(shop, "svc/grafana", 80) as url:
        assert json.loads(fetch(f"{url}/api/health"))["database"] == "ok"
        for board in boards:
            since = board["time"]["from"].removeprefix("now")
            panels += json.loads(fetch(f"{url}/check?uid={board['uid']}&from={since}"))
    compared = (
        'from(bucket: "BUCKET") |> range(start: -1h) '
        '|> filter(fn: (r) => r._measurement == "attributed_lists" and r.variant == "challenger") |> limit(n: 1)'
    )
    without_rows = set() if shop.rows(compared) else OF_TWO_BUNDLES
    empty = [panel for panel in panels if not panel.get("rows") and panel["panel"] not in without_rows]
    print(f"{len(panels)} queries of panels and variables")
    assert panels
    assert not empty


def points_of(shop: Cluster, measurement: str) -> list[dict[str, str]]:
    """Some points of a measurement."""
    return shop.rows(
        'from(bucket: "BUCKET") |> range(start: 2019-01-01T00:00:00Z) '
        f'|> filter(fn: (r) => r._measurement == "{measurement}") |> limit(n: 1)'
    )


def finished(shop: Cluster, job: str) -> str | None:
    """Complete or Failed, None while a Job runs."""
    conditions = shop.get("job", job).get("status", {}).get("conditions", [])
    ends = [one["type"] for one in conditions if one["type"] in ("Complete", "Failed") and one["status"] == "True"]
    return ends[0] if ends else None


def why(shop: Cluster, job: str) -> str:
    """What the Job's pod says about its end."""
    pods = shop.get("pods", **{"batch.kubernetes.io/job-name": job})
    return str(pods[-1]["status"]["containerStatuses"][0]["state"]["terminated"].get("message", ""))


@contextmanager
def forwarded(shop: Cluster, target: str, port: int) -> Iterator[str]:
    """A service, as an address on this machine."""
    words = shop.command("port-forward", target, f":{port}")
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            line = process.stdout.readline()  # Forwarding from 127.0.0.1:40123 -> 3000
            yield f"http://127.0.0.1:{line.split('127.0.0.1:')[1].split()[0]}"
        finally:
            process.terminate()


def fetch(url: str) -> str:
    try:
        with urllib.request.urlopen(url, timeout=120) as answer:
            return answer.read().decode()
    except urllib.error.HTTPError as error:  # 424 of /check: its body says which panel has no rows
        return error.read().decode()
