"""The ecr-public API, which upstream lacks: MiniStack's ECR, with every repository below the account's alias."""

import base64
import json
import time

from ministack.core import iam_actions, router
from ministack.core.responses import error_response_json, get_account_id, json_response
from ministack.services import ecr

from emulator import settings, upstream

upstream.require(ecr, "_repositories", "_create_repository", "_delete_repository", "handle_request")
upstream.require(router, "SERVICE_PATTERNS")

TARGET = "SpencerFrontendService"
PRIVATE_TARGET = "AmazonEC2ContainerRegistry_V20150921"
TOKEN_LIFETIME = 43200

router.SERVICE_PATTERNS["ecr"]["target_prefixes"].append(TARGET)


def stored_name(name: str) -> str:
    """The name in MiniStack's ECR of a public repository."""
    return f"{settings.current().public_alias}/{name}"


def arn(name: str) -> str:
    """The ARN of a public repository."""
    return f"arn:aws:ecr-public::{get_account_id()}:repository/{name}"


def _is_public(service: str, headers: dict) -> bool:
    return service == "ecr" and headers.get("x-amz-target", "").startswith(f"{TARGET}.")


@upstream.replaces(iam_actions, "extract_iam_action")
def extract_iam_action(service, method, path, headers, body, query_params):
    """Policies name actions on public repositories apart from those on private ones."""
    action = extract_iam_action.original(service, method, path, headers, body, query_params)
    return action.replace("ecr:", "ecr-public:", 1) if action and _is_public(service, headers) else action


@upstream.replaces(iam_actions, "extract_resource_arn")
def extract_resource_arn(service, method, path, headers, body, query_params, region, account_id):
    """The same of the repositories themselves."""
    if not _is_public(service, headers):
        return extract_resource_arn.original(service, method, path, headers, body, query_params, region, account_id)
    name = json.loads(body or b"{}").get("repositoryName")
    return f"arn:aws:ecr-public::{account_id}:repository/{name}" if name else "*"


def _shown(repository: dict) -> dict:
    stored = repository["repositoryName"]
    name = stored.split("/", 1)[1]
    return {
        "repositoryArn": arn(name),
        "registryId": get_account_id(),
        "repositoryName": name,
        "repositoryUri": f"public.ecr.aws/{stored}",
        "createdAt": repository.get("createdAt"),
    }


def _registries() -> dict:
    alias, account = settings.current().public_alias, get_account_id()
    status = {"name": alias, "status": "ACTIVE", "primaryRegistryAlias": True, "defaultRegistryAlias": True}
    return {
        "registries": [
            {
                "registryId": account,
                "registryUri": f"public.ecr.aws/{alias}",
                "registryArn": f"arn:aws:ecr-public::{account}:registry/{account}",
                "verified": False,
                "aliases": [status],
            }
        ]
    }


@upstream.replaces(ecr, "handle_request")
async def handle_request(method, path, headers, body, query_params):
    """Upstream: the private registry's API only."""
    target = headers.get("x-amz-target", "")
    if not target.startswith(f"{TARGET}."):
        return await handle_request.original(method, path, headers, body, query_params)
    action, request = target.split(".")[-1], json.loads(body or b"{}")
    if action == "GetAuthorizationToken":
        token = base64.b64encode(b"AWS:ministack-auth-token").decode()
        expires = int(time.time()) + TOKEN_LIFETIME
        return json_response({"authorizationData": {"authorizationToken": token, "expiresAt": expires}})
    if action == "DescribeRegistries":
        return json_response(_registries())
    if request.get("repositoryName"):
        request["repositoryName"] = stored_name(request["repositoryName"])
    if action == "DescribeRepositories":
        wanted = [stored_name(name) for name in request.get("repositoryNames") or []]
        found = [
            repository
            for name, repository in ecr._repositories.items()
            if name.startswith(stored_name("")) and (not wanted or name in wanted)
        ]
        if len(found) < len(wanted):
            return error_response_json("RepositoryNotFoundException", "The repository does not exist", 400)
        return json_response({"repositories": [_shown(repository) for repository in found]})
    if action == "CreateRepository":
        answer = ecr._create_repository({"repositoryName": request["repositoryName"]})
        if answer[0] >= 400:
            return answer
        repository = _shown(ecr._repositories[request["repositoryName"]])
        return json_response({"repository": repository, "catalogData": request.get("catalogData", {})})
    # DescribeImages, BatchDeleteImage, DeleteRepository and others have the members of the private registry's API.
    request.pop("registryId", None)
    headers = {**headers, "x-amz-target": f"{PRIVATE_TARGET}.{action}"}
    return await handle_request.original(method, path, headers, json.dumps(request).encode(), query_params)
