"""Drives the real chat page while queries take long: stopping ends them, leaving ends them, and who waits sees a place in the line."""

from collections.abc import Callable, Iterator
from pathlib import Path
from time import monotonic, sleep

import pytest
from sqlglot import exp

from wenshu.assistant.answer import Answer
from wenshu.assistant.planner import Step
from wenshu.assistant.question import Question
from wenshu.semantic_layer.engine import EngineSettings
from wenshu.semantic_layer.errors import WenshuError
from wenshu.semantic_layer.guard import GuardedStatement
from wenshu.semantic_layer.worker_engine import WorkerEngine
from wenshu.ui.entrance import Entrance
from wenshu.ui.gradio_app import MAX_AT_ONCE
from wenshu.ui.workspace import database_of

from .conftest import served

pytestmark = pytest.mark.browser

BOTH = pytest.mark.parametrize("language", ["zh", "en"])
ENDLESS = GuardedStatement(tree=exp.select("1"), sql="SELECT sleep_ms(900000)", tables=())


class Slow:
    """The real assistant, but a question with "slow" in it runs an endless statement in a process of its own."""

    def __init__(self, assistant) -> None:
        self._assistant = assistant
        self.engine = WorkerEngine(database_of("shop"), settings=EngineSettings(workers=MAX_AT_ONCE, seconds=600))
        self.begun = 0
        self.ended: list[str] = []

    def answers(self, question: Question) -> Iterator[Step | Answer]:
        if "slow" in question.text:
            self.begun += 1
            try:
                self.engine.run(ENDLESS, max_rows=1)
            except WenshuError as error:
                self.ended.append(error.code)
                raise
        yield from self._assistant.stream(question)


@pytest.fixture(scope="module")
def slow(assistant) -> Iterator[Slow]:
    made = Slow(assistant)
    yield made
    made.engine.close()


@pytest.fixture(scope="module")
def slow_address(assistant, slow) -> Iterator[str]:
    with served(Entrance(assistant_for=lambda _: assistant, answers=slow.answers)) as url:
        yield url


def within(seconds: float, condition: Callable[[], bool]) -> bool:
    deadline = monotonic() + seconds
    while not condition() and monotonic() < deadline:
        sleep(0.05)
    return condition()


def children() -> set[str]:
    """Return the processes that this one has started from any of its threads."""
    return {pid for task in Path("/proc/self/task").iterdir() for pid in (task / "children").read_text().split()}


@BOTH
def test_stop_ends_the_query(visit, slow_address, slow, language) -> None:
    slow.begun = 0
    slow.ended.clear()
    visited = visit(slow_address, language)
    turn = visited.ask("slow")
    assert within(60, lambda: slow.begun == 1)
    sleep(1.5)  # so that the statement is at work
    before = children()
    visited.page.click("#stop")
    visited.page.wait_for_selector(f'[data-turn="{turn}"] > .quiet')
    assert within(60, lambda: slow.ended == ["cancelled"])
    assert within(60, lambda: len(before - children()) == 1), "the process that ran the query is gone"
    question = {"zh": "上个月各渠道的成交额", "en": "GMV by channel last month"}[language]
    assert visited.answer(visited.ask(question)).is_visible()


def test_closing_the_tab_ends_the_query(visit, slow_address, slow) -> None:
    slow.begun = 0
    slow.ended.clear()
    visited = visit(slow_address, "en")
    visited.ask("slow")
    assert within(60, lambda: slow.begun == 1)
    sleep(1.5)  # so that the statement is at work
    visited.page.context.close()
    assert within(60, lambda: slow.ended == ["cancelled"])


@BOTH
def test_who_waits_sees_a_place_in_the_line(visit, slow_address, slow, language) -> None:
    slow.begun = 0
    slow.ended.clear()
    busy = [visit(slow_address, language) for _ in range(MAX_AT_ONCE)]
    waiting = [visit(slow_address, language) for _ in range(2)]
    for each in busy:
        each.ask("slow")
    assert within(60, lambda: slow.begun == MAX_AT_ONCE)
    question = {"zh": "上个月各渠道的成交额", "en": "GMV by channel last month"}[language]
    for place, each in enumerate(waiting, start=1):
        turn = each.ask(question)
        told = {"zh": f"第 {place} 位", "en": f"number {place} in line"}[language]
        each.page.wait_for_selector(f'[data-turn="{turn}"] .steps :text("{told}")')
    busy[0].page.click("#stop")
    for each in waiting:
        assert each.answer(1).is_visible()
    for each in busy[1:]:
        each.page.click("#stop")
    assert within(60, lambda: slow.ended == ["cancelled"] * MAX_AT_ONCE)
