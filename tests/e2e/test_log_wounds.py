"""Logs of other brokers that grow for ever. tests/growth has the large size and the curve."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[1] / "growth"))

from growth import broken, churn, nack_again_and_again, on_ringmq  # noqa: E402

SEGMENT = 64 * 1024
LARGER = 4 * 1024 * 1024  # several turns of a publisher at full speed
LOOK_S = 0.002


def test_a_log_does_not_grow_for_ever_under_nack_with_delay_of_the_same_jobs(folder):
    """The same jobs, given back ten times: at every look at most twice the live bytes and two segments."""
    looks = on_ringmq(folder, SEGMENT, nack_again_and_again, 2000, 50, look_s=LOOK_S)
    assert len(looks) >= 5 and not broken(looks, SEGMENT), broken(looks, SEGMENT)[:3]


def test_a_few_parked_jobs_do_not_pin_all_segments(folder):
    """80 MB go through a queue while 20 messages among them stay."""
    looks = on_ringmq(folder, LARGER, churn, 80000, 20, 200, look_s=LOOK_S)
    assert len(looks) >= 5 and not broken(looks, LARGER), broken(looks, LARGER)[:3]
