"""Policies that AWS manages, and the check of web identity tokens.

Upstream knows only some of AWS's policies, and takes any text as a web identity token. Here a token must be signed by
the key in the --tls folder (RS256), not expired, and meant for an audience of the account's OIDC provider.
"""

import base64
import json
import time

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding
from ministack.services import iam, sts

from emulator import settings, upstream

upstream.require(
    iam, "_aws_managed_policies", "_AWS_MANAGED_POLICY_PREFIX", "_make_aws_managed_record", "_oidc_providers"
)
upstream.require(sts, "_p", "_error")


def _allow(*actions: str, **more) -> dict:
    return {"Effect": "Allow", "Action": list(actions), "Resource": "*", **more}


# Abridged: what deployments need of them.
POLICIES = {
    "AmazonEC2ContainerRegistryFullAccess": [_allow("ecr:*", "cloudtrail:LookupEvents")],
    "AmazonElasticContainerRegistryPublicFullAccess": [_allow("ecr-public:*", "sts:GetServiceBearerToken")],
    "AmazonECS_FullAccess": [
        _allow(
            "ecs:*",
            "application-autoscaling:*",
            "cloudwatch:*",
            "codedeploy:*",
            "ec2:Describe*",
            "elasticloadbalancing:*",
            "events:*",
            "iam:ListAttachedRolePolicies",
            "iam:ListInstanceProfiles",
            "iam:ListRoles",
            "lambda:ListFunctions",
            "logs:CreateLogGroup",
            "logs:DescribeLogGroups",
            "logs:FilterLogEvents",
            "servicediscovery:*",
            "sns:ListTopics",
        ),
        _allow("iam:PassRole", Condition={"StringLike": {"iam:PassedToService": "ecs-tasks.amazonaws.com"}}),
    ],
}

for _name, _statements in POLICIES.items():
    _document = json.dumps({"Version": "2012-10-17", "Statement": _statements})
    iam._aws_managed_policies.setdefault(
        iam._AWS_MANAGED_POLICY_PREFIX + _name, iam._make_aws_managed_record(_name, _document, "abridged")
    )


def _decoded(part: str) -> bytes:
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))


def _claims(token: str) -> dict:
    """The claims of a token with a valid signature; ValueError otherwise."""
    parts = token.split(".")
    if len(parts) != 3:
        raise ValueError("it does not have three parts")
    header, claims = json.loads(_decoded(parts[0])), json.loads(_decoded(parts[1]))
    if header.get("alg") != "RS256":
        raise ValueError("it is not signed with RS256")
    key = serialization.load_pem_public_key((settings.current().tls / "oidc.pub").read_bytes())
    try:
        key.verify(_decoded(parts[2]), f"{parts[0]}.{parts[1]}".encode(), padding.PKCS1v15(), hashes.SHA256())
    except InvalidSignature:
        raise ValueError("its signature is wrong") from None
    return claims


@upstream.replaces(sts, "_web_identity_trust_denied")
def _web_identity_trust_denied(role_arn, params, use_json):
    """Upstream looks at the trust policy only."""
    try:
        claims = _claims(sts._p(params, "WebIdentityToken"))
    except (ValueError, TypeError, AttributeError) as error:
        return sts._error(400, "InvalidIdentityToken", f"Couldn't verify the identity token: {error}", ns="sts")
    if claims.get("exp", 0) < time.time():
        return sts._error(400, "ExpiredTokenException", "Token expired", ns="sts")
    issuer = str(claims.get("iss", "")).split("://", 1)[-1].rstrip("/")
    provider = iam._oidc_providers.get(f"arn:aws:iam::{role_arn.split(':')[4]}:oidc-provider/{issuer}")
    if provider is None:
        return sts._error(
            400, "InvalidIdentityToken", f"No OpenIDConnect provider found in your account for {issuer}", ns="sts"
        )
    audience = claims.get("aud")
    if not set(audience if isinstance(audience, list) else [audience]) & set(provider["ClientIDList"]):
        return sts._error(400, "InvalidIdentityToken", "Incorrect token audience", ns="sts")
    return _web_identity_trust_denied.original(role_arn, params, use_json)
