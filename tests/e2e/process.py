"""A ringmq-server process for tests: started on a free port, watched through its stderr, and looked at from outside."""

import os
import re
import signal
import subprocess
import threading
from pathlib import Path

from wire import DEADLINE, Wire, until

ROOT = Path(__file__).resolve().parents[2]
SERVER = os.environ.get("RINGMQ_SERVER", str(ROOT / "build" / "ringmq-server"))
SANITIZED = bool(os.environ.get("RINGMQ_SAN"))

LISTENING = re.compile(r"(\d+\.\d+\.\d+\.\d+|\[[0-9a-f:]+\]):(\d+)")
READY = re.compile(r"\bready\b")


def run(*arguments, **options):
    """Runs the server to its end (--version and the like)."""
    return subprocess.run([SERVER, *arguments], capture_output=True, text=True, timeout=DEADLINE, **options)


class Server:
    """One server process. `flags` are its arguments after those that every test needs."""

    def __init__(self, folder, *flags, config=None, port=0, wait=True, **options):
        self.socket_path = str(Path(folder) / "ringmq.sock")
        command = [SERVER]
        if config is not None:
            self.config_path = Path(folder) / "ringmq.conf"
            self.config_path.write_text(config)
            command.append(str(self.config_path))
        command += ["--port", str(port), "--socket", self.socket_path]
        if "--drain_timeout" not in flags:
            command += ["--drain_timeout", "0"]
        self.process = subprocess.Popen(
            command + list(flags), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
            text=True, errors="replace", **options)
        self.lines = []
        self.reader = threading.Thread(target=self._read_log, daemon=True)
        self.reader.start()
        self.addresses = []
        if wait:
            try:
                self.wait_ready()
            except BaseException:
                self.kill()
                raise

    def _read_log(self):
        for line in self.process.stderr:
            self.lines.append(line.rstrip("\n"))

    # -- what it says --

    @property
    def log(self):
        return "\n".join(self.lines)

    def wait_ready(self):
        self.wait_log(READY)
        for line in list(self.lines):
            for host, port in LISTENING.findall(line):
                if (host.strip("[]"), int(port)) not in self.addresses:
                    self.addresses.append((host.strip("[]"), int(port)))
        assert self.addresses, f"no address in the log:\n{self.log}"

    def wait_log(self, pattern, deadline=DEADLINE):
        """Waits for a line of the log that matches; returns it."""

        def find():
            found = [line for line in list(self.lines) if re.search(pattern, line)]
            if not found and self.process.poll() is not None:
                self.reader.join(DEADLINE)
                found = [line for line in list(self.lines) if re.search(pattern, line)]
                assert found, f"the server has ended with {self.process.returncode}:\n{self.log}"
            return found

        return until(find, f"a log line like {pattern!r}, log so far:\n{self.log}", deadline)[0]

    # -- talking to it --

    @property
    def address(self):
        return self.addresses[0]

    @property
    def port(self):
        return self.address[1]

    def connect(self, address=None, receive_bytes=None):
        return Wire(address or self.address, receive_bytes)

    # -- seen from outside --

    @property
    def pid(self):
        return self.process.pid

    def descriptors(self):
        return len(os.listdir(f"/proc/{self.pid}/fd"))

    def status(self, key):
        """A number from /proc/PID/status."""
        text = Path(f"/proc/{self.pid}/status").read_text()
        return int(re.search(rf"^{key}:\s+(\d+)", text, re.MULTILINE).group(1))

    # -- its end --

    def signal(self, number):
        self.process.send_signal(number)

    def wait(self, deadline=DEADLINE):
        """Waits for its end; returns the exit code."""
        code = self.process.wait(deadline)
        self.reader.join(DEADLINE)
        return code

    def stop(self):
        """Ends it in the orderly way; it must exit with 0 and may not complain."""
        if self.process.poll() is None:
            self.signal(signal.SIGTERM)
            try:
                self.wait()
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.wait()
                raise AssertionError(f"the server does not stop:\n{self.log}") from None
        else:
            self.wait()
        self.process.stderr.close()
        assert self.process.returncode == 0, f"exit code {self.process.returncode}:\n{self.log}"
        assert "Sanitizer" not in self.log and "runtime error" not in self.log, self.log

    def kill(self):
        """Ends it at once, if it still runs, without a look at how."""
        if self.process.poll() is None:
            self.process.kill()
        self.wait()
        self.process.stderr.close()
