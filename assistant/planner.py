"""Owns what a planner is and what it returns: a Plan or an Investigation to run, or a Clarification, Refusal, Statement or Report."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, Protocol

from wenshu.assistant.ledger import Ledger
from wenshu.assistant.question import Question
from wenshu.semantic_layer.query import Query
from wenshu.semantic_layer.table import ResultTable
from wenshu.semantic_layer.text import Language, Text
from wenshu.tools.chart import WantedKind
from wenshu.tools.insight.insight import Analysis
from wenshu.tools.query import QueryResult


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Hold the query to run and what led to it; `superlative` says which end of a ranking was asked for.

    `assumptions` name each reading taken where the question allowed another; `evidence` are the words that support it;
    `template` names the saved question that it is, `chart` the kind of chart that was asked for, `report` the period whose
    report was asked for, of which this is the beginning (its name as in report_periods.py).
    """

    query: Query
    superlative: Literal["most", "least"] | None = None
    assumptions: tuple[Text, ...] = ()
    evidence: tuple[str, ...] = ()
    period_label: str | None = None
    template: Text | None = None
    chart: WantedKind | None = None
    report: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Investigation:
    """Hold the analysis to run where one query cannot answer, and what led to it; the fields are a `Plan`'s."""

    analysis: Analysis
    assumptions: tuple[Text, ...] = ()
    evidence: tuple[str, ...] = ()
    period_label: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Clarification:
    """Ask back; `options` are complete questions to click."""

    code: str
    prompt: Text
    options: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """Say that the question is not answered, why, and what there is instead."""

    code: str
    message: Text
    hint: Text


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """Answer from the model alone: what the metrics mean, without running anything."""

    metrics: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class RawResult:
    """Hold what a statement gave that a language model wrote: guarded, but of no defined meaning."""

    sql: str
    table: ResultTable


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """Give what several steps found, the last one first in view; `text` is checked Markdown, empty for the built-in words."""

    results: tuple[QueryResult | RawResult, ...]
    text: str = ""
    assumptions: tuple[Text, ...] = ()


Outcome = Plan | Investigation | Clarification | Refusal | Statement | Report


SAY = "say"  # the key of a step that tells the explanation as far as it is written


@dataclass(frozen=True, slots=True)
class Step:
    """Name a stage that has begun, for people who watch."""

    key: str
    text: Text


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """Hold an outcome with who came to it, and the ledger of the language model that had to do with it."""

    outcome: Outcome
    planner: str
    ledger: Ledger | None = None


class Planner(Protocol):
    """Turn a question into an outcome; `previous` is the query that the conversation is about."""

    name: str

    def plan(self, question: Question, language: Language, previous: Query | None) -> Outcome: ...

    def examples(self, language: Language) -> tuple[str, ...]: ...

    def follow_ups(self, query: Query, language: Language) -> tuple[str, ...]: ...


class SteppingPlanner(ABC):
    """Plan around another planner, in steps that people can watch and stop; the other's examples and follow-ups stand."""

    name: str

    def __init__(self, inner: Planner) -> None:
        self.inner = inner

    @abstractmethod
    def steps(
        self, question: Question, language: Language, previous: Query | None
    ) -> Iterator[Step | Planned]:
        """Yield each step as it begins, then the outcome."""

    def plan(self, question: Question, language: Language, previous: Query | None = None) -> Outcome:
        """Return what `steps` ends with."""
        *_, last = self.steps(question, language, previous)
        if not isinstance(last, Planned):
            raise AssertionError("the steps end with the outcome")
        return last.outcome

    def examples(self, language: Language) -> tuple[str, ...]:
        return self.inner.examples(language)

    def follow_ups(self, query: Query, language: Language) -> tuple[str, ...]:
        return self.inner.follow_ups(query, language)


def steps_of(
    planner: Planner, question: Question, language: Language, previous: Query | None
) -> Iterator[Step | Planned]:
    """Yield the steps of any planner, then the outcome."""
    if isinstance(planner, SteppingPlanner):
        yield from planner.steps(question, language, previous)
    else:
        yield Planned(outcome=planner.plan(question, language, previous), planner=planner.name)
