"""The line that questions wait in: how many are at work, whose turn is next, and what is told of it."""

import random
import threading
import time
from contextlib import ExitStack

import pytest

from wenshu.semantic_layer.errors import QueryError
from wenshu.ui.waiting import MOST_OF_ONE, MOST_WAITING, WaitingLine


class Asked:
    """Questions in the line, by name: `ann1` is Ann's."""

    def __init__(self, at_once: int) -> None:
        self.line = WaitingLine(at_once)
        self.turns: dict[str, tuple[ExitStack, object]] = {}

    def enter(self, *names: str) -> None:
        for name in names:
            stack = ExitStack()
            self.turns[name] = (stack, stack.enter_context(self.line.turn(name.rstrip("0123456789"))))

    def leave(self, name: str) -> None:
        self.turns.pop(name)[0].close()

    @property
    def places(self) -> dict[str, int]:
        return {name: ticket.place for name, (_, ticket) in self.turns.items()}


def test_the_line_goes_round_the_people_and_not_the_questions():
    asked = Asked(at_once=1)
    asked.enter("ann1", "ann2", "ann3", "ann4", "bob1", "cid1", "bob2")
    assert asked.places == {"ann1": 0, "ann2": 1, "bob1": 2, "cid1": 3, "ann3": 4, "bob2": 5, "ann4": 6}
    order = []
    while asked.turns:
        (at_work,) = (name for name, place in asked.places.items() if place == 0)
        order.append(at_work)
        asked.leave(at_work)
    assert order == ["ann1", "ann2", "bob1", "cid1", "ann3", "bob2", "ann4"]


def test_who_comes_later_waits_for_one_question_of_another_and_not_for_all():
    asked = Asked(at_once=2)
    asked.enter(*[f"ann{number}" for number in range(20)])
    asked.enter("bob1")
    assert asked.places["bob1"] <= 2


def test_a_place_is_given_up_where_it_stands():
    asked = Asked(at_once=1)
    asked.enter("ann1", "bob1", "cid1")
    asked.leave("bob1")
    assert asked.places == {"ann1": 0, "cid1": 1}
    asked.leave("ann1")
    assert asked.places == {"cid1": 0}


@pytest.mark.parametrize("seed", range(20))
def test_places_are_the_turns_still_to_come(seed):
    """Whatever comes and goes: never more at work than may be, all places different, and each is kept to."""
    chance = random.Random(seed)
    at_once = chance.randint(1, 4)
    asked = Asked(at_once)
    for number in range(200):
        if asked.turns and chance.random() < 0.45:
            asked.leave(chance.choice(list(asked.turns)))
        else:
            asked.enter(f"{chance.choice(['ann', 'bob', 'cid', 'dan'])}{number}") if len(asked.turns) < 40 else None
        at_work = [name for name, place in asked.places.items() if place == 0]
        waiting = sorted(place for place in asked.places.values() if place)
        assert len(at_work) <= at_once
        assert waiting == list(range(1, len(waiting) + 1))
        assert not waiting or len(at_work) == at_once
    expected = sorted((place, name) for name, place in asked.places.items() if place)
    for _, name in expected:
        asked.leave(next(name for name, place in asked.places.items() if place == 0))
        assert asked.places[name] == 0


def test_the_line_is_bounded():
    asked = Asked(at_once=1)
    with pytest.raises(QueryError) as error:
        asked.enter(*[f"ann{number}" for number in range(MOST_OF_ONE + 2)])
    assert error.value.code == "too_busy" and error.value.message.zh
    with pytest.raises(QueryError):
        asked.enter(*[f"{chr(97 + number % 26) * (1 + number // 26)}1" for number in range(MOST_WAITING + 2)])


def test_fifty_threads_are_all_let_in_and_never_more_than_may_be():
    line, at_work, most, done = WaitingLine(3), [], [], []

    def ask(number: int) -> None:
        with line.turn(f"person {number % 10}") as ticket:
            while ticket.place:
                time.sleep(0.001)
            at_work.append(number)
            most.append(len(at_work))
            time.sleep(0.002)
            at_work.remove(number)
        done.append(number)

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=30)
    assert sorted(done) == list(range(50)) and max(most) <= 3
