"""The queues and the topic of the crash test."""

from ledger import Queue


class Lines:
    """The queues and the topic."""

    def __init__(self):
        # dedup windows are longer than a run is between a publish and its repetition
        common = {"visibility": 600000, "dedup_window": 3600000}
        self.work = Queue("work", {**common, "max_attempts": 3, "dead_letter": "work-dead"})
        self.work_dead = Queue("work-dead", common, self.work)
        self.fifo = Queue("fifo", {**common, "type": "fifo", "max_attempts": 4, "dead_letter": "fifo-dead"})
        self.fifo_dead = Queue("fifo-dead", {**common, "type": "fifo"}, self.fifo)
        self.once = Queue("once", common)
        self.made = Queue("made", common)
        self.fans = [Queue("fan-1", {**common, "max_attempts": 4}), Queue("fan-2", common),
                     Queue("fan-fifo", {**common, "type": "fifo"})]
        self.homes = [self.work, self.fifo, self.once, self.made, *self.fans]
        self.queues = [self.work_dead, self.fifo_dead, *self.homes]

    def create(self, wire):
        for queue in self.queues:
            wire.call("queue.create", queue.name, queue.attributes)
        wire.call("topic.create", "news")
        for queue in self.fans:
            wire.call("topic.subscribe", "news", queue.name, {"pattern": "a.#"})

    def missing(self, wire):
        """What of it is not there, or not as it was made."""
        bad = []
        for queue in self.queues:
            error, info = wire.outcome(wire.send("queue.info", queue.name))
            if error or any(info[name] != value for name, value in queue.attributes.items()):
                bad.append(f"queue {queue.name}: {error or info}")
            elif info["next_id"] < len(queue.keys):
                bad.append(f"queue {queue.name}: next_id {info['next_id']} after {len(queue.keys) - 1}")
        error, info = wire.outcome(wire.send("topic.info", "news"))
        want = [{"queue": queue.name, "pattern": "a.#", "filter": None} for queue in self.fans]
        if error or info["subscriptions"] != want:
            bad.append(f"topic: {error or info}")
        return bad
