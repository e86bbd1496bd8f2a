"""Installs Debian's packages without letting their services start."""

import contextlib
import os
import shutil
import subprocess
from pathlib import Path

POLICY = Path("/usr/sbin/policy-rc.d")
ASIDE = Path("/usr/sbin/policy-rc.d.before-compare")
FORBIDDEN = 101             # what a policy answers that forbids an action


class Missing(Exception):
    """Packages that could not be installed, and what to do."""


def missing(names):
    def there(name):
        status = subprocess.run(["dpkg-query", "-W", "-f", "${Status}", name], capture_output=True, text=True).stdout
        return status.endswith("ok installed")
    return [name for name in dict.fromkeys(names) if not there(name)]


@contextlib.contextmanager
def no_services():
    """Package scripts ask a policy before they start anything: for a while it forbids everything."""
    if POLICY.exists() and subprocess.run([POLICY, "redis-server", "start"], capture_output=True).returncode == FORBIDDEN:
        yield
        return
    if POLICY.exists():
        POLICY.rename(ASIDE)
    try:
        POLICY.write_text(f"#!/bin/sh\nexit {FORBIDDEN}\n")
        POLICY.chmod(0o755)
        yield
    finally:
        POLICY.unlink(missing_ok=True)
        if ASIDE.exists():
            ASIDE.rename(POLICY)


def install(names):
    """Nothing happens if all are there. Raises Missing."""
    if not shutil.which("dpkg-query"):
        raise Missing("the other brokers are taken from Debian's packages, and this is no Debian")
    wanted = missing(names)
    if not wanted:
        return
    if os.geteuid() != 0:
        raise Missing(f"these packages are missing, and only root may install them: {' '.join(wanted)}")
    print(f"installing: {' '.join(wanted)}", flush=True)
    quiet = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL}
    with no_services():
        subprocess.run(["apt-get", "update"], check=True, **quiet)
        subprocess.run(["apt-get", "install", "-y", "--no-install-recommends", *wanted], check=True,
                       env=os.environ | {"DEBIAN_FRONTEND": "noninteractive"}, **quiet)
    for service in wanted if shutil.which("systemctl") else ():
        # Nor with the next start of the system. Packages without a service don't mind.
        subprocess.run(["systemctl", "disable", service], stderr=subprocess.DEVNULL, **quiet)
