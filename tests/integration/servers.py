"""The real programs, as children of a test, on loopback with free ports."""

import ctypes
import os
import select
import signal
import subprocess
import tempfile
import time
import urllib.error
import urllib.request

PROGRAMS = {name: f"{name}/apium-{name}" for name in ("broker", "results", "worker")}

# However slow the machine is.
START_SECONDS = 90
END_SECONDS = 90

_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None)


def new_folder(name):
    """A fresh folder of the test."""
    return tempfile.mkdtemp(prefix=f"{name}-", dir=os.environ.get("TEST_TMPDIR"))


def _die_with_parent():
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _flag(name, value):
    flag = "--" + name.replace("_", "-")
    return [flag] if value is True else [flag, value] if value == "" else [f"{flag}={value}"]


def await_true(condition, what):
    """Waits until condition() is true; fails the test with `what` if that takes far too long."""
    deadline = time.monotonic() + END_SECONDS
    while not condition():
        assert time.monotonic() < deadline, f"not within {END_SECONDS} s: {what}"
        select.poll().poll(10)  # between looks at another process


class Server:
    """A running program. Use `with`, or `stop` or `kill` it; it dies with the test in any case."""

    def __init__(self, name, before_exec=None, **flags):
        self.name = name
        self.folder = new_folder(name)
        port_file = os.path.join(self.folder, "ports")
        self._log_path = os.path.join(self.folder, "log")
        flags = {"http_listen": "127.0.0.1:0", "port_file": port_file, "log_format": "json", **flags}
        if name != "worker":
            flags.setdefault("listen", "127.0.0.1:0")

        def prepare():
            _die_with_parent()
            if before_exec:
                before_exec()

        with open(self._log_path, "wb") as log:
            self.process = subprocess.Popen(
                [PROGRAMS[name]] + sum((_flag(*item) for item in flags.items()), []),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                preexec_fn=prepare,
            )
        self._ports = self._await_ports(port_file)

    def _await_ports(self, path):
        deadline = time.monotonic() + START_SECONDS
        while not os.path.exists(path):
            assert time.monotonic() < deadline, f"apium-{self.name} did not start:\n{self.log()}"
            try:
                code = self.process.wait(timeout=0.005)
                raise AssertionError(f"apium-{self.name} ended with {code}:\n{self.log()}")
            except subprocess.TimeoutExpired:
                pass
        with open(path, encoding="ascii") as file:
            return dict(line.strip().split("=") for line in file)

    @property
    def address(self):
        """host:port of gRPC."""
        return "127.0.0.1:" + self._ports["grpc"]

    @property
    def http_address(self):
        return "127.0.0.1:" + self._ports["http"]

    def log(self):
        with open(self._log_path, encoding="utf-8", errors="replace") as file:
            return file.read()

    def get(self, path):
        """(status, body) of an HTTP GET."""
        try:
            with urllib.request.urlopen(f"http://{self.http_address}{path}", timeout=END_SECONDS) as response:
                return response.status, response.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    def terminate(self):
        self.process.send_signal(signal.SIGTERM)

    def wait(self):
        """The exit code, negative for a signal."""
        return self.process.wait(timeout=END_SECONDS)

    def stop(self):
        """Asks it to end, and returns the exit code."""
        self.terminate()
        return self.wait()

    def kill(self):
        self.process.kill()
        self.process.wait()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.kill()


# What a program did that ended by itself. `output` is stdout and stderr together.
class Ended:
    def __init__(self, code, output):
        self.code = code
        self.output = output
        self.lines = output.splitlines()


def run_to_end(name, **flags):
    """Runs a program that is expected to end by itself."""
    completed = subprocess.run(
        [PROGRAMS[name]] + sum((_flag(*item) for item in flags.items()), []),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=END_SECONDS,
        preexec_fn=_die_with_parent,
        check=False,
    )
    return Ended(completed.returncode, completed.stdout.decode(errors="replace"))
