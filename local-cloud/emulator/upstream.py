"""The seam to MiniStack: its version is pinned, and whatever is replaced must be there with the same parameters."""

import importlib.metadata
import inspect

VERSION = "1.5.33"


class UpstreamChanged(Exception):
    """The installed MiniStack is not the one that the patches were written for."""


def check_version() -> None:
    """Refuses any version but the pinned one."""
    try:
        installed = importlib.metadata.version("ministack")
    except importlib.metadata.PackageNotFoundError:
        raise UpstreamChanged(f"ministack {VERSION} is not installed: pip install -r requirements.txt") from None
    if installed != VERSION:
        raise UpstreamChanged(f"ministack {installed} is installed, the patches are for {VERSION}")


def replaces(module, name: str):
    """Decorator: the function takes the place of `module.name`, also in the module's tables of handlers.

    The replaced function is the new one's attribute `original`.
    """

    def decorate(new):
        old = getattr(module, name, None)
        if old is None:
            raise UpstreamChanged(f"{module.__name__}.{name}, which is patched here, does not exist in ministack")
        expected, given = list(inspect.signature(old).parameters), list(inspect.signature(new).parameters)
        if expected != given:
            raise UpstreamChanged(f"{module.__name__}.{name} takes {expected}, its patch takes {given}")
        new.original = old
        setattr(module, name, new)
        for table in [value for key, value in vars(module).items() if isinstance(value, dict) and key.isupper()]:
            _swap(table, old, new)
        return new

    return decorate


def _swap(table: dict, old, new) -> None:
    for key, value in table.items():
        if value is old:
            table[key] = new
        elif isinstance(value, dict) and any(entry is old for entry in value.values()):
            _swap(value, old, new)


def require(module, *names: str) -> None:
    """Refuses a MiniStack that lacks a function or store which the patches call."""
    missing = [name for name in names if not hasattr(module, name)]
    if missing:
        raise UpstreamChanged(f"{module.__name__} lacks {', '.join(missing)}, which the patches use")
