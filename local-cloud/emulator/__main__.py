"""Command line: `certificates` and `serve`."""

import argparse
import ipaddress
import sys
from pathlib import Path


def _port(text: str) -> int:
    number = int(text) if text.isdigit() else 0
    if not 0 < number < 65536:
        raise argparse.ArgumentTypeError(f"{text!r} is not a port (1 to 65535)")
    return number


def _address(text: str) -> str:
    try:
        address = ipaddress.IPv4Address(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r} is not an IPv4 address") from error
    if address.is_unspecified:
        raise argparse.ArgumentTypeError("the wildcard address is refused: this is for one machine only")
    return text


def _speedup(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = 0.0
    if not 1 <= number <= 1000:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 1 to 1000")
    return number


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m emulator", description=__import__("emulator").__doc__)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    help_ = "create what is missing of the CA, the server certificate and the OIDC key"
    certificates = commands.add_parser("certificates", help=help_, description=help_)
    certificates.add_argument("folder", type=Path, metavar="DIR", help="folder for the files; created when missing")
    certificates.add_argument(
        "--bridge-address",
        type=_address,
        default="10.213.0.1",
        metavar="IP",
        help="also valid for this address, by which containers reach the host (default %(default)s)",
    )

    help_ = "run the local AWS in the foreground until SIGTERM or SIGINT"
    serve = commands.add_parser(
        "serve",
        help=help_,
        description=help_,
        epilog="Ready when http://127.0.0.1:<http-port>/_ministack/health answers 200. Task containers are left alone "
        "at the end; they carry the label com.amazonaws.ecs.task-arn, and the next start removes them.",
    )
    serve.add_argument("--run", type=Path, required=True, metavar="DIR", help="folder for configuration and sockets")
    serve.add_argument("--tls", type=Path, required=True, metavar="DIR", help="folder made by `certificates`")
    serve.add_argument("--http-port", type=_port, default=80, metavar="N", help="AWS API, load balancers (default 80)")
    serve.add_argument("--https-port", type=_port, default=443, metavar="N", help="registries, by TLS (default 443)")
    serve.add_argument("--bind", type=_address, default="127.0.0.1", metavar="IP", help="address to listen on")
    serve.add_argument(
        "--bridge-address",
        type=_address,
        default="10.213.0.1",
        metavar="IP",
        help="second address to listen on: the host on the containers' bridge (default %(default)s)",
    )
    serve.add_argument(
        "--docker-host",
        required=True,
        metavar="URL",
        help="the engine that runs the tasks, as in unix:///path/to/socket",
    )
    serve.add_argument(
        "--speedup",
        type=_speedup,
        default=10.0,
        metavar="N",
        help="divides AWS's waiting times: health-check intervals, grace periods, deregistration delays (default 10)",
    )
    serve.add_argument("--haproxy", default="haproxy", metavar="PATH", help="the HAProxy program (default: from PATH)")
    serve.add_argument(
        "--public-alias",
        default="bifora",
        metavar="NAME",
        help="the account's alias in public.ecr.aws (default %(default)s)",
    )
    return parser


def main() -> int:
    """Runs the command; the exit code is 0, 1 for a failure, or 2 for wrong usage."""
    arguments = vars(_parser().parse_args())
    command = arguments.pop("command")
    try:
        if command == "certificates":
            from emulator import certificates

            written = certificates.create(arguments["folder"], arguments["bridge_address"])
            print(f"{arguments['folder']}: {', '.join(written) + ' written' if written else 'nothing to do'}")
            return 0
        from emulator import server, settings

        for name in ("run", "tls"):
            arguments[name] = arguments[name].absolute()
        return server.serve(settings.Settings(**arguments))
    except (OSError, RuntimeError) as error:
        print(f"emulator: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
