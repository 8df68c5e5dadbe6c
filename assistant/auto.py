"""Owns planning by rules with a language model for what they do not understand. Without a model it is the rules' planning."""

from collections.abc import Iterator

from wenshu.assistant.ledger import Ledger
from wenshu.assistant.llm_planner import LlmPlanner, is_final, leaves_open
from wenshu.assistant.planner import Outcome, Planned, Step, SteppingPlanner
from wenshu.assistant.question import Question
from wenshu.semantic_layer.errors import PlannerError
from wenshu.semantic_layer.query import Query
from wenshu.semantic_layer.text import Language

VAGUE = ("overview", "vague", "why", "quality", "definition")  # known words that ask for no number


class AutoPlanner(SteppingPlanner):
    """Plan by rules; ask the language model about words that the rules do not know, and the rules' word stands if it fails."""

    name = "auto"

    def __init__(self, llm: LlmPlanner) -> None:
        super().__init__(llm.rules)
        self.llm = llm
        self.rules = llm.rules

    def steps(
        self, question: Question, language: Language, previous: Query | None
    ) -> Iterator[Step | Planned]:
        """Yield the steps, then the outcome: never worse than the rules'."""
        outcome = self.rules.plan(question, language, previous)
        if not self._leaves_open(outcome, question, language, previous):
            yield Planned(outcome=outcome, planner="rules")
            return
        ledger = Ledger(self.llm.language_model.settings)
        found = None
        try:
            found = yield from self.llm.ask(question, language, previous, ledger)
        except PlannerError:
            pass  # the rules' question back or refusal is an honest message already
        yield Planned(outcome=found or outcome, planner="llm" if found else "rules", ledger=ledger)

    def _leaves_open(self, outcome: Outcome, question: Question, language: Language, previous: Query | None) -> bool:
        """Say whether a model may know more than the rules: of words that are in no vocabulary, not of what a vague question leaves unsaid."""
        if not leaves_open(outcome) or is_final(outcome, self.rules, question, language):
            return False
        evidence = self.llm.evidence(question, language, previous)
        return bool(evidence.leftover) and not evidence.reading.has_word(*VAGUE)
