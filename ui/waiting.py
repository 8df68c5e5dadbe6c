"""Owns the order in which questions are answered: so many at once, and of those who wait each person in turn. Knows nothing of answers."""

from collections import OrderedDict, deque
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event, Lock

from wenshu.semantic_layer.errors import QueryError
from wenshu.semantic_layer.text import Text

MOST_WAITING = 500
MOST_OF_ONE = 20  # questions that one person may have in the line


class Ticket:
    """A question's place in the line."""

    def __init__(self, line: "WaitingLine", who: str) -> None:
        self.who = who
        self.admitted = Event()  # set when its turn comes
        self._line = line

    @property
    def place(self) -> int:
        """Return which of those who wait it is: 1 is the next, 0 is at work."""
        return self._line.place(self)


class WaitingLine:
    """Let `at_once` questions be at work; whoever has had a turn goes behind everybody else who waits.

    So many questions of one person delay another's by one turn and not by all of them. Safe to use from several threads.
    """

    def __init__(self, at_once: int) -> None:
        self._room = at_once
        self._waiting: OrderedDict[str, deque[Ticket]] = OrderedDict()  # by person, in the order of their turns
        self._lock = Lock()

    @contextmanager
    def turn(self, who: str) -> Iterator[Ticket]:
        """Yield a ticket to watch; its place is given up at the end, wherever it is by then.

        Raises `QueryError` with code `too_busy` where there are too many already.
        """
        ticket = self._enter(who)
        try:
            yield ticket
        finally:
            self._leave(ticket)

    def place(self, ticket: Ticket) -> int:
        """Return which of those who wait a ticket is, by the turns that are still to come before its own; 0 if it waits no more."""
        with self._lock:
            own = self._waiting.get(ticket.who, ())
            if ticket not in own:
                return 0
            before = list(own).index(ticket)
            place, earlier = before + 1, True
            for who, tickets in self._waiting.items():
                if who == ticket.who:
                    earlier = False
                else:
                    place += min(len(tickets), before + earlier)
            return place

    def _enter(self, who: str) -> Ticket:
        ticket = Ticket(self, who)
        with self._lock:
            waiting = sum(map(len, self._waiting.values()))
            if waiting >= MOST_WAITING or len(self._waiting.get(who, ())) >= MOST_OF_ONE:
                raise _too_busy()
            self._waiting.setdefault(who, deque()).append(ticket)
            self._admit()
        return ticket

    def _leave(self, ticket: Ticket) -> None:
        with self._lock:
            own = self._waiting.get(ticket.who)
            if own and ticket in own:
                own.remove(ticket)
                if not own:
                    del self._waiting[ticket.who]
            else:
                self._room += 1
            self._admit()

    def _admit(self) -> None:
        while self._room > 0 and self._waiting:
            who, tickets = next(iter(self._waiting.items()))
            tickets.popleft().admitted.set()
            self._room -= 1
            if tickets:
                self._waiting.move_to_end(who)
            else:
                del self._waiting[who]


def _too_busy() -> QueryError:
    return QueryError(
        "too_busy",
        Text("Too many questions are waiting already.", "等待回答的问题太多。"),
        Text("Please ask again in a minute.", "请稍后再问。"),
    )
