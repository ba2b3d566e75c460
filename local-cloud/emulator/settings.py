"""What `serve` was started with, for every module."""

import dataclasses
from pathlib import Path


@dataclasses.dataclass(frozen=True)
class Settings:
    """The options of `serve`."""

    run: Path
    tls: Path
    http_port: int
    https_port: int
    bind: str
    bridge_address: str
    docker_host: str
    speedup: float
    haproxy: str
    public_alias: str

    def hurried(self, seconds: float, minimum: float = 0.0) -> float:
        """A waiting time of AWS, divided by the speed-up, but not below `minimum`."""
        return max(minimum, float(seconds) / self.speedup)


_current: Settings | None = None


def configure(settings: Settings) -> None:
    """Sets the options; once, before any module that patches MiniStack is imported."""
    global _current
    _current = settings


def current() -> Settings:
    """The options of this process."""
    if _current is None:
        raise RuntimeError("emulator.settings.configure() comes first")
    return _current
