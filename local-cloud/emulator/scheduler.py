"""The service scheduler: which tasks start and stop, and how a deployment completes, fails and is rolled back.

Upstream completes a deployment as soon as its tasks have run for a second, stops all old tasks at once, and keeps a
failed deployment for ever, so that `aws ecs wait services-stable` never passes again. Here only healthy tasks count
(target groups and container health checks), minimum and maximum percent hold at every step, tasks that fail their
checks are replaced and count for the circuit breaker, and a deployment without tasks goes once the next is complete.
"""

import logging
import math
import threading
import time

from ministack.core.responses import request_scope
from ministack.services import ecs

from emulator import health, settings, upstream
from emulator.ecs import definition_of, service_of, targets_of

upstream.require(
    ecs,
    "_primary_deployment",
    "_deployment_for_task",
    "_circuit_breaker_threshold",
    "_sync_service_targets",
    "_PRE_STOP_STATUSES",
    "_mark_task_stopped",
    "_cleanup_task_resources",
    "new_uuid",
)

log = logging.getLogger("emulator.scheduler")

TICK = 0.2
STEADY_AFTER = 1.0  # seconds that a task without checks has to run
LONGEST_PAUSE = 10.0  # between replacements of a task that fails again and again
BREAKER = "ECS deployment circuit breaker was triggered after {} task failures."

_lock = threading.RLock()
_wake = threading.Event()
_since: dict[str, float] = {}  # task: when it was first seen running


def _event(service: dict, message: str) -> None:
    message = f"(service {service['serviceName']}) {message}"
    service["events"].insert(0, {"id": ecs.new_uuid(), "createdAt": ecs._iso(), "message": message})
    del service["events"][100:]
    log.info("%s", message)


def _tasks_of(service: dict) -> list[dict]:
    group = f"service:{service['serviceName']}"
    return [
        task
        for task in ecs._tasks.values()
        if task.get("group") == group
        and task.get("clusterArn") == service.get("clusterArn")
        and task.get("lastStatus") in ecs._PRE_STOP_STATUSES
        and task.get("desiredStatus") == "RUNNING"
    ]


def _running_for(task: dict) -> float:
    if task.get("lastStatus") != "RUNNING":
        return 0.0
    return time.monotonic() - _since.setdefault(task["taskArn"], time.monotonic())


def _checked(task: dict) -> bool:
    return any(
        (entry.get("healthCheck") or {}).get("command") for entry in definition_of(task).get("containerDefinitions", [])
    )


def healthy(task: dict) -> bool:
    """Runs, passes its own health checks, and is healthy in every target group."""
    if task.get("lastStatus") != "RUNNING" or (_checked(task) and task.get("healthStatus") != "HEALTHY"):
        return False
    service, targets = service_of(task) or {}, targets_of(task)
    if len(targets) < len(service.get("loadBalancers") or []):
        return False
    return _running_for(task) >= STEADY_AFTER and all(health.state(key) == "healthy" for _, key in targets)


def _failing(service: dict, task: dict) -> str | None:
    """Why a task has to be replaced; None while its grace period lasts."""
    grace = settings.current().hurried(float(service.get("healthCheckGracePeriodSeconds") or 0))
    if task.get("lastStatus") != "RUNNING" or _running_for(task) < grace:
        return None
    if _checked(task) and task.get("healthStatus") == "UNHEALTHY":
        return "Task failed container health checks"
    bad = [key.group for _, key in targets_of(task) if health.state(key) == "unhealthy"]
    return f"Task failed ELB health checks in (target-group {bad[0]})" if bad else None


def _stop(task: dict, reason: str) -> None:
    if ecs._mark_task_stopped(task["taskArn"], task, reason, "ServiceSchedulerInitiated"):
        ecs._cleanup_task_resources(task, None)


def _percent(service: dict, name: str, default: int) -> int:
    value = (service.get("deploymentConfiguration") or {}).get(name)
    return default if value is None else int(value)


def _adjust(cluster: str, key: str) -> None:
    """One step of a service towards what is desired."""
    service = ecs._services.get(key)
    if not service or service["status"] != "ACTIVE":
        return
    for task in _tasks_of(service):
        reason = _failing(service, task)
        if reason:
            _event(service, f"(task {task['taskArn'].rsplit('/', 1)[-1]}) {reason[5:]}")
            _stop(task, reason)
            ecs._record_service_task_failure(task)
    primary = ecs._primary_deployment(service)
    if not primary:
        return
    tasks = _tasks_of(service)
    current = [task for task in tasks if ecs._deployment_for_task(service, task) is primary]
    old = [task for task in tasks if ecs._deployment_for_task(service, task) is not primary]
    fine = {task["taskArn"] for task in tasks if healthy(task)}
    for task in current:
        if task["taskArn"] in fine and not task.get("_startup_stable"):
            task["_startup_stable"] = True
            primary["failedTasks"], service["_failures"] = 0, 0
    desired = int(service.get("desiredCount") or 0)
    if primary.get("rolloutState") != "FAILED":
        least = math.ceil(desired * _percent(service, "minimumHealthyPercent", 100) / 100)
        most = max(1, desired * _percent(service, "maximumPercent", 200) // 100)
        room, wanted = most - len(tasks), desired - len(current)
        # Old tasks go as new ones become healthy; earlier only if there is no room beside them.
        keep = desired if wanted <= max(0, room) else least
        spare = len(fine) - keep
        for task in sorted(old, key=lambda entry: entry["createdAt"]):
            if task["taskArn"] in fine:
                spare -= 1
            if spare >= 0:
                _stop(task, "Deployment of a newer task definition")
        current.sort(key=lambda entry: (entry["taskArn"] in fine, entry["createdAt"]))
        for task in current[: max(0, -wanted)]:
            _stop(task, "Scaling activity initiated by deployment")
        room = most - len(_tasks_of(service))
        if time.monotonic() >= service.get("_pause_until", 0.0):
            for _ in range(max(0, min(wanted, room))):
                _start(cluster, service, primary)
    _conclude(cluster, service, primary, desired)


def _start(cluster: str, service: dict, deployment: dict) -> None:
    status, _, body = ecs._run_task(
        {
            "cluster": cluster,
            "taskDefinition": deployment["taskDefinition"],
            "count": 1,
            "group": f"service:{service['serviceName']}",
            "startedBy": deployment["id"],
            "launchType": service.get("launchType"),
            "capacityProviderStrategy": service.get("capacityProviderStrategy"),
            "platformVersion": service.get("platformVersion", ""),
            "networkConfiguration": service.get("networkConfiguration", {}),
            "enableExecuteCommand": service.get("enableExecuteCommand", False),
            "_deploymentId": deployment["id"],
        }
    )
    if status >= 400:
        service["_pause_until"] = time.monotonic() + LONGEST_PAUSE
        _event(service, f"was unable to place a task: {body.decode(errors='replace')}")


def _conclude(cluster: str, service: dict, primary: dict, desired: int) -> None:
    """Completes the deployment when its tasks, and no others, are there and healthy."""
    tasks = _tasks_of(service)
    current = [task for task in tasks if ecs._deployment_for_task(service, task) is primary]
    if (
        primary.get("rolloutState") == "IN_PROGRESS"
        and len(tasks) == len(current) == desired
        and all(map(healthy, current))
    ):
        primary["rolloutState"], primary["updatedAt"] = "COMPLETED", ecs._iso()
        primary["rolloutStateReason"] = f"ECS deployment {primary['id']} completed."
        service["_completed"] = primary
        _event(service, "has reached a steady state.")
    if primary.get("rolloutState") == "COMPLETED":
        alive = {task.get("_deployment_id") for task in tasks}
        service["deployments"] = [entry for entry in service["deployments"] if entry is primary or entry["id"] in alive]
    ecs._refresh_service_state(cluster, f"service:{service['serviceName']}")


@upstream.replaces(ecs, "_record_service_task_failure")
def _record_service_task_failure(task, digest_resolution_failed=False):
    """Upstream: a rollback is only possible while the old deployment has tasks, and replacements start at once, without
    a pause, as fast as they fail."""
    with _lock:
        service = service_of(task)
        if not service or service.get("status") != "ACTIVE":
            return
        failures = service["_failures"] = service.get("_failures", 0) + 1
        service["_pause_until"] = time.monotonic() + min(LONGEST_PAUSE, 0.25 * 2**failures)
        deployment, primary = ecs._deployment_for_task(service, task), ecs._primary_deployment(service)
        breaker = (service.get("deploymentConfiguration") or {}).get("deploymentCircuitBreaker") or {}
        if deployment is None or deployment is not primary or deployment.get("rolloutState") != "IN_PROGRESS":
            return
        deployment["failedTasks"] = int(deployment.get("failedTasks") or 0) + 1
        deployment["updatedAt"] = ecs._iso()
        threshold = 1 if digest_resolution_failed else ecs._circuit_breaker_threshold(service)
        if not breaker.get("enable") or deployment["failedTasks"] < threshold:
            return
        deployment["rolloutState"], deployment["desiredCount"] = "FAILED", 0
        deployment["rolloutStateReason"] = BREAKER.format(deployment["failedTasks"])
        _event(service, f"(deployment {deployment['id']}) deployment failed: tasks failed to start.")
        completed = service.get("_completed")
        if breaker.get("rollback") and completed and completed is not deployment:
            _roll_back(service, deployment, completed)
        for other in _tasks_of(service):
            if ecs._deployment_for_task(service, other) is deployment:
                _stop(other, "Deployment failed")
    _wake.set()


def _roll_back(service: dict, failed: dict, completed: dict) -> None:
    if completed not in service["deployments"]:
        service["deployments"].append(completed)
    failed["status"], completed["status"] = "ACTIVE", "PRIMARY"
    completed["desiredCount"], completed["rolloutState"] = service.get("desiredCount", 0), "IN_PROGRESS"
    completed["rolloutStateReason"] = f"ECS deployment circuit breaker: rolling back to deploymentId {completed['id']}."
    completed["updatedAt"], completed["failedTasks"] = ecs._iso(), 0
    service["taskDefinition"] = completed["taskDefinition"]
    service["_failures"], service["_pause_until"] = 0, 0.0
    _event(service, f"rolling back to deployment {completed['id']}.")


@upstream.replaces(ecs, "_make_deployment")
def _make_deployment(task_definition, desired_count, status="PRIMARY"):
    """Upstream: the first deployment of a service is complete before it has begun."""
    deployment = _make_deployment.original(task_definition, desired_count, status)
    deployment["rolloutState"] = "IN_PROGRESS"
    deployment["rolloutStateReason"] = f"ECS deployment {deployment['id']} in progress."
    return deployment


@upstream.replaces(ecs, "_refresh_service_state")
def _refresh_service_state(cluster_name, group):
    """Upstream also drops and keeps deployments here; see `_conclude`."""
    service = (
        ecs._services.get(f"{cluster_name}/{group.split(':', 1)[1]}") if (group or "").startswith("service:") else None
    )
    if not service:
        return
    with _lock:
        tasks = _tasks_of(service)
        running = [task for task in tasks if task["lastStatus"] == "RUNNING"]
        service["runningCount"], service["pendingCount"] = len(running), len(tasks) - len(running)
        for deployment in service["deployments"]:
            own = [task for task in tasks if ecs._deployment_for_task(service, task) is deployment]
            deployment["runningCount"] = sum(task["lastStatus"] == "RUNNING" for task in own)
            deployment["pendingCount"] = len(own) - deployment["runningCount"]
        ecs._sync_service_targets(cluster_name, service)


@upstream.replaces(ecs, "_reconcile_service_tasks")
def _reconcile_service_tasks(cluster_name, svc_key):
    """Upstream's scheduler; see the module."""
    with _lock:
        _adjust(cluster_name, svc_key)
    _wake.set()


@upstream.replaces(ecs, "_complete_service_deployment")
def _complete_service_deployment(cluster_name, svc_key, expected_deployment_id=None):
    """Part of upstream's scheduler; see the module."""
    _wake.set()


@upstream.replaces(ecs, "_schedule_service_deployment_completion")
def _schedule_service_deployment_completion(cluster_name, svc_key, account_id, region, healthy_task=None):
    """Part of upstream's scheduler; see the module."""
    _wake.set()


def _run() -> None:
    while True:
        _wake.wait(TICK)
        _wake.clear()
        for (account, region, key), service in ecs._services.all_items():
            try:
                with request_scope(account, region), _lock:
                    if service.get("status") == "ACTIVE":
                        _adjust(key.split("/", 1)[0], key)
            except Exception:
                log.exception("service %s", key)
        for arn in [arn for arn in _since if not any(scoped[2] == arn for scoped in ecs._tasks._data)]:
            _since.pop(arn, None)
        time.sleep(0.05)


def start() -> None:
    """Starts the scheduler's thread."""
    threading.Thread(target=_run, daemon=True, name="emulator-scheduler").start()
