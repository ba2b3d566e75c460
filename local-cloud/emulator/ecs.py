"""Tasks and their containers: how they start, end, and tell that they ended.

Starting is upstream's, with the rest of the container definition applied. Ending follows AWS's order: out of the target
groups, drained, SIGTERM, `stopTimeout`, SIGKILL. Ends are learned from the engine's events instead of by polling.
"""

import json
import logging
import threading
import time

import docker
import docker.errors
import docker.types
from ministack.core.concurrency import resource_lock
from ministack.core.responses import request_scope
from ministack.services import alb, ec2, ecs, ecs_metadata

from emulator import health, metadata, settings, upstream

upstream.require(
    ecs,
    "_tasks",
    "_task_defs",
    "_services",
    "_task_is_active",
    "_bump_task_version",
    "_task_ip",
    "_get_docker",
    "_iso",
    "_recount_cluster",
    "_refresh_service_state",
    "_cluster_name_from_arn",
    "_resolve_td_key",
    "_ImagePullError",
    "_image_repository",
    "_record_service_task_failure",
    "_docker",
)

log = logging.getLogger("emulator.ecs")

TASK_LABEL = "com.amazonaws.ecs.task-arn"
CONTAINER_LABEL = "com.amazonaws.ecs.container-name"
STOP_TIMEOUT = 30
CHECK_AT_LEAST = 1.0  # seconds, of a container's health check
NANOSECONDS = 1_000_000_000
ENGINE_TIMEOUT = 60.0
PLATFORMS = {"ARM64": "linux/arm64", "X86_64": "linux/amd64"}
REGISTRY_LOGIN = {"username": "AWS", "password": "ministack-auth-token"}

_zones: dict[str, int] = {}
_zones_lock = threading.Lock()


def definition_of(task: dict) -> dict:
    """The task definition of a task."""
    return ecs._task_defs.get(ecs._resolve_td_key(task.get("taskDefinitionArn", ""))) or {}


def service_of(task: dict) -> dict | None:
    """The service of a task."""
    group = task.get("group") or ""
    if not group.startswith("service:"):
        return None
    return ecs._services.get(f"{ecs._cluster_name_from_arn(task['clusterArn'])}/{group.split(':', 1)[1]}")


def targets_of(task: dict) -> list[tuple[dict, health.Key]]:
    """The target groups of a task with its key in each."""
    address, service = ecs._task_ip(task), service_of(task) or {}
    if not address:
        return []
    found = []
    for entry in service.get("loadBalancers") or []:
        group = alb._tgs.get(entry.get("targetGroupArn"))
        if group:
            found.append((group, health.Key(group["TargetGroupArn"], address, int(entry.get("containerPort") or 80))))
    return found


# -- placing ---------------------------------------------------------------------------------------------------------


@upstream.replaces(ecs, "_requested_subnet")
def _requested_subnet(data):
    """Upstream: always the first subnet. Tasks of a group take the subnets in turn."""
    network = data.get("networkConfiguration")
    configuration = (network.get("awsvpcConfiguration") if isinstance(network, dict) else None) or {}
    subnets = [subnet for subnet in configuration.get("subnets") or [] if isinstance(subnet, str)]
    if not subnets:
        return None
    with _zones_lock:
        turn = _zones[data.get("group", "")] = _zones.get(data.get("group", ""), -1) + 1
    return subnets[turn % len(subnets)]


@upstream.replaces(ecs, "_run_task")
def _run_task(data):
    """Upstream: every task is in zone `a`."""
    answer = _run_task.original(data)
    if answer[0] < 400:
        body = json.loads(answer[2])
        for shown in body.get("tasks", []):
            task = ecs._tasks.get(shown["taskArn"])
            subnet = ec2._subnets.get(task.get("_subnet") or "") if task else None
            if subnet and subnet.get("AvailabilityZone"):
                task["availabilityZone"] = shown["availabilityZone"] = subnet["AvailabilityZone"]
        return answer[0], answer[1], json.dumps(body).encode()
    return answer


# -- starting --------------------------------------------------------------------------------------------------------


def _duration(name: str, check: dict, default: float, hurried: bool) -> int:
    seconds = float(check.get(name) or default)
    if hurried:
        seconds = settings.current().hurried(seconds, CHECK_AT_LEAST)
    return int(seconds * NANOSECONDS)


def _health_check(check: dict) -> docker.types.Healthcheck:
    """Waiting times are divided by the speed-up; the time that one check may take is not."""
    command = check.get("command") or []
    return docker.types.Healthcheck(
        test=command if len(command) > 1 or command == ["NONE"] else ["CMD-SHELL", *command],
        interval=_duration("interval", check, 30, True),
        timeout=_duration("timeout", check, 5, False),
        retries=int(check.get("retries") or 3),
        start_period=_duration("startPeriod", check, 0, True) if check.get("startPeriod") else 0,
    )


@upstream.replaces(ecs, "_build_run_kwargs")
def _build_run_kwargs(
    cdef, td, env, port_bindings, ecs_network, host_mode, task_id, task_arn, ministack_net_ip, cluster_arn
):
    """Upstream applies image, command, environment, ports, binds and added capabilities only."""
    kwargs = _build_run_kwargs.original(
        cdef, td, env, port_bindings, ecs_network, host_mode, task_id, task_arn, ministack_net_ip, cluster_arn
    )
    kwargs.pop("extra_hosts", None)  # the host is reached by the bridge's address
    linux = cdef.get("linuxParameters") or {}
    if cdef.get("entryPoint"):
        kwargs["entrypoint"] = cdef["entryPoint"]
    for name, option in (
        ("user", "user"),
        ("workingDirectory", "working_dir"),
        ("hostname", "hostname"),
        ("readonlyRootFilesystem", "read_only"),
        ("interactive", "stdin_open"),
        ("pseudoTerminal", "tty"),
    ):
        if cdef.get(name):
            kwargs[option] = cdef[name]
    if (linux.get("capabilities") or {}).get("drop"):
        kwargs["cap_drop"] = linux["capabilities"]["drop"]
    if linux.get("initProcessEnabled"):
        kwargs["init"] = True
    if linux.get("sharedMemorySize"):
        kwargs["shm_size"] = f"{int(linux['sharedMemorySize'])}m"
    if cdef.get("ulimits"):
        kwargs["ulimits"] = [
            docker.types.Ulimit(name=limit["name"], soft=int(limit["softLimit"]), hard=int(limit["hardLimit"]))
            for limit in cdef["ulimits"]
        ]
    if cdef.get("dockerLabels"):
        kwargs["labels"] = {**cdef["dockerLabels"], **kwargs["labels"]}
    tmpfs = {mount["containerPath"]: f"size={int(mount['size'])}m" for mount in linux.get("tmpfs") or []}
    hosted = {volume.get("name") for volume in td.get("volumes") or [] if (volume.get("host") or {}).get("sourcePath")}
    for mount in cdef.get("mountPoints") or []:  # a volume of the task's own storage
        if mount.get("sourceVolume") not in hosted and mount.get("containerPath"):
            tmpfs[mount["containerPath"]] = ""
    if tmpfs:
        kwargs["tmpfs"] = tmpfs
    memory = int(cdef.get("memory") or td.get("memory") or 0)
    if memory:
        kwargs["mem_limit"] = f"{memory}m"
    units = int(cdef.get("cpu") or td.get("cpu") or 0)
    if units:
        kwargs["cpu_shares"] = max(2, units)  # a share, not a limit: an emulated task would starve
    if (cdef.get("healthCheck") or {}).get("command"):
        kwargs["healthcheck"] = _health_check(cdef["healthCheck"])
    return kwargs


@upstream.replaces(ecs, "_run_docker_container")
def _run_docker_container(
    docker_client,
    cdef,
    run_kwargs,
    *,
    refresh_image=False,
    allow_cached=True,
    cache_image=None,
    fallback_image=None,
    auth_config=None,
):
    """Upstream: an image that cannot run on the declared platform runs on the host's, and limits that the machine does
    not support end the start. A task runs on its platform or fails."""
    image, platform = cdef["image"], run_kwargs.get("platform")
    if "@" in image:  # the engine does not take a tag beside a digest
        image = f"{ecs._image_repository(image)}@{image.split('@', 1)[1]}"
    own = metadata.is_own_registry(image)
    try:
        _pull(docker_client, image, platform, auth_config or (REGISTRY_LOGIN if own else None))
    except docker.errors.APIError as error:
        if own or not allow_cached:
            raise ecs._ImagePullError(error.explanation or str(error)) from error
        log.warning("pull of %s failed, the engine's own copy is tried: %s", image, error.explanation)
    metadata.set_image(run_kwargs["environment"], image, platform)
    try:
        return _create_and_start(docker_client, image, run_kwargs)
    except docker.errors.APIError as error:
        reason = str(error)
        for words, options in ((("cgroup",), ("mem_limit", "cpu_shares")), (("docker-init", "tini"), ("init",))):
            if any(word in reason for word in words) and any(option in run_kwargs for option in options):
                log.warning("this machine does not support %s: %s", ", ".join(options), reason)
                kept = {name: value for name, value in run_kwargs.items() if name not in options}
                return _create_and_start(docker_client, image, kept)
        raise


def _pull(client, image: str, platform: str | None, login: dict | None) -> None:
    repository, separator, reference = image.partition("@")
    if not separator:
        repository, reference = ecs._image_repository(image), image.removeprefix(ecs._image_repository(image))[1:]
    lines = client.api.pull(
        repository, tag=reference or "latest", platform=platform, auth_config=login, stream=True, decode=True
    )
    for line in lines:
        if line.get("error"):
            raise docker.errors.APIError(line["error"], explanation=line["error"])


def _create_and_start(client, image: str, options: dict):
    container = client.containers.create(image, **{k: v for k, v in options.items() if k != "detach"})
    try:
        container.start()
    except docker.errors.APIError:
        container.remove(force=True, v=True)
        raise
    return container


# -- ending ----------------------------------------------------------------------------------------------------------


@upstream.replaces(ecs, "_mark_task_stopped")
def _mark_task_stopped(task_arn, task, reason, stop_code, exit_code=None):
    """Upstream: straight to STOPPED, with its containers still running and its target forgotten. Here only the decision
    is recorded; `_cleanup_task_resources` does the rest."""
    with resource_lock("ecs-task", task_arn):
        if not ecs._task_is_active(task_arn, task):
            return False
        started = task["lastStatus"] == "RUNNING"
        ecs._bump_task_version(task)
        task["desiredStatus"], task["lastStatus"] = "STOPPED", "DEACTIVATING"
        task["stoppingAt"] = ecs._iso()
        task["stoppedReason"], task["stopCode"] = reason, stop_code
    log.info("task %s stops: %s", task_arn.rsplit("/", 1)[-1], reason)
    ecs_metadata.set_task_status(task_arn, known_status="RUNNING" if started else "PENDING", desired_status="STOPPED")
    for group, key in targets_of(task):
        health.deregister(group, key)
    cluster = ecs._cluster_name_from_arn(task.get("clusterArn", ""))
    ecs._recount_cluster(cluster)
    ecs._refresh_service_state(cluster, task.get("group", ""))
    if stop_code in ("EssentialContainerExited", "TaskFailedToStart"):
        ecs._record_service_task_failure(task)
    return True


@upstream.replaces(ecs, "_cleanup_task_resources")
def _cleanup_task_resources(task, docker_client, extra_container=None):
    """Upstream: SIGTERM at once, SIGKILL after 5 s, all while the caller waits."""
    if extra_container is not None:
        _remove(extra_container)
    with resource_lock("ecs-task", task.get("taskArn", "")):
        if task.get("_ending") or task.get("desiredStatus") != "STOPPED":
            return
        task["_ending"] = True
    account, region = task["taskArn"].split(":")[4], task["taskArn"].split(":")[3]

    def end():
        with request_scope(account, region):
            try:
                _end(task)
            except Exception:
                log.exception("end of task %s", task["taskArn"])

    threading.Thread(target=end, daemon=True, name=f"emulator-end-{task['taskArn'][-8:]}").start()


def _end(task: dict) -> None:
    health.wait_drained([key for _, key in targets_of(task)])
    task["lastStatus"] = "STOPPING"
    client = ecs._get_docker()
    definitions = {entry["name"]: entry for entry in definition_of(task).get("containerDefinitions", [])}
    stops = []
    for identity in list(task.get("_docker_ids") or []):
        try:
            container = client.containers.get(identity)
        except docker.errors.NotFound:
            continue
        name = container.labels.get(CONTAINER_LABEL)
        timeout = int((definitions.get(name) or {}).get("stopTimeout") or STOP_TIMEOUT)
        stops.append(threading.Thread(target=_stop, args=(task, container, name, timeout), daemon=True))
        stops[-1].start()
    for stop in stops:
        stop.join()
    with resource_lock("ecs-task", task["taskArn"]):
        tokens, task["_metadata_tokens"], task["_docker_ids"] = task.get("_metadata_tokens") or [], [], []
        ecs._bump_task_version(task)
        task["lastStatus"] = "STOPPED"
        task["executionStoppedAt"] = task["stoppedAt"] = ecs._iso()
        for container in task.get("containers", []):
            container["lastStatus"] = "STOPPED"
    for token in tokens:
        ecs_metadata.unregister_token(token)
    ecs._recount_cluster(ecs._cluster_name_from_arn(task.get("clusterArn", "")))


def _stop(task: dict, container, name: str, timeout: int) -> None:
    try:
        container.stop(timeout=timeout)
        container.reload()
        with resource_lock("ecs-task", task["taskArn"]):
            for entry in task.get("containers", []):
                if entry["name"] == name and entry.get("exitCode") is None:
                    entry["exitCode"] = container.attrs["State"].get("ExitCode")
    except docker.errors.APIError as error:
        log.warning("container %s: %s", container.short_id, error)
    _remove(container)


def _remove(container) -> None:
    try:
        container.remove(force=True, v=True)
    except docker.errors.NotFound:
        pass
    except docker.errors.APIError as error:
        log.warning("container %s is not removed: %s", container.short_id, error)


def remove_leftovers(client) -> int:
    """Removes the task containers of former runs."""
    found = client.containers.list(all=True, sparse=True, filters={"label": TASK_LABEL})
    removals = [threading.Thread(target=_remove, args=(container,)) for container in found]
    for removal in removals:
        removal.start()
    for removal in removals:
        removal.join()
    return len(found)


# -- the engine's events ---------------------------------------------------------------------------------------------


@upstream.replaces(ecs, "_maybe_mark_stopped")
def _maybe_mark_stopped(task, docker_client=None):
    """Upstream inspects every container ten times a second; the engine's events tell the same at once."""


@upstream.replaces(ecs, "_watch_task_lifecycle")
def _watch_task_lifecycle(task, docker_client, account_id, region):
    """Upstream: a polling thread for each task. An end that came before the task was known as running counts here."""
    for identity in list(task.get("_docker_ids") or []):
        try:
            _inspect(docker_client.containers.get(identity))
        except docker.errors.NotFound:
            continue


def container_ended(task: dict, name: str, code: int | None) -> None:
    """An essential container that ends takes its task along."""
    essential = True
    with resource_lock("ecs-task", task["taskArn"]):
        for index, container in enumerate(task.get("containers", [])):
            if container["name"] == name:
                container["lastStatus"], container["exitCode"] = "STOPPED", code
                essentials = task.get("_container_essentials") or []
                essential = index >= len(essentials) or essentials[index]
    if essential:
        reason = f"Essential container in task exited ({name}: {code})"
        if ecs._mark_task_stopped(task["taskArn"], task, reason, "EssentialContainerExited"):
            ecs._cleanup_task_resources(task, None)


def container_health(task: dict, name: str, state: str) -> None:
    """A container's own health check has a result."""
    with resource_lock("ecs-task", task["taskArn"]):
        for container in task.get("containers", []):
            if container["name"] == name:
                container["healthStatus"] = state
        checked = [
            entry["name"] for entry in definition_of(task).get("containerDefinitions", []) if entry.get("healthCheck")
        ]
        states = [entry["healthStatus"] for entry in task.get("containers", []) if entry["name"] in checked]
        before = task.get("healthStatus")
        task["healthStatus"] = next((state for state in ("UNHEALTHY", "UNKNOWN") if state in states), "HEALTHY")
    metadata.set_health(task["taskArn"], name, state)
    if before != task["healthStatus"]:
        log.info("task %s is %s", task["taskArn"].rsplit("/", 1)[-1], task["healthStatus"])


def _task_scope(arn: str):
    _, _, _, region, account, _ = arn.split(":", 5)
    return request_scope(account, region)


def _on_event(event: dict) -> None:
    attributes = (event.get("Actor") or {}).get("Attributes") or {}
    arn, name, action = attributes.get(TASK_LABEL), attributes.get(CONTAINER_LABEL), event.get("Action") or ""
    if not arn or not name:
        return
    with _task_scope(arn):
        task = ecs._tasks.get(arn)
        if task is None:
            return
        if action == "die":
            container_ended(task, name, int(attributes.get("exitCode") or 0))
        elif action.startswith("health_status:"):
            container_health(task, name, action.rsplit(" ", 1)[-1].upper())


def _inspect(container) -> None:
    """What the events would have told."""
    arn, name = container.labels.get(TASK_LABEL, ""), container.labels.get(CONTAINER_LABEL, "")
    with _task_scope(arn):
        task, state = ecs._tasks.get(arn), container.attrs.get("State") or {}
        if task is None:
            return
        if state.get("Status") in ("exited", "dead"):
            container_ended(task, name, state.get("ExitCode"))
        elif (state.get("Health") or {}).get("Status") in ("healthy", "unhealthy"):
            container_health(task, name, state["Health"]["Status"].upper())


def _follow() -> None:
    client = docker.DockerClient(base_url=settings.current().docker_host, timeout=None)
    filters = {"type": "container", "label": TASK_LABEL, "event": ["die", "health_status"]}
    while True:
        try:
            events = client.events(decode=True, filters=filters)
            for container in client.containers.list(all=True, filters={"label": TASK_LABEL}):
                _inspect(container)
            for event in events:
                try:
                    _on_event(event)
                except Exception:
                    log.exception("event %s", event)
        except Exception as error:
            log.warning("events of the engine: %s", error)
        time.sleep(0.5)


def start() -> None:
    """Starts to follow the engine's events."""
    ecs._docker = docker.DockerClient(base_url=settings.current().docker_host, timeout=ENGINE_TIMEOUT, max_pool_size=32)
    leftovers = remove_leftovers(ecs._docker)
    if leftovers:
        log.info("%d task containers of a former run removed", leftovers)
    threading.Thread(target=_follow, daemon=True, name="emulator-events").start()
