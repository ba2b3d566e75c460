"""The HAProxy process: started in the foreground as master and worker, reloaded without losing a connection, and told
about servers over its sockets."""

import csv
import ctypes
import logging
import os
import signal
import socket
import subprocess
import time
from pathlib import Path

log = logging.getLogger("emulator.haproxy")

RELOAD_WITHIN = 10.0
COMPLAINTS = ("No such", "Unknown", "Invalid", "Require", "error", "not ", "can't", "must")
SIGTERM_ON_PARENT_DEATH = 1  # PR_SET_PDEATHSIG


class Failed(RuntimeError):
    """HAProxy refused a configuration or does not answer."""


class HAProxy:
    """One HAProxy with its configuration file and sockets in a folder."""

    def __init__(self, program: str, folder: Path):
        self.program, self.folder = program, folder
        self.configuration = folder / "haproxy.cfg"
        # Short relative names: the path of a unix socket has 107 characters at most.
        self.master_socket, self.worker_socket = "haproxy-master.sock", "haproxy.sock"
        self.process: subprocess.Popen | None = None
        self.worker = 0

    def start(self, text: str) -> None:
        """Starts with a configuration; returns when the worker answers."""
        self._write(text)
        libc = ctypes.CDLL(None)

        def tie_to_parent() -> None:
            libc.prctl(SIGTERM_ON_PARENT_DEATH, signal.SIGTERM)

        self.process = subprocess.Popen(
            [self.program, "-W", "-S", f"unix@{self.master_socket},mode,600", "-f", self.configuration.name],
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            preexec_fn=tie_to_parent,
        )
        self._await_worker(0)

    def reload(self, text: str) -> None:
        """Hands over to a new worker; the old one finishes what it has."""
        self._write(text)
        self._ask(self.master_socket, "reload")
        self._await_worker(self.worker)

    def stop(self, within: float) -> None:
        """Ends master and workers."""
        if self.process and self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(within)
            except subprocess.TimeoutExpired:
                for pid in self._workers_of_master():
                    os.kill(pid, signal.SIGKILL)
                self.process.kill()
                self.process.wait()

    def command(self, *commands: str) -> None:
        """Commands for all workers: clients whose connections an old worker still has are to be sent right, too.

        What the current worker complains about is logged; an old one may not have the server.
        """
        for pid, _ in self._workers():
            for command in commands:  # one at a time: the master passes on only the first of several
                answer = self._ask(self.master_socket, f"@!{pid} {command}").strip()
                if pid == self.worker and any(word in answer for word in COMPLAINTS):
                    log.warning("%s: %s", command, answer)

    def sessions(self) -> dict[tuple[str, str], int]:
        """Open requests by (backend, server), of all workers."""
        total: dict[tuple[str, str], int] = {}
        for pid, _ in self._workers():
            rows = self._ask(self.master_socket, f"@!{pid} show stat -1 4 -1").lstrip("# ").splitlines()
            for row in csv.DictReader(rows):
                name = (row["pxname"], row["svname"])
                total[name] = total.get(name, 0) + int(row["scur"] or 0) + int(row["qcur"] or 0)
        return total

    def _write(self, text: str) -> None:
        candidate = self.configuration.with_suffix(".new")
        candidate.write_text(text)
        check = subprocess.run(
            [self.program, "-c", "-f", candidate.name],
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        if check.returncode:
            reasons = " ".join(line for line in check.stderr.splitlines() if "[ALERT]" in line)
            raise Failed(f"HAProxy refuses {candidate}: {reasons}")
        candidate.replace(self.configuration)

    def _ask(self, name: str, line: str) -> str:
        """One command over a socket, addressed by way of the folder's descriptor, whatever the length of its path."""
        folder = os.open(self.folder, os.O_PATH)
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
                connection.settimeout(5)
                connection.connect(f"/proc/self/fd/{folder}/{name}")
                connection.sendall(line.encode() + b"\n")
                connection.shutdown(socket.SHUT_WR)  # no further command
                parts = []
                while part := connection.recv(65536):
                    parts.append(part)
            return b"".join(parts).decode(errors="replace")
        finally:
            os.close(folder)

    def _workers(self) -> list[tuple[int, int]]:
        """(pid, number of reloads since its start) of every worker, the current one first."""
        found = []
        for row in self._ask(self.master_socket, "show proc").splitlines():
            fields = row.split()
            if len(fields) > 2 and fields[0].isdigit() and fields[1] == "worker":
                found.append((int(fields[0]), int(fields[2])))
        return sorted(found, key=lambda entry: entry[1])

    def _workers_of_master(self) -> list[int]:
        try:
            children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text()
        except OSError:
            return []
        return [int(pid) for pid in children.split()]

    def _await_worker(self, previous: int) -> None:
        """Waits until a worker other than the previous one owns the socket."""
        end, reason = time.monotonic() + RELOAD_WITHIN, "no answer"
        while time.monotonic() < end:
            if self.process.poll() is not None:
                raise Failed(f"HAProxy ended with exit code {self.process.returncode}")
            try:
                workers = self._workers()
                answer = self._ask(self.worker_socket, "show info")
                pids = [int(row.split()[1]) for row in answer.splitlines() if row.startswith("Pid:")]
                if workers and pids and workers[0][0] == pids[0] != previous:
                    self.worker = pids[0]
                    return
                reason = f"workers {workers}, socket of {pids}"
            except OSError as error:
                reason = str(error)
            time.sleep(0.02)
        raise Failed(f"HAProxy's worker is not up after {RELOAD_WITHIN:.0f} s: {reason}")
