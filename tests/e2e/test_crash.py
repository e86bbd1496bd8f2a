"""kill -9 under load: what was confirmed is there after it, and what was acked is not. tests/crash has the program and the long run."""

import sys
from pathlib import Path

from process import SANITIZED

sys.path.append(str(Path(__file__).resolve().parents[1] / "crash"))

from crash import Crash  # noqa: E402

KILLS = 6 if SANITIZED else 15
SEED = 1


def test_nothing_confirmed_is_lost_and_nothing_acked_comes_back_after_a_kill(folder):
    """A few rounds of `make crash`."""
    crash = Crash(folder, SEED, load_s=(0.02, 0.7))
    good = crash.run(KILLS)
    print("\n".join([*crash.ledger.lines, crash.summary()]))
    assert good
    assert crash.kills >= KILLS and crash.ledger.confirmed > 1000 and crash.ledger.acked > 1000


def test_the_ledger_notices_a_server_that_forgets(folder):
    """The check itself: a server without a directory loses everything, and every confirmed message is missed."""
    crash = Crash(folder, SEED, durable=False, load_s=(0.2, 0.3))
    crash.round()
    if crash.orderly:
        crash.round()
    assert not crash.failed(), crash.ledger.lines
    left = sum(len(home.live) for home in crash.lines.homes)
    crash.finish()
    assert left > 0 and crash.ledger.faults["lost"] >= left / 2
