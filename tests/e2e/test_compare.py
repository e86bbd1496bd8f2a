"""benchmarks/compare without any other broker: what it makes of results, and what it refuses."""

import copy
import json
import subprocess
import sys
import xml.etree.ElementTree as xml
from pathlib import Path

import pytest

COMPARE = Path(__file__).resolve().parents[2] / "benchmarks" / "compare"
sys.path.append(str(COMPARE))

import plot  # noqa: E402
import report  # noqa: E402

LATENCY = {"p50": 50, "p90": 70, "p99": 300, "p999": 1200, "max": 9000}


def load(peer, cpu, rate, batch=100, size=128):
    return {"peer": peer, "workload": "load", "size": size, "batch": batch, "server_cpu_ns": cpu, "msgs_per_s": rate}


RESULTS = {
    "machine": {"cpu": "a processor", "processors": 2, "memory_bytes": 8 << 30, "kernel": "6.1", "system": "Debian", "date": "today",
                "compiler": "cc 12", "commit": "0123456789ab", "load_before": 0.1, "load_after": 1.5},
    "seconds": 5, "count": 3, "sizes": [128, 1024],
    "peers": [{"name": "ringmq", "title": "ringmq", "kept": True, "version": "1", "batches": [100, 1], "client": "c", "server": "s"},
              {"name": "redis-streams", "title": "Redis Streams", "kept": True, "version": "7", "batches": [100, 1], "client": "c",
               "server": "redis-server --save ''"},
              {"name": "nats-core", "title": "NATS core", "kept": False, "version": "2", "batches": [100], "client": "c",
               "server": "nats-server"}],
    "runs": [load("relay", 40, 9e6), load("ringmq", 110, 8e6), load("ringmq", 100, 7e6), load("ringmq", 90, 6e6),
             load("ringmq", 300, 2e6, size=1024), load("ringmq", 150, 5e6, batch=1),
             load("redis-streams", 2500, 350e3), load("redis-streams", 1650, 300e3, batch=1), load("nats-core", 240, 3e6),
             {"peer": "ringmq", "workload": "latency", "rate": 20000, "end_to_end_us": LATENCY},
             {"peer": "ringmq", "workload": "fill", "bytes_per_message": 176, "messages": 500000}],
    "failures": [{"peer": "beanstalkd", "workload": "load", "size": 16, "batch": 1, "why": "a message was lost"}],
    "syncs": [{"mode": mode, "records": n, "records_per_s": n * 9000, "p50_us": 90} for mode in ("recycled", "growing")
              for n in (1, 100)],
}


def row(page, begin):
    """The cells of the only row of all tables that begins with these cells."""
    found = [line for line in page.splitlines() if line.startswith(f"| {begin} |")]
    assert len(found) == 1, found
    return [cell.strip() for cell in found[0].strip("|").split("|")]


def test_a_cell_is_the_median_of_its_runs():
    page = report.markdown(RESULTS)
    assert row(page, "ringmq, 100 a request") == ["ringmq, 100 a request", "at least once", "100 / 7 M", "300 / 2 M"]
    assert row(page, "ringmq, 1 a request")[2:] == ["150 / 5 M", "-"]


def test_a_guarantee_stands_beside_each_broker():
    page = report.markdown(RESULTS)
    assert row(page, "NATS core | at most once")[2] == "240 / 3 M"
    assert row(page, "Redis Streams, 100 a request")[1] == "at least once"
    assert row(page, "bare relay and ack bytes, no parsing")[1:3] == ["none", "40 / 9 M"]


def test_a_ratio_says_whether_it_is_what_was_demanded():
    page = report.markdown(RESULTS)
    assert row(page, "Redis Streams | 100")[6:] == ["25.0", "20", "met"]
    assert row(page, "Redis Streams | 1")[6:] == ["11.0", "12", "**not met**"]
    assert row(page, "NATS core | 100")[6:] == ["2.4", "2.5", "**not met**"]
    lines = report.ratios(RESULTS).splitlines()
    assert [line.rpartition(": ")[2] for line in lines] == ["met", "NOT MET", "NOT MET"]


def test_a_ratio_exactly_as_demanded_is_met():
    results = copy.deepcopy(RESULTS)
    results["runs"] = [load("ringmq", 100, 1e6), load("nats-core", 250, 1e6)]
    assert report.ratios(results).endswith(": met")


def test_latency_memory_and_the_disk_have_their_rows():
    page = report.markdown(RESULTS)
    assert row(page, "ringmq | at least once | 20,000")[3:] == ["50", "300", "1,200", "9,000"]
    assert row(page, "ringmq | 500,000") == ["ringmq", "500,000", "176"]
    assert row(page, "recycled segment")[2:] == ["9 k (90 us)", "900 k (90 us)"]


def test_what_failed_is_named_and_in_no_table():
    page = report.markdown(RESULTS)
    assert "- beanstalkd, load, 16 B, batch 1: a message was lost" in page
    assert "| beanstalkd" not in page


def test_results_without_any_run_still_make_a_page_and_plots():
    results = RESULTS | {"runs": [], "failures": [], "syncs": []}
    assert "## Server CPU" in report.markdown(results)
    for svg in report.plots(results).values():
        xml.fromstring(svg)


def test_a_report_of_ringmq_bench_and_one_of_a_client_give_the_same_figures():
    bench = {"msgs_per_s": {"median": 5, "min": 4, "max": 6}, "server_cpu_ns": {"median": 7, "min": 7, "max": 7}, "lost": 0}
    client = {"msgs_per_s": 5, "server_cpu_ns": 7, "lost": 0}
    assert report.figures(bench) == report.figures(client) == {"msgs_per_s": 5, "server_cpu_ns": 7, "lost": 0}


@pytest.mark.parametrize("value, words", [(999, "999"), (1234, "1.23 k"), (450_123, "450 k"), (999_900, "1,000 k"), (7.1e6, "7.1 M")])
def test_large_figures_are_short(value, words):
    assert report.short(value) == words


SVG = "{http://www.w3.org/2000/svg}"


def test_plots_are_svg_with_a_line_for_each_broker_that_was_measured():
    plots = report.plots(RESULTS)
    assert sorted(plots) == ["cpu.svg", "latency.svg", "memory.svg", "throughput.svg"]
    cpu = xml.fromstring(plots["cpu.svg"])
    assert cpu.tag == f"{SVG}svg"
    lines = [line.get("points").split() for line in cpu.iter(f"{SVG}polyline")]
    assert [len(points) for points in lines] == [1, 2, 1, 1]
    words = [text.text for text in cpu.iter(f"{SVG}text")]
    assert {"bare relay", "ringmq", "Redis Streams", "NATS core", "128 B", "1 KiB"} <= set(words)


def test_ten_times_as_much_is_always_as_far_up():
    svg = xml.fromstring(plot.lines("t", "ns", ["a", "b", "c"], [("x", [10, 100, 1000])]))
    ys = [float(point.split(",")[1]) for line in svg.iter(f"{SVG}polyline") for point in line.get("points").split()]
    assert ys[0] - ys[1] == pytest.approx(ys[1] - ys[2], abs=0.2) and ys[0] > ys[1]


def test_labels_never_lie_over_each_other_and_keep_their_order():
    places = plot.spread([100, 101, 99, 400, 400], 50, 415)
    by_place = sorted(places)
    assert all(b - a >= plot.LABEL for a, b in zip(by_place, by_place[1:]))
    assert places[2] < places[0] < places[1] < places[3] and by_place[-1] <= 415


def test_a_bar_is_as_long_as_its_value():
    svg = xml.fromstring(plot.bars("t", "bytes", [("a", 100), ("none", None), ("b <c>", 200)]))
    first, second = [float(r.get("width")) for r in svg.iter(f"{SVG}rect")][1:]
    assert second == pytest.approx(2 * first, abs=0.1)
    assert "b <c>" in [text.text for text in svg.iter(f"{SVG}text")]


def compare(*arguments):
    return subprocess.run([sys.executable, COMPARE / "compare", *map(str, arguments)], capture_output=True, text=True, timeout=60)


@pytest.mark.parametrize("arguments, words", [(["--only", "redis-lists,kafka"], "no such broker: kafka"),
                                              (["--runs", "0"], "--runs takes 1 or more"),
                                              (["--seconds", "0"], "--seconds more than 0"),
                                              (["--runs", "many"], "invalid int value"),
                                              (["--unknown"], "unrecognized arguments")])
def test_wrong_arguments_are_refused_before_anything_is_done(arguments, words):
    done = compare(*arguments)
    assert done.returncode == 2 and words in done.stderr and done.stdout == ""


def test_a_page_is_drawn_anew_from_results(tmp_path):
    (tmp_path / "old.json").write_text(json.dumps(RESULTS))
    done = compare("--from", tmp_path / "old.json", "--out", tmp_path / "new")
    assert done.returncode == 1     # a run had failed
    assert (tmp_path / "new" / "RESULTS.md").read_text() == report.markdown(RESULTS)
    assert json.loads((tmp_path / "new" / "results.json").read_text()) == RESULTS
    for name in report.plots(RESULTS):
        assert f"]({name})" in report.markdown(RESULTS) and (tmp_path / "new" / name).exists()
