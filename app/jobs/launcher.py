"""A training as a SparkApplication: made from a template, followed to its end, cleaned up after.

The template is a suspended SparkApplication of the same namespace: whatever was applied to it (image,
settings, sizes) is what runs. One training runs at a time: of two that start at once, the one made
first goes on and the other gives way.
"""

import re
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar

from kubernetes.client import ApiException
from urllib3.exceptions import HTTPError

from app.core.errors import InputError, VitrineError

GROUP, VERSION, PLURAL = "sparkoperator.k8s.io", "v1beta2", "sparkapplications"
TEMPLATE_LABEL = "vitrine/template"
FINISHED = ("COMPLETED", "FAILED")
IDLE = (*FINISHED, "SUSPENDED", "SUSPENDING")
NAME_LENGTH = 35  #: of the template's name, so that driver pod and service names stay below 63
LOG_LINES = 40
TIMEOUT = 30  #: seconds for one request
SETTLED = 2.0  #: seconds after which every training of the same second is there (the API's times have no fractions)
RETRY_SECONDS = (1, 2, 4, 8, 16, 30, 30, 30)  #: waits between tries of a request that the API did not answer

Found = TypeVar("Found")
App = dict[str, Any]


@dataclass(frozen=True)
class Owner:
    """The pod whose end takes its training with it."""

    name: str
    uid: str


class Launcher:
    """Runs trainings in one namespace.

    Parameters
    ----------
    apps, pods
        The API's `CustomObjectsApi` and `CoreV1Api`.
    namespace
        Where template and trainings are.
    say
        Gets a line about what happens.
    sleep
        Seconds, as `time.sleep`.
    """

    def __init__(
        self,
        apps: Any,
        pods: Any,
        namespace: str,
        say: Callable[[str], Any],
        sleep: Callable[[float], Any] = time.sleep,
    ):
        self._apps, self._pods, self._namespace, self._say, self._sleep = apps, pods, namespace, say, sleep
        self._where = (GROUP, VERSION, namespace, PLURAL)

    def create(self, template: str, overrides: Mapping[str, str], owner: Owner | None, now: datetime) -> str:
        """Make a training of the template, under a name of its own; returns the name.

        Parameters
        ----------
        template
            Name of the suspended SparkApplication.
        overrides
            Environment variables of the driver that win over the template's.
        owner
            The launcher's own pod, if it is one.
        now
            For the name.

        Raises
        ------
        InputError
            No such template, or the API refuses the training.
        VitrineError
            Another training runs; this one was taken back.
        """
        name = f"{template[:NAME_LENGTH].rstrip('-')}-{now:%Y%m%d-%H%M%S}-{secrets.token_hex(2)}"
        app = from_template(self._get(template), name, overrides, owner)
        self._asked(f"SparkApplication {name} cannot be made", lambda: self._post(app))
        try:
            self._sleep(SETTLED)  # or of two made in one second the first looks too early to see the other
            other = self._older(name)
        except BaseException:
            self.delete(name)  # nobody would follow it
            raise
        if other is not None:
            self.delete(name)
            raise VitrineError(
                f"training {other} is still running, so {name} was not started; try again when it has ended"
            )
        return name

    def follow(self, name: str, poll_seconds: float = 2.0) -> None:
        """Wait for the end of a training.

        Raises
        ------
        VitrineError
            It failed, or it is gone; the driver's last lines were reported.
        """
        shown = None
        while True:
            status = self._get(name).get("status", {})
            state = status.get("applicationState", {})
            now = state.get("state") or "NEW"
            if now != shown:
                self._say(f"{name}: {now}")
                shown = now
            if now == "COMPLETED":
                return
            if now == "FAILED":
                reason = self._show_log(status.get("driverInfo", {}).get("podName"))
                raise VitrineError(f"{name} failed: {reason or first_line(state.get('errorMessage'))}")
            self._sleep(poll_seconds)

    def delete(self, name: str) -> None:
        """Delete a training with its pods; one that is gone already is fine."""

        def call() -> None:
            try:
                self._apps.delete_namespaced_custom_object(*self._where, name, _request_timeout=TIMEOUT)
            except ApiException as error:
                if error.status != 404:
                    raise

        self._asked(f"SparkApplication {name} cannot be deleted", call)

    def prune(self, template: str, keep: int) -> list[str]:
        """Delete the template's finished trainings but for the latest `keep`; returns their names."""
        finished = [app for app in self._made_from(template) if state_of(app) in FINISHED]
        gone = [app["metadata"]["name"] for app in sorted(finished, key=_age)[: max(0, len(finished) - keep)]]
        for name in gone:
            self.delete(name)
        return gone

    def _older(self, name: str) -> str | None:
        """A training that runs and was made before this one; the template's own run counts as well."""
        apps = self._list()
        mine = next((app for app in apps if app["metadata"]["name"] == name), None)
        if mine is None:
            raise VitrineError(f"{name} was deleted by someone else just after it was made")
        template = mine["metadata"]["labels"][TEMPLATE_LABEL]
        rivals = [
            app
            for app in apps
            if app["metadata"]["name"] == template or app["metadata"].get("labels", {}).get(TEMPLATE_LABEL) == template
        ]
        older = [app for app in rivals if _age(app) < _age(mine) and _runs(app)]
        return min(older, key=_age)["metadata"]["name"] if older else None

    def _made_from(self, template: str) -> list[App]:
        return [app for app in self._list() if app["metadata"].get("labels", {}).get(TEMPLATE_LABEL) == template]

    def _show_log(self, pod: str | None) -> str | None:
        """Show the driver's last lines; returns the one with the reason."""
        if not pod:
            return None
        try:
            log = self._asked("driver's log", lambda: self._read_log(pod))
        except VitrineError as error:
            self._say(f"the log of {pod} cannot be read: {error}")
            return None
        self._say(f"last lines of {pod}:")
        for line in log.splitlines():
            self._say(f"  {line}")
        return reason_in(log)

    def _read_log(self, pod: str) -> str:
        log: str = self._pods.read_namespaced_pod_log(
            pod, self._namespace, tail_lines=LOG_LINES, _request_timeout=TIMEOUT
        )
        return log

    def _post(self, app: App) -> None:
        try:
            self._apps.create_namespaced_custom_object(*self._where, app, _request_timeout=TIMEOUT)
        except ApiException as error:
            if error.status != 409:  # made by an earlier try whose answer was lost: the name is ours alone
                raise

    def _get(self, name: str) -> App:
        what = f"SparkApplication {name} in namespace {self._namespace}"
        found: App = self._asked(
            what, lambda: self._apps.get_namespaced_custom_object(*self._where, name, _request_timeout=TIMEOUT)
        )
        return found

    def _list(self) -> list[App]:
        listed: App = self._asked(
            "SparkApplications",
            lambda: self._apps.list_namespaced_custom_object(*self._where, _request_timeout=TIMEOUT),
        )
        found: list[App] = listed["items"]
        return found

    def _asked(self, what: str, call: Callable[[], Found]) -> Found:
        """A request, tried again while the API does not answer or is overloaded."""
        for wait in (*RETRY_SECONDS, None):
            try:
                return call()
            except ApiException as error:
                if error.status not in (None, 0, 408, 429) and error.status < 500:
                    raise InputError(f"{what}: {refusal(error)}") from None
                reason = f"{error.status} {error.reason}"
            except HTTPError as error:
                reason = f"{type(error).__name__}: {first_line(str(error))}"
            if wait is None:
                raise VitrineError(f"{what}: the Kubernetes API does not answer ({reason})")
            self._say(f"{what}: {reason}; trying again in {wait} s")
            self._sleep(wait)
        raise AssertionError("unreachable")


def from_template(template: App, name: str, overrides: Mapping[str, str], owner: Owner | None) -> App:
    """A SparkApplication that runs what the template describes.

    Parameters
    ----------
    template
        A SparkApplication as the API gives it.
    name
        Of the new one.
    overrides
        Variables of the driver; they win over the template's.
    owner
        Pod that owns the new one.
    """
    metadata = template["metadata"]
    labels = metadata.get("labels", {}) | {TEMPLATE_LABEL: metadata["name"]}
    driver = dict(template["spec"]["driver"])
    kept = [variable for variable in driver.get("env", []) if variable["name"] not in overrides]
    driver["env"] = [*kept, *({"name": key, "value": value} for key, value in sorted(overrides.items()))]
    app: App = {
        "apiVersion": f"{GROUP}/{VERSION}",
        "kind": "SparkApplication",
        "metadata": {"name": name, "labels": labels},
        "spec": template["spec"] | {"suspend": False, "driver": driver},
    }
    if owner is not None:
        reference = {"apiVersion": "v1", "kind": "Pod", "name": owner.name, "uid": owner.uid}
        app["metadata"]["ownerReferences"] = [reference]
    return app


def state_of(app: App) -> str:
    """The operator's word for how an application is; empty while it has none."""
    return str(app.get("status", {}).get("applicationState", {}).get("state", ""))


def _runs(app: App) -> bool:
    idle = state_of(app) in IDLE or (app["spec"].get("suspend") and not state_of(app))
    return not idle and "deletionTimestamp" not in app["metadata"]


def _age(app: App) -> tuple[str, str]:
    return app["metadata"]["creationTimestamp"], app["metadata"]["name"]


def reason_in(log: str) -> str | None:
    """The line of a driver's log with the reason of its failure: the last `error: …`."""
    lines = re.findall(r"^error: (.+)$", log, flags=re.MULTILINE)
    return lines[-1] if lines else None


def refusal(error: ApiException) -> str:
    """Why the API refused a request, in one line."""
    match = re.search(r'"message":"((?:[^"\\]|\\.)*)"', error.body or "")
    return f"{first_line(match[1] if match else error.reason)} ({error.status})"


def first_line(text: str | None) -> str:
    return (text or "").strip().split("\n")[0] or "no reason given; see kubectl describe sparkapplication"
