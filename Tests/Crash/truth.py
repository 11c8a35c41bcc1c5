"""What a workload tried and was told, by its journal, and what a store may hold after it.

The store handles one thing at a time, so that at any moment one commit, fork, trim or deletion may be
under way: it is there whole or not at all. Good is a store in which
    events   each stream that was acknowledged reaches at least as far, and its history is one that was
             tried, bit for bit; a fork's begins with its source's, whatever became of that
    streams  nothing is missing but what was being deleted, and nothing is back that was deleted: it has
             neither its epoch nor its history
    floors   each is at least the one that was acknowledged, and one that was tried, or that the rule for
             its name allows
    outbox   the position is one that was stored
Journal.swift says what each line means.
"""

TRIED, THERE, DELETING, DELETED = "tried", "there", "deleting", "deleted"


class Stream:
    """One stream of a name, from its beginning to its deletion."""

    def __init__(self, floor=0):
        self.tried, self.head, self.floor, self.floors = set(), 0, floor, [floor]
        self.state, self.epoch = TRIED, None

    def copy(self):
        other = Stream()
        other.__dict__.update(self.__dict__, floors=list(self.floors))
        # `tried` is shared and grows: a later try of the same offset only adds what is as legal.
        return other

    def is_history(self, answer):
        return (answer["head"], answer["sha256"]) in self.tried

    def flaw(self, name, answer, kept):
        """What is wrong with how it stands."""
        head, floor = answer["head"], answer["floor"]
        if head < self.head:
            return "loss", f"{name}: {self.head} acknowledged, {head} there"
        if not self.is_history(answer):
            return "wrong", f"{name}: the history up to {head} is not what was tried"
        if floor < self.floor:
            return "floor", f"{name}: removed up to {self.floor}, {floor} is the floor"
        is_ruled = kept is not None and floor + kept <= head
        if floor > head or floor not in self.floors and not is_ruled:
            return "floor", f"{name}: nobody removed what is up to {floor} of {head}"
        return None


class Truth:
    def __init__(self):
        self.streams, self.kept, self.confirmed, self.announced = {}, {}, 0, 0

    def copy(self):
        other = Truth()
        other.streams = {name: [one.copy() for one in all] for name, all in self.streams.items()}
        other.kept, other.confirmed, other.announced = self.kept, self.confirmed, self.announced
        return other

    def apply(self, text):
        for line in text.splitlines():
            word, *rest = line.split()
            if word == "keeps":
                self.kept[rest[0]] = int(rest[1])
            elif word == "confirm":
                self.confirmed = max(self.confirmed, int(rest[0]))
            elif word == "announced":
                self.announced = int(rest[0])
            elif word == "begin":
                self.streams.setdefault(rest[0], []).append(Stream())
            elif word == "fork":
                fork = Stream(int(rest[2]))
                fork.tried.add((int(rest[1]), rest[3]))
                fork.head = int(rest[1])
                self.streams.setdefault(rest[0], []).append(fork)
            elif word == "try":
                self.streams[rest[1]][-1].tried.add((int(rest[2]), rest[3]))
            elif word == "not":
                self.refuse(rest[0], self.streams[rest[1]])
            else:
                self.told(word, self.streams[rest[0]][-1], rest[1:])

    @staticmethod
    def told(word, stream, rest):
        if word == "ack":
            stream.state, stream.head, stream.epoch = THERE, int(rest[0]), rest[1]
        elif word == "no":
            stream.tried.discard((int(rest[0]), rest[1]))
        elif word == "forked":
            stream.state, stream.epoch = THERE, rest[0]
        elif word == "trim":
            stream.floors.append(int(rest[0]))
        elif word == "trimmed":
            stream.floor = int(rest[0])
            stream.floors.append(stream.floor)
        elif word == "delete":
            stream.state = DELETING
        elif word == "deleted":
            stream.state = DELETED
        else:
            raise SystemExit(f"unknown line: {word}")

    @staticmethod
    def refuse(word, streams):
        """Takes back what the disk had no room for."""
        if word == "fork":
            streams.pop()
        elif word == "trim":
            streams[-1].floors.pop()
        else:
            streams[-1].state = THERE

    def judge(self, answer):
        """What is wrong with a store that was verified, as (kind, text); None where it is good."""
        *streams, summary = answer
        if not summary["ok"]:
            return "refused", summary["problem"]
        found = {s["stream"]: s for s in streams}
        for name in sorted(self.streams.keys() | found.keys()):
            flaw = self.flaw(name, self.streams.get(name, []), found.get(name))
            if flaw:
                return flaw
        if not self.announced <= summary["announced"] <= max(self.confirmed, self.announced):
            return "outbox", f"announced {summary['announced']}"
        return None

    def flaw(self, name, streams, answer):
        # One begins only after the one before it was deleted: the last is the only one there can be.
        last = streams[-1] if streams else Stream()
        if answer is None:
            is_lost = last.state == THERE
            return ("loss", f"{name}: {last.head} acknowledged, no such stream") if is_lost else None
        for gone in streams:
            if gone.state == DELETED and (gone.epoch == answer["epoch"] or self.is_only_of(gone, last, answer)):
                return "back", f"{name}: was deleted at {gone.head}, and is there up to {answer['head']}"
        if last.epoch not in (None, answer["epoch"]):
            return "wrong", f"{name}: its epoch is another one"
        return last.flaw(name, answer, self.kept.get(name))

    @staticmethod
    def is_only_of(gone, last, answer):
        return gone.is_history(answer) and not last.is_history(answer)
