"""The launcher, against an API that behaves as the real one: names, conflicts, refusals, outages."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from click.testing import CliRunner
from kubernetes.client import ApiException
from urllib3.exceptions import MaxRetryError

from app.core.errors import InputError, VitrineError
from app.jobs import retrain
from app.jobs.launcher import SETTLED, TEMPLATE_LABEL, Launcher, Owner, from_template, reason_in, refusal

NOW = datetime(2026, 11, 23, 3, 30, tzinfo=UTC)
TEMPLATE: dict[str, Any] = {
    "metadata": {"name": "train", "labels": {"app.kubernetes.io/component": "training"}, "uid": "t"},
    "spec": {
        "suspend": True,
        "image": "vitrine:7",
        "driver": {"memory": "1g", "env": [{"name": "VITRINE_SEED", "value": "1"}, {"name": "OTHER", "value": "x"}]},
    },
    "status": {"applicationState": {"state": "SUSPENDED"}},
}


class FakeApi:
    """CustomObjectsApi and CoreV1Api over a dictionary; `faults` are raised by the next requests."""

    def __init__(self) -> None:
        self.apps: dict[str, dict[str, Any]] = {}
        self.faults: list[Exception] = []
        self.after_create: Callable[[str], None] = lambda name: None
        self.lose_answer = False
        self.log = "clean …\nerror: no such path: /data/x\nlast line\n"
        self.clock = 0
        self.add(TEMPLATE)

    def add(self, app: dict[str, Any]) -> None:
        app = json.loads(json.dumps(app))
        self.clock += 1
        app["metadata"].setdefault("creationTimestamp", f"2026-11-23T03:00:{self.clock:02d}Z")
        self.apps[app["metadata"]["name"]] = app

    def _ask(self) -> None:
        if self.faults:
            raise self.faults.pop(0)

    def create_namespaced_custom_object(self, *words: Any, **_: Any) -> None:
        self._ask()
        app = words[-1]
        name = app["metadata"]["name"]
        if name in self.apps:
            raise ApiException(409, "Conflict")
        self.add(app)
        self.after_create(name)
        if self.lose_answer:
            self.lose_answer = False
            raise MaxRetryError(None, "/", "connection reset")

    def get_namespaced_custom_object(self, *words: Any, **_: Any) -> dict[str, Any]:
        self._ask()
        if words[-1] not in self.apps:
            raise api_error(404, f'sparkapplications "{words[-1]}" not found')
        return self.apps[words[-1]]

    def list_namespaced_custom_object(self, *words: Any, **_: Any) -> dict[str, Any]:
        self._ask()
        return {"items": list(self.apps.values())}

    def delete_namespaced_custom_object(self, *words: Any, **_: Any) -> None:
        self._ask()
        if self.apps.pop(words[-1], None) is None:
            raise ApiException(404, "Not Found")

    def read_namespaced_pod_log(self, pod: str, namespace: str, **_: Any) -> str:
        self._ask()
        return self.log


def api_error(status: int, message: str) -> ApiException:
    error = ApiException(status, "Reason")
    error.body = json.dumps({"kind": "Status", "message": message}, separators=(",", ":"))
    return error


def training(name: str, state: str) -> dict[str, Any]:
    return {
        "metadata": {"name": name, "labels": {TEMPLATE_LABEL: "train"}},
        "spec": {"suspend": False},
        "status": {"applicationState": {"state": state}},
    }


@pytest.fixture
def api() -> FakeApi:
    return FakeApi()


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def slept() -> list[float]:
    return []


@pytest.fixture
def launcher(api: FakeApi, said: list[str], slept: list[float]) -> Launcher:
    return Launcher(api, api, "shop", said.append, slept.append)


def states(api: FakeApi, name: str, *following: str) -> Callable[[float], None]:
    """A sleep in which the operator moves an application on."""
    left = list(following)

    def sleep(_: float) -> None:
        api.apps[name]["status"] = {
            "applicationState": {"state": left.pop(0)},
            "driverInfo": {"podName": f"{name}-driver"},
        }

    return sleep


def test_a_training_is_the_template_set_free() -> None:
    app = from_template(TEMPLATE, "train-1", {"VITRINE_SEED": "9", "VITRINE_EVENTS": "/a"}, Owner("pod", "uid-1"))
    assert app["metadata"]["name"] == "train-1"
    assert app["metadata"]["labels"] == {"app.kubernetes.io/component": "training", TEMPLATE_LABEL: "train"}
    assert app["metadata"]["ownerReferences"] == [{"apiVersion": "v1", "kind": "Pod", "name": "pod", "uid": "uid-1"}]
    assert app["spec"]["suspend"] is False
    assert app["spec"]["image"] == "vitrine:7"
    assert app["spec"]["driver"]["env"] == [
        {"name": "OTHER", "value": "x"},
        {"name": "VITRINE_EVENTS", "value": "/a"},
        {"name": "VITRINE_SEED", "value": "9"},
    ]
    assert TEMPLATE["spec"]["suspend"] is True, "the template itself stays as it is"


def test_names_are_unique_and_short(api: FakeApi, launcher: Launcher) -> None:
    first = launcher.create("train", {}, None, NOW)
    api.apps[first]["status"] = {"applicationState": {"state": "COMPLETED"}}
    second = launcher.create("train", {}, None, NOW)
    assert first != second
    assert first.startswith("train-20261123-033000-")
    api.add(TEMPLATE | {"metadata": {"name": "t" * 60}})
    api.apps[second]["status"] = {"applicationState": {"state": "COMPLETED"}}
    assert len(launcher.create("t" * 60, {}, None, NOW)) + len("-ui-svc") <= 63


def test_following_to_the_end(api: FakeApi, said: list[str]) -> None:
    name = Launcher(api, api, "shop", said.append, lambda _: None).create("train", {}, None, NOW)
    Launcher(api, api, "shop", said.append, states(api, name, "SUBMITTED", "RUNNING", "RUNNING", "COMPLETED")).follow(
        name
    )
    assert said == [f"{name}: {state}" for state in ("NEW", "SUBMITTED", "RUNNING", "COMPLETED")]


def test_a_failure_tells_the_driver_s_reason(api: FakeApi, said: list[str]) -> None:
    name = Launcher(api, api, "shop", said.append, lambda _: None).create("train", {}, None, NOW)
    launcher = Launcher(api, api, "shop", said.append, states(api, name, "RUNNING", "FAILED"))
    with pytest.raises(VitrineError, match=rf"{name} failed: no such path: /data/x$"):
        launcher.follow(name)
    assert said[-1] == "  last line"


def test_a_failure_without_a_log_tells_the_operator_s_reason(api: FakeApi, launcher: Launcher) -> None:
    api.add(training("train-x", "FAILED"))
    api.apps["train-x"]["status"]["applicationState"]["errorMessage"] = "failed to run spark-submit\nmore"
    with pytest.raises(VitrineError, match=r"train-x failed: failed to run spark-submit$"):
        launcher.follow("train-x")


def test_a_log_that_is_gone_does_not_hide_the_failure(api: FakeApi, launcher: Launcher, said: list[str]) -> None:
    api.add(training("train-x", "FAILED"))
    api.apps["train-x"]["status"]["driverInfo"] = {"podName": "train-x-driver"}

    def refuse(*_: Any, **__: Any) -> str:
        raise api_error(404, 'pods "train-x-driver" not found')

    api.read_namespaced_pod_log = refuse
    with pytest.raises(VitrineError, match="train-x failed: no reason given"):
        launcher.follow("train-x")
    assert "not found" in said[-1]


def test_of_two_that_start_at_once_one_gives_way(api: FakeApi, launcher: Launcher) -> None:
    """Both are made before either looks: the older goes on, the younger takes itself back."""
    names = []

    def another(name: str) -> None:
        api.after_create = lambda name: None
        with pytest.raises(VitrineError, match=f"training {name} is still running"):
            launcher.create("train", {}, None, NOW)
        names.append(name)

    api.after_create = another
    assert launcher.create("train", {}, None, NOW) == names[0]
    assert set(api.apps) == {"train", names[0]}


def test_of_two_made_in_one_second_one_gives_way(
    api: FakeApi, launcher: Launcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second is made after the first, and by its name counts as the older."""
    tokens = iter(["ffff", "0000"])
    monkeypatch.setattr("app.jobs.launcher.secrets.token_hex", lambda _: next(tokens))
    api.add = lambda app: api.apps.update(
        {app["metadata"]["name"]: app | {"metadata": app["metadata"] | {"creationTimestamp": "2026-11-23T03:30:00Z"}}}
    )
    second: list[str] = []

    def meanwhile(_: float) -> None:
        second.append(launcher.create("train", {}, None, NOW))

    with pytest.raises(VitrineError, match="0000 is still running"):
        Launcher(api, api, "shop", print, meanwhile).create("train", {}, None, NOW)
    assert set(api.apps) == {"train", *second}


@pytest.mark.parametrize("state", ["", "SUBMITTED", "RUNNING", "PENDING_RERUN", "SUCCEEDING", "FAILING", "UNKNOWN"])
def test_a_running_training_keeps_others_away(api: FakeApi, launcher: Launcher, state: str) -> None:
    api.add(training("train-old", state))
    with pytest.raises(VitrineError, match="train-old is still running"):
        launcher.create("train", {}, None, NOW)
    assert set(api.apps) == {"train", "train-old"}


def test_the_template_s_own_run_keeps_others_away(api: FakeApi, launcher: Launcher) -> None:
    """The first training is the template set free."""
    api.apps["train"]["spec"]["suspend"] = False
    api.apps["train"]["status"] = {"applicationState": {"state": "RUNNING"}}
    with pytest.raises(VitrineError, match="training train is still running"):
        launcher.create("train", {}, None, NOW)


@pytest.mark.parametrize("state", ["COMPLETED", "FAILED"])
def test_a_finished_training_is_in_nobody_s_way(api: FakeApi, launcher: Launcher, state: str) -> None:
    api.add(training("train-old", state))
    assert launcher.create("train", {}, None, NOW) in api.apps


def test_other_applications_are_in_nobody_s_way(api: FakeApi, launcher: Launcher) -> None:
    api.add({"metadata": {"name": "stream"}, "spec": {}, "status": {"applicationState": {"state": "RUNNING"}}})
    assert launcher.create("train", {}, None, NOW) in api.apps


def test_old_trainings_are_deleted(api: FakeApi, launcher: Launcher) -> None:
    for number, state in enumerate(["COMPLETED", "FAILED", "COMPLETED", "RUNNING", "COMPLETED"]):
        api.add(training(f"train-{number}", state))
    assert launcher.prune("train", 2) == ["train-0", "train-1"]
    assert set(api.apps) == {"train", "train-2", "train-3", "train-4"}
    assert launcher.prune("train", 0) == ["train-2", "train-4"]
    assert set(api.apps) == {"train", "train-3"}


@pytest.mark.parametrize(
    "fault",
    [
        ApiException(500, "Internal Server Error"),
        ApiException(429, "Too Many Requests"),
        MaxRetryError(None, "/", "refused"),
    ],
)
def test_an_api_that_does_not_answer_is_asked_again(
    api: FakeApi, launcher: Launcher, slept: list[float], fault: Exception
) -> None:
    api.faults = [fault, fault, fault]
    assert launcher.create("train", {}, None, NOW) in api.apps
    assert slept == [1, 2, 4, SETTLED]


def test_an_answer_that_was_lost_makes_no_second_training(api: FakeApi, launcher: Launcher) -> None:
    api.lose_answer = True
    name = launcher.create("train", {}, None, NOW)
    assert set(api.apps) == {"train", name}


def test_an_api_that_never_answers_is_given_up(api: FakeApi, launcher: Launcher, slept: list[float]) -> None:
    api.faults = [ApiException(503, "Service Unavailable")] * 20
    with pytest.raises(VitrineError, match="the Kubernetes API does not answer \\(503 Service Unavailable\\)"):
        launcher.prune("train", 1)
    assert sum(slept) == 121


def test_a_refusal_is_told_at_once(api: FakeApi, launcher: Launcher, slept: list[float]) -> None:
    api.faults = [api_error(403, 'sparkapplications is forbidden: User "x" cannot get')]
    with pytest.raises(InputError, match=r"train in namespace shop: sparkapplications is forbidden.*\(403\)"):
        launcher.create("train", {}, None, NOW)
    assert not slept


def test_a_missing_template_is_told(launcher: Launcher) -> None:
    with pytest.raises(InputError, match=r'SparkApplication nope in namespace shop: .*"nope.*not found'):
        launcher.create("nope", {}, None, NOW)


def test_reasons() -> None:
    assert reason_in("error: first\nx\nerror: second\n error: not this\n") == "second"
    assert reason_in("nothing here") is None
    plain = ApiException(422, "Unprocessable Entity")
    assert refusal(plain) == "Unprocessable Entity (422)"


def test_retrain_passes_variables_and_exits_as_the_training_does(
    api: FakeApi, said: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def sleep(_: float) -> None:
        for app in api.apps.values():
            if TEMPLATE_LABEL in app["metadata"]["labels"]:
                app["status"] = {"applicationState": {"state": state}}

    monkeypatch.setattr(retrain, "connect", lambda namespace: Launcher(api, api, "shop", said.append, sleep))
    monkeypatch.setattr(retrain.signal, "signal", lambda *words: None)
    monkeypatch.setenv("VITRINE_EVENTS", "/data/archive")
    state = "COMPLETED"
    assert CliRunner().invoke(retrain.main, ["--template", "train", "--keep", "1"]).exit_code == 0
    first = next(app for name, app in api.apps.items() if name != "train")
    assert {"name": "VITRINE_EVENTS", "value": "/data/archive"} in first["spec"]["driver"]["env"]
    state = "FAILED"
    failed = CliRunner().invoke(retrain.main, ["--template", "train", "--keep", "1"])
    assert failed.exit_code == 1
    assert "error: train-" in failed.stderr
    assert len(api.apps) == 2, "the template and the one that is kept"


@pytest.mark.parametrize("nth", [1, 2], ids=["as it is made", "as it runs"])
def test_a_signal_deletes_the_training(
    api: FakeApi, said: list[str], monkeypatch: pytest.MonkeyPatch, nth: int
) -> None:
    naps: list[float] = []

    def sleep(seconds: float) -> None:
        naps.append(seconds)
        if len(naps) == nth:
            raise retrain.Stopped

    monkeypatch.setattr(retrain, "connect", lambda namespace: Launcher(api, api, "shop", said.append, sleep))
    monkeypatch.setattr(retrain.signal, "signal", lambda *words: None)
    stopped = CliRunner().invoke(retrain.main, ["--template", "train", "--keep", "1"])
    assert stopped.exit_code == retrain.STOPPED
    assert set(api.apps) == {"train"}
    assert "was deleted" in stopped.stderr
