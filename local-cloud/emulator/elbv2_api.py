"""The ELBv2 API's weighted forward actions and query-string conditions, which upstream drops."""

from xml.sax.saxutils import escape

from ministack.services import alb

from emulator import upstream

upstream.require(alb, "_p")


@upstream.replaces(alb, "_parse_actions")
def _parse_actions(params, prefix="DefaultActions"):
    """Upstream drops `ForwardConfig`."""
    actions = _parse_actions.original(params, prefix)
    for number, action in enumerate(actions, 1):
        base, groups = f"{prefix}.member.{number}.ForwardConfig.TargetGroups.member", []
        while arn := alb._p(params, f"{base}.{len(groups) + 1}.TargetGroupArn"):
            weight = alb._p(params, f"{base}.{len(groups) + 1}.Weight", "1")
            groups.append({"TargetGroupArn": arn, "Weight": int(weight)})
        if groups:
            action["ForwardConfig"] = {"TargetGroups": groups}
            if len(groups) == 1:
                action["TargetGroupArn"] = groups[0]["TargetGroupArn"]
    return actions


@upstream.replaces(alb, "_action_xml")
def _action_xml(a):
    """Upstream does not show `ForwardConfig`."""
    xml = _action_xml.original(a)
    groups = (a.get("ForwardConfig") or {}).get("TargetGroups") or []
    if not groups:
        return xml
    members = "".join(
        f"<member><TargetGroupArn>{escape(group['TargetGroupArn'])}</TargetGroupArn>"
        f"<Weight>{int(group.get('Weight', 1))}</Weight></member>"
        for group in groups
    )
    forward = f"<ForwardConfig><TargetGroups>{members}</TargetGroups></ForwardConfig>"
    return xml.removesuffix("</member>") + forward + "</member>"


@upstream.replaces(alb, "_parse_conditions")
def _parse_conditions(params, prefix="Conditions"):
    """Upstream drops `QueryStringConfig`."""
    conditions = _parse_conditions.original(params, prefix)
    for number, condition in enumerate(conditions, 1):
        base, values = f"{prefix}.member.{number}.QueryStringConfig.Values.member", []
        while value := alb._p(params, f"{base}.{len(values) + 1}.Value"):
            key = alb._p(params, f"{base}.{len(values) + 1}.Key")
            values.append(f"{key}={value}" if key else value)
        if values:
            condition["Values"] = values
    return conditions


@upstream.replaces(alb, "_condition_xml")
def _condition_xml(c):
    """Upstream does not show `QueryStringConfig`, and does not escape values."""
    if c.get("Field") != "query-string":
        escaped = {**c, "Values": [escape(str(value)) for value in c.get("Values") or []]}
        return _condition_xml.original(escaped)
    members = ""
    for value in c.get("Values") or []:
        key, separator, wanted = value.partition("=")
        named = f"<Key>{escape(key)}</Key>" if separator else ""
        members += f"<member>{named}<Value>{escape(wanted if separator else value)}</Value></member>"
    return (
        f"<member><Field>query-string</Field><QueryStringConfig><Values>{members}</Values></QueryStringConfig></member>"
    )
