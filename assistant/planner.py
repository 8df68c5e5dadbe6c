"""Owns what a planner is and what it returns: a Plan to run, a Clarification to ask, a Refusal, a Statement or a Report to give."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, Protocol, runtime_checkable

from wenshu.assistant.ledger import Ledger
from wenshu.assistant.question import Question
from wenshu.semantic_layer.query import Query
from wenshu.semantic_layer.table import ResultTable
from wenshu.semantic_layer.text import Language, Text
from wenshu.tools.query import QueryResult


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Hold the query to run and what led to it; `superlative` says which end of a ranking was asked for.

    `assumptions` name each reading taken where the question allowed another; `evidence` are the words that support it;
    `template` names the saved question that it is.
    """

    query: Query
    superlative: Literal["most", "least"] | None = None
    assumptions: tuple[Text, ...] = ()
    evidence: tuple[str, ...] = ()
    period_label: str | None = None
    template: Text | None = None


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


Outcome = Plan | Clarification | Refusal | Statement | Report


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


@runtime_checkable
class SteppingPlanner(Protocol):
    """Plan in steps that people can watch and stop: yield each step as it begins, then the outcome."""

    def steps(
        self, question: Question, language: Language, previous: Query | None
    ) -> Iterator[Step | Planned]: ...


def steps_of(
    planner: Planner, question: Question, language: Language, previous: Query | None
) -> Iterator[Step | Planned]:
    """Yield the steps of any planner, then the outcome."""
    if isinstance(planner, SteppingPlanner):
        yield from planner.steps(question, language, previous)
    else:
        yield Planned(outcome=planner.plan(question, language, previous), planner=planner.name)
