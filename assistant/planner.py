"""Owns what a planner is and what it returns: a Plan to run, a Clarification to ask, a Refusal or a Statement to give."""

from dataclasses import dataclass
from typing import Literal, Protocol

from wenshu.assistant.question import Question
from wenshu.semantic_layer.query import Query
from wenshu.semantic_layer.text import Language, Text


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Hold the query to run and what led to it; `superlative` says which end of a ranking was asked for.

    `assumptions` name each reading taken where the question allowed another; `evidence` are the words that support it.
    """

    query: Query
    superlative: Literal["most", "least"] | None = None
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


Outcome = Plan | Clarification | Refusal | Statement


class Planner(Protocol):
    """Turn a question into an outcome; `previous` is the query that the conversation is about."""

    name: str

    def plan(self, question: Question, language: Language, previous: Query | None) -> Outcome: ...

    def examples(self, language: Language) -> tuple[str, ...]: ...

    def follow_ups(self, query: Query, language: Language) -> tuple[str, ...]: ...
