"""`serve`: checks what it needs, starts MiniStack with its patches and HAProxy before it, and ends both."""

import asyncio
import http.client
import importlib
import logging
import os
import shutil
import signal
import socket
import sys
import threading
import time

from emulator import settings, upstream

log = logging.getLogger("emulator")

API_WITHIN = 60.0
HAPROXY_STOP_WITHIN = 1.5
IDLE_SECONDS = 120  # of connections between HAProxy and the API; HAProxy ends them first
# What is imported for what it changes in MiniStack.
PATCHES = (
    "cloudformation",
    "ecr_public",
    "ecs",
    "ecs_permissions",
    "elbv2_api",
    "health",
    "iam",
    "load_balancer",
    "metadata",
    "refusals",
    "scheduler",
)
TLS_FILES = ("server.pem", "oidc.pub")


class Refused(RuntimeError):
    """`serve` cannot start; the message is for the one who started it."""


def serve(options: settings.Settings) -> int:
    """Runs until a signal or a failure; does not return, but ends the process with its exit code."""
    addresses = _addresses(options)
    _check(options, addresses)
    upstream.check_version()
    settings.configure(options)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    plane = None
    code = 1
    try:
        listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
        api_port = listener.getsockname()[1]
        _prepare_environment(options)
        api, tasks, plane, follow = _assemble(options, api_port, addresses)
        tasks()
        server = threading.Thread(target=_run_api, args=(api, listener), daemon=True, name="emulator-api")
        server.start()
        _await_api(api_port, server, stop)
        if not stop.is_set():
            plane.start()
            follow()
            log.info("ready: http://%s:%d", options.bind, options.http_port)
        while not stop.wait(0.1):
            if plane.haproxy.process.poll() is not None:
                raise Refused(f"HAProxy ended unexpectedly, with exit code {plane.haproxy.process.returncode}")
            if not server.is_alive():
                raise Refused("the API ended unexpectedly")
        code = 0
    except upstream.UpstreamChanged as error:
        print(f"emulator: {error}", file=sys.stderr)
    except (RuntimeError, OSError) as error:
        print(f"emulator: {error}", file=sys.stderr)
    finally:
        if plane:
            plane.haproxy.stop(HAPROXY_STOP_WITHIN)
        logging.shutdown()
        sys.stdout.flush()
        sys.stderr.flush()
        # MiniStack's threads do not end by themselves, and its own shutdown would remove the containers.
        os._exit(code)


def _addresses(options: settings.Settings) -> list[str]:
    """Where to listen: the bind address, the bridge's, and the IPv6 loopback if there is one."""
    addresses = list(dict.fromkeys([options.bind, options.bridge_address]))
    if options.bind == "127.0.0.1":
        try:
            with socket.socket(socket.AF_INET6, socket.SOCK_STREAM) as probe:
                probe.bind(("::1", 0))
            addresses.append("[::1]")
        except OSError:
            pass
    return addresses


def _check(options: settings.Settings, addresses: list[str]) -> None:
    if options.http_port == options.https_port:
        raise Refused("--http-port and --https-port are the same")
    if shutil.which(options.haproxy) is None:
        raise Refused(f"{options.haproxy}: no such program; install HAProxy, or name it with --haproxy")
    for name in TLS_FILES:
        if not (options.tls / name).is_file():
            raise Refused(f"{options.tls / name} is missing: python -m emulator certificates {options.tls}")
    for address in addresses:
        for port in (options.http_port, options.https_port):
            family = socket.AF_INET6 if address.startswith("[") else socket.AF_INET
            with socket.socket(family, socket.SOCK_STREAM) as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                try:
                    probe.bind((address.strip("[]"), port))
                    probe.listen(1)
                except OSError as error:
                    raise Refused(f"cannot listen on {address}:{port}: {error.strerror}") from error
    options.run.mkdir(parents=True, exist_ok=True)
    options.run.chmod(0o700)
    import docker
    import docker.errors

    try:
        docker.DockerClient(base_url=options.docker_host, timeout=10).ping()
    except (docker.errors.DockerException, OSError) as error:
        raise Refused(f"the engine at {options.docker_host} does not answer: {error}") from error


def _prepare_environment(options: settings.Settings) -> None:
    """MiniStack reads its settings from the environment when it is imported."""
    os.environ.update(
        {
            "GATEWAY_PORT": str(options.http_port),
            "DOCKER_HOST": options.docker_host,
            "PERSIST_STATE": "0",
            "IOT_MTLS_ENABLED": "0",
            "SFTP_ENABLED": "0",
            "MINISTACK_DOCKER_TIMEOUT": "60",
            "MINISTACK_HOST": "localhost",
        }
    )
    os.environ.setdefault("AUTH", "true")
    os.environ.setdefault("LOG_LEVEL", "INFO")
    for name in ("EDGE_PORT", "BIND_HOST", "USE_SSL"):
        os.environ.pop(name, None)


def _assemble(options: settings.Settings, api_port: int, addresses: list[str]):
    """Imports MiniStack, and with them the modules that patch it."""
    from ministack import app

    for name in PATCHES:
        importlib.import_module(f"emulator.{name}")
    from emulator import ecs, health, load_balancer, scheduler

    log.info("ministack %s with %d patches", upstream.VERSION, len(PATCHES))

    def follow() -> None:
        health.start()
        scheduler.start()

    return app.app, ecs.start, load_balancer.DataPlane(options, api_port, addresses), follow


def _run_api(app, listener: socket.socket) -> None:
    import hypercorn.asyncio
    import hypercorn.config

    config = hypercorn.config.Config()
    config.bind = [f"fd://{listener.detach()}"]
    config.keep_alive_timeout = IDLE_SECONDS
    config.loglevel = os.environ["LOG_LEVEL"].upper()

    async def never() -> None:
        await asyncio.Event().wait()

    try:
        asyncio.run(hypercorn.asyncio.serve(app, config, shutdown_trigger=never))
    except Exception:
        log.exception("the API")


def _await_api(port: int, server: threading.Thread, stop: threading.Event) -> None:
    end, reason = time.monotonic() + API_WITHIN, "no answer"
    while time.monotonic() < end and not stop.is_set():
        if not server.is_alive():
            raise Refused("the API ended at its start")
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
        try:
            connection.request("GET", "/_ministack/health")
            reason = f"status {(answer := connection.getresponse()).status}"
            if answer.status == 200:
                return
        except OSError as error:
            reason = str(error)
        finally:
            connection.close()
        time.sleep(0.05)
    if not stop.is_set():
        raise Refused(f"the API is not up after {API_WITHIN:.0f} s: {reason}")
