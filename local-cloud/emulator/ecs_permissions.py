"""What ECS asks of a caller's policies: each service and family by its own ARN, tags and roles that are handed on.

Upstream asks once for each call, about the cluster, so that a policy for two services of it allows nothing. Resources
and condition keys are those of the service authorization reference of ECS.
"""

import json

from ministack.core import iam_actions
from ministack.core.iam_evaluator import AuthError, enforce
from ministack.core.responses import get_account_id, get_region
from ministack.core.router import extract_access_key_id
from ministack.services import ecs

from emulator import upstream

upstream.require(iam_actions, "access_denied_response")


def _checks(action: str, request: dict, region: str, account: str) -> list[tuple[str, str, dict]]:
    """Actions, the resources that they are asked about, and what conditions see."""
    prefix = f"arn:aws:ecs:{region}:{account}"
    cluster = request.get("cluster", "default").rsplit("/", 1)[-1]

    def service(name: str) -> str:
        return name if name.startswith("arn:") else f"{prefix}:service/{cluster}/{name}"

    if action == "DescribeServices":
        return [(f"ecs:{action}", service(name), {}) for name in request.get("services", [])]
    if action == "UpdateService":
        return [(f"ecs:{action}", service(request.get("service", "")), {})]
    if action == "DescribeTaskDefinition":
        return [(f"ecs:{action}", "*", {})]
    if action == "RegisterTaskDefinition":
        # The revision has no number yet.
        family = f"{prefix}:task-definition/{request.get('family', '')}:*"
        checks = [(f"ecs:{action}", family, {})]
        if request.get("tags"):
            checks.append(("ecs:TagResource", family, {"ecs:CreateAction": action}))
        for role in (request.get("taskRoleArn"), request.get("executionRoleArn")):
            if role:
                arn = role if role.startswith("arn:") else f"arn:aws:iam::{account}:role/{role}"
                checks.append(("iam:PassRole", arn, {"iam:PassedToService": "ecs-tasks.amazonaws.com"}))
        return checks
    return []


def _of_request(headers: dict, body: bytes, region: str, account: str) -> list[tuple[str, str, dict]]:
    try:
        request = json.loads(body or b"{}")
    except ValueError:
        return []
    action = headers.get("x-amz-target", "").split(".")[-1]
    return _checks(action, request, region, account) if isinstance(request, dict) else []


@upstream.replaces(iam_actions, "extract_resource_arn")
def extract_resource_arn(service, method, path, headers, body, query_params, region, account_id):
    """Upstream: the cluster, wherever a call names one."""
    checks = _of_request(headers, body, region, account_id) if service == "ecs" else []
    if checks:
        return checks[0][1]
    return extract_resource_arn.original(service, method, path, headers, body, query_params, region, account_id)


@upstream.replaces(ecs, "handle_request")
async def handle_request(method, path, headers, body, query_params):
    """Upstream: every call that was allowed for its first resource."""
    region = get_region()
    key = extract_access_key_id(headers, query_params)
    for action, arn, context in _of_request(headers, body, region, get_account_id())[1:]:
        denied = enforce(key, action, "ecs", region, resource_arn=arn, service_context=context)
        if denied:
            principal = "" if isinstance(denied, AuthError) else denied.principal_arn
            return iam_actions.access_denied_response("ecs", action, principal, "", headers=headers, resource_arn=arn)
    return await handle_request.original(method, path, headers, body, query_params)
