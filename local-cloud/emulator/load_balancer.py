"""The data plane of the application load balancers: HAProxy, configured from MiniStack's load balancers, listeners,
rules and target groups.

Upstream forwards in Python, whole bodies at a time, to any registered target, and knows neither weights nor idle
timeouts. Here a change of structure (listeners, rules, weights, attributes) is a new configuration and a reload that
loses no connection; a change of targets goes over HAProxy's socket into the slots that every target group has.
"""

import dataclasses
import hashlib
import ipaddress
import logging
import re
import threading
import time

from ministack.core.responses import request_scope
from ministack.services import alb

from emulator import health, settings, upstream
from emulator.haproxy import Failed, HAProxy

upstream.require(alb, "_lbs", "_listeners", "_rules", "_tgs", "_lb_attrs", "_tg_attrs", "_rule_sort_key")

log = logging.getLogger("emulator.load_balancer")

TICK = 0.05
SETTLE = 0.15  # a structure that still changes is not loaded, for at most:
SETTLE_AT_MOST = 1.0
SLOTS = 16
SESSIONS_EVERY = 0.25
REASONS = {
    400: "Bad Request",
    408: "Request Timeout",
    500: "Internal Server Error",
    502: "Bad Gateway",
    503: "Service Temporarily Unavailable",
    504: "Gateway Time-out",
}
API_TIMEOUT = "15m"


def quoted(text: str) -> str:
    """A word of the configuration file, taken literally."""
    text = "".join(character for character in text if character.isprintable())
    return "'" + text.replace("'", "'\"'\"'") + "'"


def wildcard(pattern: str, any_character: str = ".") -> str:
    """The regular expression of a pattern with `*` and `?`."""
    parts = {"*": f"{any_character}*", "?": any_character}
    escaped = "".join(parts.get(character) or re.escape(character) for character in pattern)
    return escaped.replace("'", r"\x27")


def condition(entry: dict) -> str:
    """A rule's condition as an ACL; one that HAProxy cannot express matches nothing."""
    never = "{ always_false }"
    field, values = entry.get("Field", ""), [str(value) for value in entry.get("Values") or []]
    regexes = " ".join(quoted(f"^{wildcard(value)}$") for value in values)
    if field == "path-pattern":
        return f"{{ path -m reg -- {regexes} }}" if values else never
    if field == "host-header":
        return f"{{ var(txn.host) -m reg -i -- {regexes} }}" if values else never
    if field in ("http-request-method", "http-method"):
        return f"{{ method {' '.join(map(quoted, values))} }}" if values else never
    if field == "source-ip":
        try:
            return f"{{ src {' '.join(str(ipaddress.ip_network(value, False)) for value in values)} }}"
        except ValueError:
            return never
    if field == "http-header":
        header = entry.get("HttpHeaderConfig") or {}
        name, patterns = header.get("HttpHeaderName", ""), header.get("Values") or values
        regexes = " ".join(quoted(f"^{wildcard(value)}$") for value in patterns)
        valid = re.fullmatch(r"[A-Za-z0-9_.-]+", name) and patterns
        return f"{{ req.fhdr({name}) -m reg -i -- {regexes} }}" if valid else never
    if field == "query-string":
        expressions = []
        for value in values:
            key, separator, wanted = value.partition("=")
            name = wildcard(key, "[^&=]") if separator and key else "[^&=]*"
            expressions.append(f"(^|&){name}={wildcard(wanted if separator else value, '[^&]')}(&|$)")
        return f"{{ query -m reg -i -- {' '.join(map(quoted, expressions))} }}" if expressions else never
    return never


def weights(action: dict) -> list[tuple[str, int]]:
    """(target group, weight) of a forward action."""
    groups = (action.get("ForwardConfig") or {}).get("TargetGroups") or []
    if not groups:
        return [(action["TargetGroupArn"], 1)] if action.get("TargetGroupArn") else []
    single = len(groups) == 1
    return [(group["TargetGroupArn"], 1 if single else int(group.get("Weight", 1))) for group in groups]


@dataclasses.dataclass
class Structure:
    """What a configuration is made of, but for the servers."""

    frontend: list[str]
    groups: dict[str, dict]  # by ARN: name of the backend and its options
    bodies: dict[str, bytes]
    timeout: int


def backend_name(arn: str) -> str:
    """The backend of a target group."""
    name = re.sub(r"[^A-Za-z0-9-]", "-", arn.rsplit("/", 2)[-2])
    return f"tg-{name}-{hashlib.sha256(arn.encode()).hexdigest()[:8]}"


def structure() -> Structure:
    """Reads MiniStack's state."""
    result = Structure([], {}, {}, 60)
    pick: list[str] = []
    rules: list[str] = []
    act: list[str] = []
    for (account, region, arn), balancer in sorted(alb._lbs.all_items()):
        with request_scope(account, region):
            idle = int(float(alb._lb_attr(arn, "idle_timeout.timeout_seconds", "60")))
            result.timeout = max(result.timeout, idle)
            names = {balancer["LoadBalancerName"].lower() + ".alb.localhost", balancer["DNSName"].lower()}
            names = " ".join(map(quoted, sorted(names)))
            here = f"{{ var(txn.host) -m str {names} }}"
            listeners = [
                entry
                for entry in alb._listeners.values()
                if entry["LoadBalancerArn"] == arn and entry.get("Protocol", "HTTP") == "HTTP"
            ]
            listeners.sort(key=lambda entry: (int(entry.get("Port", 80)) != 80, int(entry.get("Port", 80))))
            if not listeners:
                pick.append(f"http-request return {ready_made(503)} if {here}")
            ports = [f"{{ var(txn.port) -m int {int(entry['Port'])} }}" for entry in listeners]
            for listener, where in [*zip(listeners, ports, strict=True), *((entry, "") for entry in listeners[:1])]:
                name = "l-" + listener["ListenerArn"].rsplit("/", 1)[-1]
                pick.append(
                    f"http-request set-var(txn.listener) str({name}) if {here} {where} "
                    "!{ var(txn.listener) -m found }"
                )
            for listener in listeners:
                _listener(result, arn, listener, idle, rules, act)
    result.frontend = pick + rules + _forwarded_headers() + act
    return result


def _listener(result: Structure, balancer: str, listener: dict, idle: int, rules: list[str], act: list[str]) -> None:
    name, port = "l-" + listener["ListenerArn"].rsplit("/", 1)[-1], int(listener.get("Port", 80))
    here = f"{{ var(txn.listener) -m str {name} }}"
    protocol = (listener.get("Protocol") or "HTTP").lower()
    rules.append(f"http-request set-var(txn.idle) int({idle * 1000}) if {here}")
    rules.append(f"http-request set-var(txn.listener_port) int({port}) if {here}")
    rules.append(f"http-request set-var(txn.listener_protocol) str({protocol}) if {here}")
    if alb._lb_attr(balancer, "routing.http.preserve_host_header.enabled", "false") != "true":
        host = "%[var(txn.host)]" + ("" if port in (80, 443) else f":{port}")
        act.append(f"http-request set-header Host {host} if {here}")
    own = [rule for rule in alb._rules.values() if rule.get("ListenerArn") == listener["ListenerArn"]]
    for rule in sorted(own, key=alb._rule_sort_key):
        label = "r-" + rule["RuleArn"].rsplit("/", 1)[-1]
        wanted = "" if rule.get("IsDefault") else " ".join(map(condition, rule.get("Conditions") or []))
        rules.append(f"http-request set-var(txn.rule) str({label}) if {here} {wanted} !{{ var(txn.rule) -m found }}")
        actions = rule.get("Actions") or listener.get("DefaultActions") or []
        last = max(actions, key=lambda action: int(action.get("Order") or 1), default={})
        _action(result, label, last, act)


def _action(result: Structure, label: str, action: dict, act: list[str]) -> None:
    here, kind = f"{{ var(txn.rule) -m str {label} }}", (action.get("Type") or "").lower()
    server = "hdr Server awselb/2.0"
    if kind == "fixed-response":
        answer = action.get("FixedResponseConfig") or {}
        body = str(answer.get("MessageBody", "")).encode()
        file = f"body-{hashlib.sha256(body).hexdigest()[:16]}.txt"
        result.bodies[file] = body
        content = quoted(answer.get("ContentType") or "text/plain")
        filled = f"content-type {content} file {file}" if body else ""
        act.append(f"http-request return status {int(answer.get('StatusCode', 200))} {filled} {server} if {here}")
    elif kind == "redirect":
        target = action.get("RedirectConfig") or {}
        act.append(f"http-request set-var-fmt(txn.query) ?%[query] if {here} {{ query -m len gt 0 }}")
        query = target.get("Query", "#{query}")
        location = (
            f"{target.get('Protocol', '#{protocol}')}://{target.get('Host', '#{host}')}:{target.get('Port', '#{port}')}"
            f"{target.get('Path', '/#{path}')}"
        ).replace("%", "%%")
        location += "%[var(txn.query)]" if query == "#{query}" else "?" + query.replace("%", "%%") if query else ""
        for key, value in {
            "#{protocol}": "%[var(txn.listener_protocol)]",
            "#{host}": "%[var(txn.host)]",
            "#{port}": "%[var(txn.port)]",
            "#{path}": "%[path,regsub(^/,)]",
            "#{query}": "%[query]",
        }.items():
            location = location.replace(key, value)
        location = re.sub(r"^(HTTPS?)(?=:)", lambda match: match[1].lower(), location)
        status = int(str(target.get("StatusCode", "HTTP_302")).replace("HTTP_", ""))
        act.append(f"http-request set-var(txn.port) var(txn.listener_port) if {here} {{ var(txn.port) -m int 0 }}")
        act.append(f"http-request return status {status} {server} hdr Location {quoted(location)} if {here}")
    elif kind == "forward":
        shares = [(arn, weight) for arn, weight in weights(action) if arn in alb._tgs]
        total = sum(weight for _, weight in shares)
        for arn, _ in shares:
            algorithm = health.attribute(arn, "load_balancing.algorithm.type", "round_robin")
            result.groups[arn] = {
                "name": backend_name(arn),
                "algorithm": algorithm,
                "protocol": alb._tgs[arn].get("Protocol", "HTTP"),
                "empty": all(target.state == "draining" for target in health.in_group(arn)),
            }
        if not total:
            act.append(f"http-request return {ready_made(503)} if {here}")
            return
        if len(shares) > 1:
            act.append(f"http-request set-var(txn.draw) rand({total}) if {here}")
        reached = 0
        for arn, weight in shares:
            reached += weight
            drawn = f"{{ var(txn.draw) -m int lt {reached} }}" if len(shares) > 1 else ""
            if weight:
                act.append(
                    f"http-request set-var(txn.group) str({backend_name(arn)}) if {here} {drawn} "
                    "!{ var(txn.group) -m found }"
                )
    else:
        act.append(f"http-request return {ready_made(500)} if {here}")


def _forwarded_headers() -> list[str]:
    """X-Forwarded-* and X-Amzn-Trace-Id, as a load balancer sets them."""
    here = "{ var(txn.listener) -m found }"
    trace, identifier = "req.fhdr(X-Amzn-Trace-Id)", "1-%[date,hex,bytes(8,8),lower]-%[uuid,regsub(-,,g),bytes(0,24)]"
    return [
        "http-request set-var(txn.before) req.fhdr(X-Forwarded-For)",
        f"http-request set-header X-Forwarded-For '%[var(txn.before)], %[src]' if {here} "
        "{ var(txn.before) -m found }",
        f"http-request set-header X-Forwarded-For %[src] if {here} !{{ var(txn.before) -m found }}",
        f"http-request set-header X-Forwarded-Proto %[var(txn.listener_protocol)] if {here}",
        f"http-request set-header X-Forwarded-Port %[var(txn.listener_port)] if {here}",
        f"http-request set-var(txn.trace) {trace} if {here}",
        f"http-request set-var-fmt(txn.trace_id) {identifier} if {here}",
        f"http-request set-header X-Amzn-Trace-Id Root=%[var(txn.trace_id)] if {here} "
        "!{ var(txn.trace) -m sub Root= }",
        f"http-request set-header X-Amzn-Trace-Id Self=%[var(txn.trace_id)];%[var(txn.trace)] if {here} "
        "{ var(txn.trace) -m sub Root= } !{ var(txn.trace) -m sub Self= }",
        f"http-request replace-header X-Amzn-Trace-Id (.*)Self=[^;]*(.*) \\1Self=%[var(txn.trace_id)]\\2 if {here} "
        "{ var(txn.trace) -m sub Self= }",
    ]


def ready_made(code: int) -> str:
    """The load balancer's own answer, for `http-request return`."""
    return f"status {code} content-type text/html file error-{code}.html hdr Server awselb/2.0"


def _page(code: int) -> bytes:
    title = f"{code} {REASONS[code]}"
    return (
        f"<html>\r\n<head><title>{title}</title></head>\r\n<body>\r\n<center><h1>{title}</h1></center>\r\n"
        "</body>\r\n</html>\r\n"
    ).encode()


@dataclasses.dataclass
class Slot:
    """A server of a backend: the target in it, and the weight that HAProxy knows."""

    key: health.Key | None = None
    weight: int = 0


class DataPlane:
    """Keeps HAProxy in step with MiniStack."""

    def __init__(self, options: settings.Settings, api_port: int, addresses: list[str]):
        self.options, self.api_port, self.addresses = options, api_port, addresses
        self.haproxy = HAProxy(options.haproxy, options.run)
        self.slots: dict[str, list[Slot]] = {}  # by target group
        self.loaded: Structure | None = None
        self.grown = False  # slots were added that HAProxy does not have
        self.pending: tuple[Structure, float, float] | None = None  # with its first and its last change
        self.open: dict[tuple[str, str], int] = {}
        self.draining: dict[health.Key, float] = {}  # since when HAProxy knows
        self.counted = 0.0
        self.lock = threading.Lock()

    def start(self) -> None:
        """Starts HAProxy and the thread that follows MiniStack's state."""
        for code in REASONS:
            (self.options.run / f"error-{code}.html").write_bytes(_page(code))
            (self.options.run / f"error-{code}.http").write_bytes(
                f"HTTP/1.1 {code} {REASONS[code]}\r\nServer: awselb/2.0\r\nContent-Type: text/html\r\n"
                f"Content-Length: {len(_page(code))}\r\n\r\n".encode()
                + _page(code)
            )
        health.open_requests = self.open_requests
        first = structure()
        self._place(first)
        self.haproxy.start(self._configuration(first))
        self.loaded = first
        threading.Thread(target=self._run, daemon=True, name="emulator-load-balancer").start()

    def open_requests(self, key: health.Key) -> int | None:
        """Open requests of a draining target; None until that is known."""
        with self.lock:
            if not self.loaded or key.group not in self.loaded.groups:
                return 0
            for number, slot in enumerate(self.slots.get(key.group, []), 1):
                if slot.key == key:
                    if self.counted <= self.draining.get(key, float("inf")):
                        return None
                    return self.open.get((backend_name(key.group), f"s{number}"), 0)
        return 0

    def _run(self) -> None:
        while True:
            try:
                self._tick()
            except (Failed, OSError) as error:
                log.error("%s", error)
                time.sleep(0.5)
            except Exception:
                log.exception("load balancer")
                time.sleep(0.5)
            time.sleep(TICK)

    def _tick(self) -> None:
        wanted, now = structure(), time.monotonic()
        self._place(wanted)
        if wanted == self.loaded and not self.grown:
            self.pending = None
        else:
            if self.pending is None or self.pending[0] != wanted:
                self.pending = (wanted, self.pending[1] if self.pending else now, now)
            if now - self.pending[2] >= SETTLE or now - self.pending[1] >= SETTLE_AT_MOST:
                self.haproxy.reload(self._configuration(wanted))
                with self.lock:
                    self.loaded, self.pending, self.grown = wanted, None, False
                log.info("configuration of %d target groups loaded", len(wanted.groups))
        self._tell()
        draining = [slot.key for slots in self.slots.values() for slot in slots if slot.key and not slot.weight]
        with self.lock:
            self.draining = {key: self.draining.get(key, now) for key in draining if health.state(key) == "draining"}
        if self.draining and now - self.counted >= SESSIONS_EVERY:
            started = time.monotonic()
            sessions = self.haproxy.sessions()
            with self.lock:
                self.open, self.counted = sessions, started

    def _place(self, wanted: Structure) -> None:
        """Makes room for the groups' targets."""
        with self.lock:
            for arn in wanted.groups:
                slots = self.slots.setdefault(arn, [Slot() for _ in range(SLOTS)])
                needed = len(health.in_group(arn))
                while len(slots) < needed + 4:
                    slots.extend(Slot() for _ in range(SLOTS))
                    self.grown = True

    def _weights(self, arn: str) -> dict[health.Key, int]:
        """Which targets of a group get requests: the healthy ones, or all that are registered when none is."""
        targets = health.in_group(arn)
        registered = [target for target in targets if target.state != "draining"]
        chosen = [target for target in registered if target.state == "healthy"] or registered
        return {target.key: 100 * (target in chosen) for target in targets}

    def _tell(self) -> None:
        """Brings the servers of the running worker up to date."""
        for arn, group in self.loaded.groups.items():
            wanted, commands = self._weights(arn), []
            slots = self.slots[arn]
            with self.lock:
                for number, slot in enumerate(slots, 1):
                    server = f"{group['name']}/s{number}"
                    if slot.key and slot.key not in wanted:
                        commands.append(f"set server {server} state maint")
                        slot.key, slot.weight = None, 0
                    elif slot.key and slot.weight != wanted[slot.key]:
                        slot.weight = wanted[slot.key]
                        commands.append(f"set server {server} weight {slot.weight}")
                placed = {slot.key for slot in slots}
                for key in wanted:
                    if key in placed:
                        continue
                    number = next((number for number, slot in enumerate(slots, 1) if slot.key is None), 0)
                    if not number:
                        break  # _place() makes room
                    slots[number - 1].key, slots[number - 1].weight = key, wanted[key]
                    server = f"{group['name']}/s{number}"
                    commands += [
                        f"set server {server} addr {key.address} port {key.port}",
                        f"set server {server} weight {wanted[key]}",
                        f"set server {server} state ready",
                    ]
            if commands:
                log.debug("%s", commands)
                self.haproxy.command(*commands)

    def _configuration(self, wanted: Structure) -> str:
        run, options = self.options.run, self.options
        for file, body in wanted.bodies.items():
            (run / file).write_bytes(body)
        lines = [
            "# Generated: a change here is lost.",
            "global",
            f"    stats socket unix@{self.haproxy.worker_socket} mode 600 level admin expose-fd listeners",
            "    hard-stop-after 30m",
            "    tune.bufsize 32768",
            "    tune.ssl.default-dh-param 2048",
            "defaults",
            "    mode http",
            "    option http-keep-alive",
            "    option idle-close-on-response",  # a reload does not cut idle clients off
            "    option dontlognull",
            "    timeout connect 10s",
            f"    timeout client {wanted.timeout}s",
            f"    timeout http-request {wanted.timeout}s",
            f"    timeout http-keep-alive {wanted.timeout}s",
            f"    timeout server {wanted.timeout}s",
            f"    timeout tunnel {wanted.timeout}s",
            *(f"    errorfile {code} error-{code}.http" for code in REASONS),
            "frontend http",
            *(f"    bind {address}:{options.http_port}" for address in self.addresses),
            "    http-request set-var(txn.host) req.hdr(host),host_only,lower",
            "    http-request set-var(txn.port) req.hdr(host),port_only",
            *(f"    {line}" for line in wanted.frontend),
            # A load balancer that does not exist; on AWS its name does not, either.
            f"    http-request return {ready_made(503)} if !{{ var(txn.listener) -m found }} "
            "{ var(txn.host) -m end .alb.localhost .elb.amazonaws.com }",
            f"    http-request return {ready_made(503)} if {{ var(txn.listener) -m found }} "
            "!{ var(txn.group) -m found }",
            "    use_backend %[var(txn.group)] if { var(txn.group) -m found }",
            "    default_backend api",
            "frontend https",
            *(
                f"    bind {address}:{options.https_port} ssl crt {options.tls / 'server.pem'}"
                for address in self.addresses
            ),
            "    http-request set-header X-Forwarded-Proto https",
            "    default_backend api",
            "backend api",
            f"    timeout server {API_TIMEOUT}",
            "    option forwardfor",
            f"    server api 127.0.0.1:{self.api_port}",
        ]
        with self.lock:
            for arn, group in wanted.groups.items():
                wanted_weights = self._weights(arn)
                leastconn = group["algorithm"] == "least_outstanding_requests"
                lines += [
                    f"backend {group['name']}",
                    f"    balance {'leastconn' if leastconn else 'roundrobin'}",
                    "    http-reuse safe",
                    "    option redispatch 1",
                    "    retries 3",
                    "    retry-on conn-failure",
                    "    http-request set-timeout server var(txn.idle)",
                    "    http-request set-timeout tunnel var(txn.idle)",
                ]
                if group["empty"]:
                    lines.append(f"    http-request return {ready_made(503)}")
                else:  # there are targets, and none takes the connection
                    lines.append("    errorfile 503 error-502.http")
                tls = " ssl verify none" if group["protocol"] == "HTTPS" else ""
                for number, slot in enumerate(self.slots[arn], 1):
                    if slot.key:
                        slot.weight = wanted_weights.get(slot.key, 0)
                        lines.append(
                            f"    server s{number} {slot.key.address}:{slot.key.port} weight {slot.weight}{tls}"
                        )
                    else:
                        lines.append(f"    server s{number} 127.0.0.1:9 weight 0 disabled{tls}")
        return "\n".join(lines) + "\n"
