"""Task metadata, version 4: what `${ECS_CONTAINER_METADATA_URI_V4}` and `…/task` answer.

Upstream's address may be a name, which not every program can resolve, and it knows neither image digests nor limits,
networks, zones and health.
"""

import asyncio
import json
import re

from ministack.core.responses import get_region, request_scope
from ministack.services import ec2, ecr, ecs, ecs_metadata

from emulator import settings, upstream

upstream.require(ecs, "_task_ip", "_tasks", "_iso")
upstream.require(ecs_metadata, "_TASKS", "_TOKEN_TO_TASK", "_TOKEN_TO_CONTAINER", "_LOCK", "_PATH_RE")
upstream.require(ecr, "_repositories", "_resolve_manifest")

PRIVATE_REGISTRY = re.compile(r"(\d{12})\.dkr\.ecr\.([a-z0-9-]+)\.amazonaws\.com")
PUBLIC_REGISTRY = "public.ecr.aws"
ADDRESS_WITHIN = 3.0  # seconds until a container that has just started has its address


def is_own_registry(image: str) -> bool:
    """Whether an image is in a registry that is played here."""
    host = image.split("/", 1)[0]
    return host == PUBLIC_REGISTRY or PRIVATE_REGISTRY.fullmatch(host) is not None


def platform_digest(image: str, platform: str | None) -> str | None:
    """The digest of the manifest that an image has for a platform; not that of the index."""
    host, _, rest = image.partition("/")
    private = PRIVATE_REGISTRY.fullmatch(host)
    name, _, reference = rest.partition("@")
    if not reference:
        name, _, reference = rest.partition(":")
    architecture = (platform or "linux/amd64").split("/")[1]
    for account, region, repository in [scoped for scoped, _ in ecr._repositories.all_items()]:
        if repository != name or (private and private.groups() != (account, region)):
            continue
        with request_scope(account, region):
            digest, manifest, _ = ecr._resolve_manifest(name, reference or "latest")
        entries = json.loads(manifest).get("manifests") if manifest else None
        if entries is None:
            return digest
        for entry in entries:
            found = entry.get("platform") or {}
            if (found.get("os"), found.get("architecture")) == ("linux", architecture):
                return entry["digest"]
    return None


def set_image(environment: dict, image: str, platform: str | None) -> None:
    """Records the digest of the image that a container is about to run."""
    digest = platform_digest(image, platform)
    token = environment.get("ECS_CONTAINER_METADATA_URI_V4", "").rsplit("/", 1)[-1]
    with ecs_metadata._LOCK:
        container = ecs_metadata._TOKEN_TO_CONTAINER.get(token)
        if container and digest:
            container["ImageID"] = digest


def set_health(task_arn: str, name: str, state: str) -> None:
    """Records the result of a container's own health check."""
    with ecs_metadata._LOCK:
        for container in (ecs_metadata._TASKS.get(task_arn) or {}).get("Containers", []):
            if container.get("Name") == name:
                container["Health"] = {"status": state, "statusSince": ecs._iso()}


def _without_none(members: dict) -> dict:
    return {name: value for name, value in members.items() if value is not None}


@upstream.replaces(ecs, "_register_metadata")
def _register_metadata(task_arn, cluster_arn, td, cdef, launch_type, env, host_mode, ministack_net_ip):
    """Upstream's record with the members that it lacks, at the address of the bridge."""
    address = settings.current().bridge_address
    token = _register_metadata.original(task_arn, cluster_arn, td, cdef, launch_type, env, False, address)
    env.setdefault("AWS_REGION", get_region())
    env.setdefault("AWS_EXECUTION_ENV", "AWS_ECS_FARGATE" if launch_type == "FARGATE" else "AWS_ECS_EC2")
    record = ecs._tasks.get(task_arn) or {}
    group = record.get("group") or ""
    definition = next((entry for entry in record.get("containers", []) if entry["name"] == cdef["name"]), {})
    logs = cdef.get("logConfiguration") or {}
    with ecs_metadata._LOCK:
        task, container = ecs_metadata._TASKS[task_arn], ecs_metadata._TOKEN_TO_CONTAINER[token]
        task.update(
            _without_none(
                {
                    "ServiceName": group.split(":", 1)[1] if group.startswith("service:") else None,
                    "AvailabilityZone": record.get("availabilityZone"),
                    "Limits": _without_none(
                        {
                            "CPU": float(td["cpu"]) / 1024 if td.get("cpu") else None,
                            "Memory": int(td["memory"]) if td.get("memory") else None,
                        }
                    )
                    or None,
                    "PullStartedAt": record.get("pullStartedAt"),
                    "VPCID": (ec2._subnets.get(record.get("_subnet") or "") or {}).get("VpcId"),
                }
            )
        )
        container.update(
            _without_none(
                {
                    "DockerName": f"ecs-{td.get('family')}-{td.get('revision')}-{cdef['name']}",
                    "ContainerARN": definition.get("containerArn"),
                    "Limits": _without_none({"CPU": int(cdef.get("cpu") or 0), "Memory": _int(cdef.get("memory"))}),
                    "CreatedAt": ecs._iso(),
                    "LogDriver": logs.get("logDriver"),
                    "LogOptions": logs.get("options"),
                    "Health": {"status": "UNKNOWN"} if cdef.get("healthCheck") else None,
                }
            )
        )
    return token


def _int(value) -> int | None:
    return int(value) if value else None


def _networks(task: dict) -> list[dict]:
    address = ecs._task_ip(task)
    subnet = ec2._subnets.get(task.get("_subnet") or "") or {}
    return [
        _without_none(
            {
                "NetworkMode": task.get("_network_mode") or "bridge",
                "IPv4Addresses": [address],
                "AttachmentIndex": 0,
                "IPv4SubnetCIDRBlock": subnet.get("CidrBlock"),
                "DomainNameServers": [],
                "PrivateDNSName": f"ip-{address.replace('.', '-')}.ec2.internal",
            }
        )
    ]


def _complete(arn: str) -> bool:
    """Adds what is known only once the containers run; whether it is."""
    task = ecs._tasks.get(arn)
    if task is None or task.get("desiredStatus") == "STOPPED":
        return True
    if not ecs._task_ip(task):
        return False
    with ecs_metadata._LOCK:
        shown = ecs_metadata._TASKS.get(arn) or {}
        if task.get("pullStoppedAt"):
            shown["PullStoppedAt"] = task["pullStoppedAt"]
        for container in shown.get("Containers", []):
            container.setdefault("Networks", _networks(task))
            container.setdefault("StartedAt", ecs._iso())
    return True


@upstream.replaces(ecs_metadata, "handle_request")
async def handle_request(method, path, headers, body, query_params):
    """Upstream answers before the address of the container is known."""
    match = ecs_metadata._PATH_RE.match(path)
    arn = ecs_metadata._TOKEN_TO_TASK.get(match.group("token")) if match else None
    if arn:
        _, _, _, region, account, _ = arn.split(":", 5)
        for _ in range(int(ADDRESS_WITHIN / 0.05)):
            with request_scope(account, region):
                if _complete(arn):
                    break
            await asyncio.sleep(0.05)
    return await handle_request.original(method, path, headers, body, query_params)
