"""The state of every target: registered and probed, or deregistered and draining.

Upstream answers "healthy" for whatever is registered, and forgets a target as soon as it is deregistered. Here targets
are probed (path, port, matcher, thresholds, timeout; the interval divided by the speed-up), and a deregistered target
drains until its delay is over or the load balancer has no open request for it.
"""

import concurrent.futures
import dataclasses
import http.client
import logging
import ssl
import threading
import time
from collections.abc import Callable
from xml.sax.saxutils import escape

from ministack.core.concurrency import resource_lock
from ministack.core.responses import request_scope
from ministack.services import alb

from emulator import settings, upstream

upstream.require(alb, "_tgs", "_targets", "_tg_attrs", "_ACTION_MAP", "_xml", "_error", "_p", "_parse_targets_param")

log = logging.getLogger("emulator.health")

TICK = 0.1
SHORTEST_INTERVAL = 0.2
FIRST_INTERVAL = 0.3  # until a new target has answered or failed for the first time
DRAIN_AT_LEAST = 0.3  # for the load balancer to hear of it


@dataclasses.dataclass(frozen=True)
class Key:
    """A target: its target group, address and port."""

    group: str
    address: str
    port: int


@dataclasses.dataclass
class Target:
    """What is known of a target."""

    key: Key
    state: str = "initial"  # initial, healthy, unhealthy, draining
    reason: str = ""
    good: int = 0
    bad: int = 0
    next_probe: float = 0.0
    probing: bool = False
    drained_from: float = 0.0
    drained_by: float = 0.0


_lock = threading.Lock()
_targets: dict[Key, Target] = {}
_probes = concurrent.futures.ThreadPoolExecutor(16, thread_name_prefix="emulator-probe")


def _no_load_balancer(key: Key) -> int | None:
    return 0


# Open requests of a target in the load balancer; None while it does not know yet that the target drains.
open_requests: Callable[[Key], int | None] = _no_load_balancer


def key_of(group: dict, target: dict) -> Key:
    """The key of an entry of MiniStack's list of targets."""
    return Key(group["TargetGroupArn"], str(target["Id"]), int(target.get("Port") or group.get("Port") or 80))


def registered_in(account: str, region: str, group: dict) -> list[Key]:
    """The targets that are registered in a group at this moment."""
    with request_scope(account, region):
        return [key_of(group, entry) for entry in alb._targets.get(group["TargetGroupArn"], [])]


def state(key: Key) -> str:
    """The state of a target; `unused` when it is not registered."""
    target = _targets.get(key)
    return target.state if target else "unused"


def in_group(arn: str) -> list[Target]:
    """The targets of a group, with those that drain."""
    with _lock:
        return [target for target in _targets.values() if target.key.group == arn]


def deregister(group: dict, key: Key) -> None:
    """Starts draining a target at once; the caller's request scope is that of the group."""
    with resource_lock("elbv2-targets", key.group):
        registered = alb._targets.get(key.group)
        if registered is not None:
            alb._targets[key.group] = [entry for entry in registered if key_of(group, entry) != key]
    with _lock:
        target = _targets.get(key)
        if target and target.state != "draining":
            delay = settings.current().hurried(
                float(attribute(key.group, "deregistration_delay.timeout_seconds", "300"))
            )
            now = time.monotonic()
            target.state, target.reason = "draining", "Target deregistration is in progress"
            target.drained_from, target.drained_by = now + DRAIN_AT_LEAST, now + max(delay, DRAIN_AT_LEAST)


def wait_drained(keys: list[Key]) -> None:
    """Returns when none of the targets drains any more."""
    while any(state(key) == "draining" for key in keys):
        time.sleep(TICK)


def attribute(arn: str, name: str, default: str) -> str:
    """An attribute of a target group; within its request scope."""
    return next((entry["Value"] for entry in alb._tg_attrs.get(arn, []) if entry.get("Key") == name), default)


def matches(matcher: str, code: int) -> bool:
    """Whether a status code is one of `200`, `200,301` or `200-299`."""
    for part in str(matcher).split(","):
        low, _, high = part.strip().partition("-")
        if low.isdigit() and int(low) <= code <= int(high or low):
            return True
    return False


def _ask(group: dict, key: Key) -> tuple[bool, str]:
    """One probe: whether it passed, and why not."""
    port = group.get("HealthCheckPort") or "traffic-port"
    port = key.port if port == "traffic-port" else int(port)
    timeout = float(group.get("HealthCheckTimeoutSeconds") or 5)
    if group.get("HealthCheckProtocol") == "HTTPS":
        context = ssl._create_unverified_context()  # as a load balancer: targets' certificates are not verified
        connection = http.client.HTTPSConnection(key.address, port, timeout=timeout, context=context)
    else:
        connection = http.client.HTTPConnection(key.address, port, timeout=timeout)
    try:
        headers = {"User-Agent": "ELB-HealthChecker/2.0", "Connection": "close"}
        connection.request("GET", group.get("HealthCheckPath") or "/", headers=headers)
        code = connection.getresponse().status
    except TimeoutError:
        return False, "Request timed out"
    except (OSError, http.client.HTTPException) as error:
        return False, f"Health checks failed: {type(error).__name__}"
    finally:
        connection.close()
    matcher = group.get("Matcher") or {}
    wanted = matcher.get("HttpCode") if isinstance(matcher, dict) else matcher
    return matches(wanted or "200", code), f"Health checks failed with these codes: [{code}]"


def _probe(group: dict, target: Target) -> None:
    try:
        passed, reason = _ask(group, target.key)
    except Exception:
        log.exception("probe of %s", target.key)
        passed, reason = False, "Health checks failed"
    with _lock:
        target.probing = False
        if target.state == "draining":
            return
        before = target.state
        target.good, target.bad = (target.good + 1, 0) if passed else (0, target.bad + 1)
        if passed and (before == "initial" or target.good >= int(group.get("HealthyThresholdCount") or 5)):
            target.state, target.reason = "healthy", ""
        elif not passed and target.bad >= int(group.get("UnhealthyThresholdCount") or 2):
            target.state, target.reason = "unhealthy", reason
        if target.state != before:
            log.info(
                "target %s:%d of %s is %s %s",
                target.key.address,
                target.key.port,
                group["TargetGroupName"],
                target.state,
                target.reason,
            )


def _tick() -> None:
    now = time.monotonic()
    registered: set[Key] = set()
    for (account, region, arn), group in alb._tgs.all_items():
        with request_scope(account, region):
            keys = registered_in(account, region, group)
            registered.update(keys)
            if group.get("TargetType") == "lambda":
                continue
            gone = [target.key for target in in_group(arn) if target.key not in keys and target.state != "draining"]
            for key in gone:
                deregister(group, key)
        interval = float(group.get("HealthCheckIntervalSeconds") or 30)
        interval = settings.current().hurried(interval, SHORTEST_INTERVAL)
        for key in keys:
            with _lock:
                target = _targets.get(key)
                if target is None or target.state == "draining":
                    if key not in registered_in(account, region, group):
                        continue  # deregistered since
                    target = _targets[key] = Target(key)
                if not group.get("HealthCheckEnabled", True):
                    target.state = "healthy"
                    continue
                if target.probing or now < target.next_probe:
                    continue
                target.probing = True
                first = target.state == "initial" and not target.bad
                target.next_probe = now + (min(FIRST_INTERVAL, interval) if first else interval)
            _probes.submit(_probe, dict(group), target)
    groups = {arn for _, _, arn in (scoped for scoped, _ in alb._tgs.all_items())}
    with _lock:
        draining = [target for target in _targets.values() if target.key not in registered]
    for target in draining:
        idle = now >= target.drained_from and open_requests(target.key) == 0
        if target.key.group not in groups or (target.state == "draining" and (idle or now >= target.drained_by)):
            with _lock:
                if _targets.get(target.key) is target:
                    del _targets[target.key]


def _run() -> None:
    while True:
        try:
            _tick()
        except Exception:
            log.exception("health model")
        time.sleep(TICK)


def start() -> None:
    """Starts the thread that probes and drains."""
    threading.Thread(target=_run, daemon=True, name="emulator-health").start()


@upstream.replaces(alb, "_describe_target_health")
def _describe_target_health(params):
    """Upstream: every registered target is healthy, and draining ones are unknown."""
    arn = alb._p(params, "TargetGroupArn")
    group = alb._tgs.get(arn)
    if not group:
        return alb._error("TargetGroupNotFound", f"Target group '{arn}' not found.")
    wanted = {str(entry["Id"]) for entry in alb._parse_targets_param(params)}
    reasons = {
        "unhealthy": "Target.FailedHealthChecks",
        "draining": "Target.DeregistrationInProgress",
        "initial": "Elb.InitialHealthChecking",
    }
    answer = ""
    for target in in_group(arn):
        if wanted and target.key.address not in wanted:
            continue
        reason = reasons.get(target.state)
        answer += (
            f"<member><Target><Id>{escape(target.key.address)}</Id><Port>{target.key.port}</Port></Target>"
            f"<HealthCheckPort>{target.key.port}</HealthCheckPort><TargetHealth><State>{target.state}</State>"
            + (f"<Reason>{reason}</Reason>" if reason else "")
            + (f"<Description>{escape(target.reason)}</Description>" if target.reason else "")
            + "</TargetHealth></member>"
        )
    answer = f"<TargetHealthDescriptions>{answer}</TargetHealthDescriptions>"
    return alb._xml(200, "DescribeTargetHealth", answer)
