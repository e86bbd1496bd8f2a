"""Tables and plots out of the results of a comparison; nothing here measures."""

import statistics

import plot

# How many times cheaper than this ringmq shall be at 128 bytes, in server processor time a message: peer, batch, times.
DEMANDS = [("redis-streams", 100, 20), ("jetstream", 100, 60), ("rabbitmq", 100, 150), ("beanstalkd", 100, 150),
           ("nats-core", 100, 2.5), ("redis-lists", 100, 2.5), ("redis-streams", 1, 12), ("rabbitmq", 1, 100)]

LATENCIES = [("p50", "p50"), ("p99", "p99"), ("p999", "p99.9"), ("max", "max")]


def number(value):
    """ringmq-bench gives what it may repeat as a median with its range."""
    return value["median"] if isinstance(value, dict) else value


def figures(found):
    """What is kept of a client's report."""
    names = ("messages", "seconds", "msgs_per_s", "server_cpu_ns", "bytes_per_message", "window", "backlog", "prefetch", "ack",
             "lost", "duplicates", "disordered", "corrupt")
    kept = {name: number(found[name]) for name in names if name in found}
    if found.get("end_to_end_us"):
        kept["end_to_end_us"] = found["end_to_end_us"]
    return kept


def one_line(workload, found):
    if workload == "fill":
        return f"{found['bytes_per_message']:,.0f} bytes a message"
    if workload == "latency":
        latency = found["end_to_end_us"]
        return ", ".join(f"{title} {latency[name]:,.0f} us" for name, title in LATENCIES)
    return f"{found['server_cpu_ns']:,.0f} ns, {found['msgs_per_s']:,.0f} msgs/s"


def short(value):
    """Three digits, with k or M."""
    for unit, name in ((1e6, " M"), (1e3, " k")):
        if value >= unit:
            return f"{value / unit:.3g}{name}" if value < 999.5 * unit else f"{value / unit:,.0f}{name}"
    return f"{value:.3g}"


class Results:
    def __init__(self, results):
        self.all = results
        self.peers = results["peers"]

    def values(self, peer, workload, name, **cell):
        """A figure of all runs of a cell."""
        found = [run for run in self.all["runs"] if run["peer"] == peer and run["workload"] == workload
                 and all(run.get(key) == value for key, value in cell.items())]
        if "." in name:
            outer, inner = name.split(".")
            return [run[outer][inner] for run in found]
        return [run[name] for run in found]

    def median(self, *which, **cell):
        """None if no run of the cell counts."""
        found = self.values(*which, **cell)
        return statistics.median(found) if found else None

    def rows(self):
        """Name, title, guarantee, batch and the batch's words, of every row of the tables."""
        found = [("relay", "bare relay and ack bytes, no parsing", "none", 100)]
        for peer in self.peers:
            kept = "at least once" if peer["kept"] else "at most once"
            for batch in peer["batches"]:
                words = "" if len(peer["batches"]) == 1 else f", {batch} a request"
                found.append((peer["name"], peer["title"] + words, kept, batch))
        return found


def table(head, rows):
    line = ["| " + " | ".join(head) + " |", "|" + "|".join(["---"] * 2 + ["---:"] * (len(head) - 2)) + "|"]
    return "\n".join(line + ["| " + " | ".join(row) + " |" for row in rows])


def size_name(size):
    return f"{size} B" if size < 1024 else f"{size // 1024} KiB"


def throughput_table(r):
    def cell(name, size, batch):
        cpu = r.median(name, "load", "server_cpu_ns", size=size, batch=batch)
        rate = r.median(name, "load", "msgs_per_s", size=size, batch=batch)
        return "-" if cpu is None else f"{cpu:,.0f} / {short(rate)}"
    return table(["", "guarantee"] + [size_name(size) for size in r.all["sizes"]],
                 [[title, kept] + [cell(name, size, batch) for size in r.all["sizes"]]
                  for name, title, kept, batch in r.rows()])


def ratio_rows(r):
    """Title, batch, its processor time with its range, ringmq's, the ratio, the demand: of each demand that was measured."""
    found = []
    titles = {peer["name"]: peer["title"] for peer in r.peers}
    for name, batch, times in DEMANDS:
        theirs = r.values(name, "load", "server_cpu_ns", size=128, batch=batch)
        ours = r.median("ringmq", "load", "server_cpu_ns", size=128, batch=batch)
        if theirs and ours:
            found.append((titles[name], batch, statistics.median(theirs), min(theirs), max(theirs), ours,
                          statistics.median(theirs) / ours, times))
    return found


def ratio_table(r):
    return table(["server CPU at 128 B, over ringmq's", "a request", "ns", "lowest", "highest", "ringmq, ns", "ratio",
                  "demanded", ""],
                 [[title, str(batch), f"{cpu:,.0f}", f"{low:,.0f}", f"{high:,.0f}", f"{ours:,.0f}", f"{ratio:.1f}",
                   f"{times}", "met" if ratio >= times else "**not met**"]
                  for title, batch, cpu, low, high, ours, ratio, times in ratio_rows(r)])


def ratios(results):
    """The demands for a terminal."""
    lines = [f"{title:32} {batch:4} a request: {cpu:10,.0f} ns, {ratio:6.1f} times ringmq's {ours:,.0f} ns, "
             f"demanded {times}: {'met' if ratio >= times else 'NOT MET'}"
             for title, batch, cpu, _low, _high, ours, ratio, times in ratio_rows(Results(results))]
    return "\n".join(lines)


def latency_table(r):
    rows = []
    for peer in r.peers:
        rates = sorted(set(r.values(peer["name"], "latency", "rate")))
        for rate in rates:
            at = [r.median(peer["name"], "latency", f"end_to_end_us.{name}", rate=rate) for name, _ in LATENCIES]
            rows.append([peer["title"], "at least once" if peer["kept"] else "at most once", f"{rate:,}",
                         *[f"{value:,.0f}" for value in at]])
    return table(["", "guarantee", "messages/s"] + [title for _, title in LATENCIES], rows)


def memory_table(r):
    rows = []
    for peer in r.peers:
        value = r.median(peer["name"], "fill", "bytes_per_message")
        if value is not None:
            messages = r.median(peer["name"], "fill", "messages")
            rows.append([peer["title"], f"{messages:,.0f}", f"{value:,.0f}"])
    return table(["", "queued messages", "bytes each"], rows)


def sync_table(r):
    def cell(sync):
        return f"{short(sync['records_per_s'])} ({sync['p50_us']:,.0f} us)" if sync else "-"
    found = {(sync["mode"], sync["records"]): sync for sync in r.all["syncs"]}
    records = sorted({records for _, records in found})
    return table(["append and fdatasync", "a record"] + [f"{n} a sync" for n in records],
                 [[f"{mode} segment", "128 B"] + [cell(found.get((mode, n))) for n in records]
                  for mode in ("recycled", "growing")])


def markdown(results, folder=""):
    """The whole page; plots are looked for in `folder`."""
    r, m = Results(results), results["machine"]
    parts = [
        "# ringmq beside other brokers",
        f"Made by `benchmarks/compare/compare`, {m['date']}, commit {m['commit']}.",
        f"{m['cpu']}, {m['processors']} processors, {m['memory_bytes'] / 2**30:.0f} GiB; {m['system']}, Linux {m['kernel']}; "
        f"{m['compiler']}. Load average before and after: {m['load_before']:.2f}, {m['load_after']:.2f}. Runs of "
        f"{results['seconds']:g} s; figures are medians of {results['count']}.",
        "One connection publishes, one receives, over TCP on loopback. Every message was checked: none lost, repeated or out of "
        "order. What failed that is not in the tables.",
        "## Server CPU, ns a message / messages a second",
        "User and system time of the server's processes for a message that is published, confirmed, delivered and acked. Where "
        "there is no confirm or no ack, less is done for it: see the guarantee.",
        throughput_table(r),
        f"![CPU]({folder}cpu.svg)\n![throughput]({folder}throughput.svg)",
        "## Beside ringmq", ratio_table(r),
        "## Latency at a fixed rate",
        "128 bytes, one message a request, microseconds from the time at which a message was to be sent to its receipt. The rate "
        "is 20,000 messages/s, or half of what the broker can do.",
        latency_table(r), f"![latency]({folder}latency.svg)",
        "## Memory of a queued message",
        "Resident memory of the server after a fill with bodies of 128 bytes, less that before, over the messages. Of servers that "
        "collect garbage, that is in it.",
        memory_table(r), f"![memory]({folder}memory.svg)",
        "## The floor of a log",
        "Records a second, and the median time of one sync. A recycled segment is a file that is written over, a growing one is new.",
        sync_table(r), "## How each was run",
        "At most 10,000 messages sent and not confirmed (1,000 with one a request) and twice as many not received; with large bodies "
        "fewer, so that 32 MiB are under way.",
        "\n".join(f"- **{p['title']}** {p['version']}: `{p['server']}`. {p['client']}." for p in r.peers)]
    if results["failures"]:
        parts += ["## Not in the tables", "\n".join(f"- {f['peer']}, {f['workload']}, {f.get('size', '')} B, batch "
                                                     f"{f.get('batch', '')}: {f['why']}" for f in results["failures"])]
    return "\n\n".join(parts) + "\n"


def plots(results):
    """The plots by file name. Lines of peers keep their colours in all of them."""
    r = Results(results)
    sizes = [size_name(size) for size in results["sizes"]]

    def by_size(name):
        return [(title, [r.median(peer, "load", name, size=size, batch=batch) for size in results["sizes"]])
                for peer, title, batch in [("relay", "bare relay", 100)] +
                [(peer["name"], peer["title"], 100) for peer in r.peers]]
    latency = [(peer["title"], [r.median(peer["name"], "latency", f"end_to_end_us.{name}") for name, _ in LATENCIES[:3]])
               for peer in r.peers]
    memory = [(peer["title"], r.median(peer["name"], "fill", "bytes_per_message")) for peer in r.peers]
    return {"throughput.svg": plot.lines("Messages a second, batches of 100", "msgs/s", sizes, by_size("msgs_per_s")),
            "cpu.svg": plot.lines("Server CPU a message, batches of 100", "ns", sizes, by_size("server_cpu_ns")),
            "latency.svg": plot.lines("Latency at a fixed rate, 128 B", "us", [title for _, title in LATENCIES[:3]],
                                      [("", [])] + latency),
            "memory.svg": plot.bars("Memory of a queued message of 128 B", "bytes", [("", None)] + memory)}
