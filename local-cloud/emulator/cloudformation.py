"""CloudFormation: resource types that upstream lacks, properties that it drops, and waiting for services.

On AWS a stack waits until its services are stable, and an update whose deployment fails is rolled back; upstream is
done as soon as the service is told. Types made with `_nothing` are accepted and kept, and do nothing.
"""

import json
import time

from ministack.core.responses import get_account_id, get_region
from ministack.services import alb, ec2, ecr, ecs, iam
from ministack.services.cloudformation import provisioners, stacks

from emulator import ecr_public, settings, upstream

upstream.require(
    provisioners,
    "_RESOURCE_HANDLERS",
    "_REPLACING_PROPERTIES",
    "_pascal_to_camel",
    "_physical_name",
    "new_uuid",
)
upstream.require(ecs, "_create_service", "_update_service", "_delete_service", "_resolve_cluster_name")
upstream.require(iam, "_create_oidc_provider", "_oidc_providers")

HANDLERS = provisioners._RESOURCE_HANDLERS
STABLE_WITHIN = 3 * 3600  # of AWS's time
GONE_WITHIN = 180.0
BREAKER = "Error occurred during operation 'ECS Deployment Circuit Breaker was triggered'."

INTEGERS = {
    "containerPort",
    "hostPort",
    "cpu",
    "memory",
    "memoryReservation",
    "stopTimeout",
    "startTimeout",
    "interval",
    "timeout",
    "retries",
    "startPeriod",
    "softLimit",
    "hardLimit",
    "size",
    "sharedMemorySize",
    "desiredCount",
    "maximumPercent",
    "minimumHealthyPercent",
    "healthCheckGracePeriodSeconds",
    "weight",
    "base",
    "bakeTimeInMinutes",
    "value",
}
BOOLEANS = {
    "essential",
    "readonlyRootFilesystem",
    "privileged",
    "initProcessEnabled",
    "readOnly",
    "enable",
    "rollback",
    "interactive",
    "pseudoTerminal",
    "disableNetworking",
    "enableExecuteCommand",
}
MAPS = {"options", "dockerLabels"}  # their keys are data

LOAD_BALANCER_ATTRIBUTES = {
    "access_logs.s3.enabled": "false",
    "deletion_protection.enabled": "false",
    "idle_timeout.timeout_seconds": "60",
    "routing.http.drop_invalid_header_fields.enabled": "false",
    "routing.http.preserve_host_header.enabled": "false",
    "routing.http.xff_header_processing.mode": "append",
}
TARGET_GROUP_ATTRIBUTES = {
    "deregistration_delay.timeout_seconds": "300",
    "stickiness.enabled": "false",
    "stickiness.type": "lb_cookie",
    "load_balancing.algorithm.type": "round_robin",
    "slow_start.duration_seconds": "0",
}


def api_form(value, name: str = ""):
    """Properties in the API's form: camel case, and numbers and truths that a parameter made text as what they are."""
    if isinstance(value, dict):
        if name in MAPS:
            return {key: str(entry) for key, entry in value.items()}
        return {key[:1].lower() + key[1:]: api_form(entry, key[:1].lower() + key[1:]) for key, entry in value.items()}
    if isinstance(value, list):
        return [api_form(entry) for entry in value]
    if isinstance(value, str):
        if name in INTEGERS and value.lstrip("-").isdigit():
            return int(value)
        if name in BOOLEANS and value.lower() in ("true", "false"):
            return value.lower() == "true"
    return value


@upstream.replaces(stacks, "_runs_on_worker_thread")
def _runs_on_worker_thread(resource_type):
    """Upstream provisions services on the thread that answers requests; they now wait for tasks, which need answers."""
    return resource_type == "AWS::ECS::Service" or _runs_on_worker_thread.original(resource_type)


# -- task definitions ------------------------------------------------------------------------------------------------


def _role_arn(role: str) -> str:
    return role if not role or role.startswith("arn:") else f"arn:aws:iam::{get_account_id()}:role/{role}"


@upstream.replaces(provisioners, "_normalize_container_defs")
def _normalize_container_defs(cdefs):
    """Upstream leaves nested members (health check, Linux parameters, limits, secrets) in CloudFormation's case, and
    numbers that come from parameters as text."""
    definitions = [api_form(definition) for definition in cdefs]
    for definition in definitions:
        definition.setdefault("cpu", 0)
        definition.setdefault("essential", True)
        for variable in definition.get("environment") or []:
            variable["value"] = str(variable.get("value", ""))
    return definitions


@upstream.replaces(provisioners, "_ecs_task_def_create")
def _ecs_task_def_create(logical_id, props, stack_name):
    """Upstream drops the platform, without which every task would run on the host's, and keeps role names as they are,
    where ECS answers with ARNs."""
    arn, attributes = _ecs_task_def_create.original(logical_id, props, stack_name)
    definition = ecs._task_defs[arn.rsplit("/", 1)[1]]
    for name, key in (("RuntimePlatform", "runtimePlatform"), ("EphemeralStorage", "ephemeralStorage")):
        if props.get(name):
            definition[key] = api_form(props[name])
    definition["volumes"] = api_form(props.get("Volumes") or [])
    for key in ("cpu", "memory"):
        if key in definition:
            definition[key] = str(definition[key])
    for key in ("executionRoleArn", "taskRoleArn"):
        definition[key] = _role_arn(definition.get(key) or "")
    return arn, attributes


# -- services --------------------------------------------------------------------------------------------------------

SERVICE_PROPERTIES = (
    "TaskDefinition",
    "DesiredCount",
    "LaunchType",
    "CapacityProviderStrategy",
    "LoadBalancers",
    "NetworkConfiguration",
    "DeploymentConfiguration",
    "DeploymentController",
    "HealthCheckGracePeriodSeconds",
    "EnableExecuteCommand",
    "PlatformVersion",
    "PropagateTags",
    "EnableECSManagedTags",
    "SchedulingStrategy",
    "ServiceRegistries",
)


def _service_request(props: dict) -> dict:
    request = {name[:1].lower() + name[1:]: props[name] for name in SERVICE_PROPERTIES if props.get(name) is not None}
    return api_form(request)


def _await_stable(key: str) -> None:
    """Returns when the service is stable; raises when its deployment fails."""
    service = ecs._services[key]
    primary = ecs._primary_deployment(service)
    end = time.monotonic() + settings.current().hurried(STABLE_WITHIN, 300)
    while service.get("status") == "ACTIVE":
        if primary["rolloutState"] == "FAILED":
            raise ValueError(f'Resource handler returned message: "{BREAKER}" (HandlerErrorCode: NotStabilized)')
        if ecs._primary_deployment(service) is not primary:
            return  # another deployment has taken over
        running = service["runningCount"] == service.get("desiredCount", 0)
        if primary["rolloutState"] == "COMPLETED" and running and len(service["deployments"]) == 1:
            return
        if time.monotonic() > end:
            raise ValueError(
                'Resource handler returned message: "Exceeded attempts to wait" (HandlerErrorCode: NotStabilized)'
            )
        time.sleep(0.1)


@upstream.replaces(provisioners, "_ecs_service_create")
def _ecs_service_create(logical_id, props, stack_name):
    """Upstream drops grace period, platform version and more, and does not wait."""
    name = props.get("ServiceName") or f"{stack_name}-{logical_id}"
    cluster = ecs._resolve_cluster_name(props.get("Cluster") or "default")
    request = {"desiredCount": 1, **_service_request(props), "serviceName": name, "cluster": cluster}
    request["tags"] = [{"key": tag["Key"], "value": str(tag["Value"])} for tag in props.get("Tags") or []]
    answer = ecs._create_service(request)
    if answer[0] >= 400:
        raise ValueError(f"AWS::ECS::Service create failed: {_message(answer)}")
    try:
        _await_stable(f"{cluster}/{name}")
    except ValueError:
        _ecs_service_delete("", {"Cluster": cluster, "ServiceName": name})
        raise
    arn = f"arn:aws:ecs:{get_region()}:{get_account_id()}:service/{cluster}/{name}"
    return arn, {"ServiceArn": arn, "Name": name}


@upstream.replaces(provisioners, "_ecs_service_update")
def _ecs_service_update(physical_id, old_props, new_props, stack_name):
    """Upstream passes numbers from parameters as text, and does not wait."""
    cluster, name = physical_id.rsplit("/", 2)[-2:]
    before, request = _service_request(old_props), _service_request(new_props)
    changed = {key: value for key, value in request.items() if value != before.get(key)}
    if "deploymentConfiguration" in before and "deploymentConfiguration" not in request:
        changed["deploymentConfiguration"] = {}
    if "healthCheckGracePeriodSeconds" in before and "healthCheckGracePeriodSeconds" not in request:
        changed["healthCheckGracePeriodSeconds"] = 0
    redeploy = {"networkConfiguration", "loadBalancers", "platformVersion"} & changed.keys()
    answer = ecs._update_service({"cluster": cluster, "service": name, **changed, "forceNewDeployment": bool(redeploy)})
    if answer[0] >= 400:
        raise ValueError(f"AWS::ECS::Service update failed: {_message(answer)}")
    _await_stable(f"{cluster}/{name}")
    return physical_id, {"ServiceArn": physical_id, "Name": name}


@upstream.replaces(provisioners, "_ecs_service_delete")
def _ecs_service_delete(physical_id, props):
    """Upstream does not wait until the tasks are gone."""
    cluster = ecs._resolve_cluster_name(props.get("Cluster") or "default")
    name = props.get("ServiceName") or physical_id.rsplit("/", 1)[-1]
    if physical_id.count("/") > 1:
        cluster, name = physical_id.rsplit("/", 2)[-2:]
    ecs._delete_service({"cluster": cluster, "service": name, "force": True})
    service = ecs._services.get(f"{cluster}/{name}") or {}
    end = time.monotonic() + GONE_WITHIN
    while time.monotonic() < end:
        if all(
            task.get("lastStatus") == "STOPPED"
            for task in ecs._tasks.values()
            if task.get("group") == f"service:{name}" and task.get("clusterArn") == service.get("clusterArn")
        ):
            return
        time.sleep(0.1)


def _message(answer) -> str:
    try:
        return json.loads(answer[2])["message"]
    except (ValueError, KeyError, TypeError):
        return repr(answer[2])


provisioners._REPLACING_PROPERTIES["AWS::ECS::Service"] = (
    "Cluster",
    "LaunchType",
    "ServiceName",
    "SchedulingStrategy",
    "DeploymentController",
)


# -- load balancing --------------------------------------------------------------------------------------------------


@upstream.replaces(provisioners, "_elbv2_listener_actions")
def _elbv2_listener_actions(props, lb_arn, prop="DefaultActions"):
    """Upstream keeps the first target group of a forward action and drops the others with all weights."""
    actions = _elbv2_listener_actions.original(props, lb_arn, prop)
    declared = [action for action in props.get(prop) or [] if isinstance(action, dict)]
    for entry, action in zip(actions, declared, strict=True):
        groups = [
            {"TargetGroupArn": group["TargetGroupArn"], "Weight": int(group.get("Weight", 1))}
            for group in (action.get("ForwardConfig") or {}).get("TargetGroups") or []
        ]
        if not groups:
            continue
        entry["ForwardConfig"] = {"TargetGroups": groups}
        if len(groups) > 1:
            entry.pop("TargetGroupArn", None)
        for group in groups:
            record = alb._tgs.get(group["TargetGroupArn"])
            if record and lb_arn and lb_arn not in record.setdefault("LoadBalancerArns", []):
                record["LoadBalancerArns"].append(lb_arn)
    return actions


@upstream.replaces(provisioners, "_flatten_listener_rule_conditions")
def _flatten_listener_rule_conditions(cfn_conditions):
    """Upstream keeps the pairs of a query-string condition as they are, where its API has texts."""
    conditions = _flatten_listener_rule_conditions.original(cfn_conditions)
    for condition in conditions:
        if condition["Field"] == "query-string":
            condition["Values"] = [
                value
                if isinstance(value, str)
                else "=".join(filter(None, (value.get("Key"), str(value.get("Value", "")))))
                for value in condition["Values"]
            ]
    return conditions


def _with_defaults(attributes: list[dict], defaults: dict[str, str]) -> None:
    for attribute in attributes:
        attribute["Value"] = (
            str(attribute["Value"]).lower() if isinstance(attribute["Value"], bool) else str(attribute["Value"])
        )
    present = {attribute["Key"] for attribute in attributes}
    attributes.extend({"Key": key, "Value": value} for key, value in defaults.items() if key not in present)


@upstream.replaces(provisioners, "_elbv2_load_balancer_create")
def _elbv2_load_balancer_create(logical_id, props, stack_name):
    """Upstream has no defaults beside attributes that are given, and names that lead to AWS."""
    arn, attributes = _elbv2_load_balancer_create.original(logical_id, props, stack_name)
    # A name that leads to this machine, so that what the template outputs can be opened as it is.
    attributes["DNSName"] = alb._lbs[arn]["DNSName"] = f"{attributes['LoadBalancerName'].lower()}.alb.localhost"
    _with_defaults(alb._lb_attrs[arn], LOAD_BALANCER_ATTRIBUTES)
    return arn, attributes


@upstream.replaces(provisioners, "_elbv2_target_group_create")
def _elbv2_target_group_create(logical_id, props, stack_name):
    """Upstream has no defaults beside attributes that are given."""
    arn, attributes = _elbv2_target_group_create.original(logical_id, props, stack_name)
    _with_defaults(alb._tg_attrs[arn], TARGET_GROUP_ATTRIBUTES)
    return arn, attributes


@upstream.replaces(provisioners, "_elbv2_listener_create")
def _elbv2_listener_create(logical_id, props, stack_name):
    """Upstream drops the attributes of a new listener."""
    arn, attributes = _elbv2_listener_create.original(logical_id, props, stack_name)
    provisioners._elbv2_merge_attributes(alb._listener_attrs.setdefault(arn, []), props.get("ListenerAttributes"))
    return arn, attributes


# -- types that upstream lacks ---------------------------------------------------------------------------------------


def _add(resource_type: str, create, delete, update=None, replacing: tuple[str, ...] = ()) -> None:
    if resource_type in HANDLERS:
        raise upstream.UpstreamChanged(f"ministack has {resource_type} now: it is no longer needed here")
    HANDLERS[resource_type] = {"create": create, "delete": delete}
    if update:
        HANDLERS[resource_type]["update"] = update
    provisioners._REPLACING_PROPERTIES[resource_type] = replacing


def _provider_lists(props: dict) -> dict:
    lists = {}
    for parameter, name in (("ClientIDList", "ClientIdList"), ("ThumbprintList", "ThumbprintList")):
        for number, value in enumerate(props.get(name) or [], 1):
            lists[f"{parameter}.member.{number}"] = [value]
    return lists


def _provider_create(logical_id, props, stack_name):
    answer = iam._create_oidc_provider({"Url": [props["Url"]], **_provider_lists(props)})
    if answer[0] >= 400:
        raise ValueError(f"AWS::IAM::OIDCProvider create failed: {answer[2]!r}")
    arn = f"arn:aws:iam::{get_account_id()}:oidc-provider/" + props["Url"].split("://", 1)[-1].rstrip("/")
    return arn, {"Arn": arn}


def _provider_update(physical_id, old_props, new_props, stack_name):
    record = iam._oidc_providers[physical_id]
    record["ClientIDList"] = list(new_props.get("ClientIdList") or [])
    record["ThumbprintList"] = list(new_props.get("ThumbprintList") or [])
    return physical_id, {"Arn": physical_id}


def _provider_delete(physical_id, props):
    iam._oidc_providers.pop(physical_id, None)


_add("AWS::IAM::OIDCProvider", _provider_create, _provider_delete, _provider_update, ("Url",))


def _public_repository_create(logical_id, props, stack_name):
    name = props.get("RepositoryName") or provisioners._physical_name(
        stack_name, logical_id, lowercase=True, max_len=205
    )
    answer = ecr._create_repository({"repositoryName": ecr_public.stored_name(name)})
    if answer[0] >= 400:
        raise ValueError(f"AWS::ECR::PublicRepository create failed: {_message(answer)}")
    return name, {"Arn": ecr_public.arn(name)}


def _public_repository_update(physical_id, old_props, new_props, stack_name):
    return physical_id, {"Arn": ecr_public.arn(physical_id)}


def _public_repository_delete(physical_id, props):
    ecr._delete_repository({"repositoryName": ecr_public.stored_name(physical_id), "force": True})


_add(
    "AWS::ECR::PublicRepository",
    _public_repository_create,
    _public_repository_delete,
    _public_repository_update,
    ("RepositoryName",),
)


def _providers_put(props: dict) -> None:
    cluster = ecs._clusters.get(ecs._resolve_cluster_name(props.get("Cluster") or "default"))
    if cluster is None:
        raise ValueError(f"Cluster {props.get('Cluster')} not found")
    cluster["capacityProviders"] = list(props.get("CapacityProviders") or [])
    cluster["defaultCapacityProviderStrategy"] = api_form(props.get("DefaultCapacityProviderStrategy") or [])


def _providers_create(logical_id, props, stack_name):
    _providers_put(props)
    return ecs._resolve_cluster_name(props["Cluster"]), {}


def _providers_update(physical_id, old_props, new_props, stack_name):
    _providers_put(new_props)
    return physical_id, {}


def _providers_delete(physical_id, props):
    if physical_id in ecs._clusters:
        _providers_put({"Cluster": physical_id})


_add(
    "AWS::ECS::ClusterCapacityProviderAssociations",
    _providers_create,
    _providers_delete,
    _providers_update,
    ("Cluster",),
)


def _nothing(resource_type: str, prefix: str, attribute: str | None, update_in_place: bool) -> None:
    """A type that is accepted and does nothing."""

    def attributes(identity):
        return {attribute: identity} if attribute else {}

    def create(logical_id, props, stack_name):
        identity = prefix.format(
            account=get_account_id(),
            region=get_region(),
            id=provisioners.new_uuid().replace("-", "")[:17],
            resource=props.get("ResourceId", ""),
            dimension=props.get("ScalableDimension", ""),
            namespace=props.get("ServiceNamespace", ""),
            name=props.get("PolicyName", logical_id),
        )
        return identity, attributes(identity)

    def update(physical_id, old_props, new_props, stack_name):
        return physical_id, attributes(physical_id)

    _add(resource_type, create, lambda physical_id, props: None, update if update_in_place else None)


_nothing("AWS::EC2::FlowLog", "fl-{id}", "Id", False)
_nothing("AWS::EC2::EIP", "eipalloc-{id}", "AllocationId", True)
_nothing("AWS::EC2::NatGateway", "nat-{id}", "NatGatewayId", True)
_nothing("AWS::EC2::NetworkAcl", "acl-{id}", "Id", True)
_nothing("AWS::EC2::NetworkAclEntry", "aclentry-{id}", None, True)
_nothing("AWS::EC2::SubnetNetworkAclAssociation", "aclassoc-{id}", "AssociationId", False)
_nothing("AWS::ApplicationAutoScaling::ScalableTarget", "{resource}|{dimension}|{namespace}", "Id", True)
_nothing(
    "AWS::ApplicationAutoScaling::ScalingPolicy",
    "arn:aws:autoscaling:{region}:{account}:scalingPolicy:{id}:policyName/{name}",
    "Arn",
    True,
)
_nothing("AWS::WAFv2::WebACLAssociation", "association-{id}", None, True)
_nothing("AWS::IAM::ServiceLinkedRole", "AWSServiceRole{id}", "RoleName", True)


# -- security group rules --------------------------------------------------------------------------------------------


def _security_group_rule(direction: str) -> None:
    """Rules that are resources of their own; upstream knows them only inside a group."""
    store = "IpPermissions" if direction == "Ingress" else "IpPermissionsEgress"
    convert = provisioners._ec2_sg_permissions

    def permissions(props):
        return convert([props])

    def create(logical_id, props, stack_name):
        group = ec2._security_groups.get(props.get("GroupId") or "")
        if group is None:
            raise ValueError(f"The security group '{props.get('GroupId')}' does not exist")
        group.setdefault(store, []).extend(permissions(props))
        identity = f"sgr-{provisioners.new_uuid().replace('-', '')[:17]}"
        return identity, {"Id": identity}

    def delete(physical_id, props):
        group = ec2._security_groups.get(props.get("GroupId") or "")
        for permission in permissions(props) if group else []:
            if permission in group.get(store, []):
                group[store].remove(permission)

    def update(physical_id, old_props, new_props, stack_name):
        delete(physical_id, old_props)
        create("", new_props, stack_name)
        return physical_id, {"Id": physical_id}

    _add(f"AWS::EC2::SecurityGroup{direction}", create, delete, update)


upstream.require(provisioners, "_ec2_sg_permissions", "_elbv2_merge_attributes")
_security_group_rule("Ingress")
_security_group_rule("Egress")
