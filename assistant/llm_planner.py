"""Owns planning with a language model in one structured call: prompt, plan, check, once more with what was wrong.

The model chooses among what the question's words support; what it got wrong twice, and what it is not needed for,
is the rules'. Knows no library: whoever speaks to the model is an argument.
"""

from collections.abc import Generator, Iterator, Sequence
from dataclasses import replace

from wenshu.assistant.evidence import Evidence, evidence_of
from wenshu.assistant.grammar import read
from wenshu.assistant.guardrail import guardrail
from wenshu.assistant.language_model import LanguageModel
from wenshu.assistant.ledger import Ledger
from wenshu.assistant.linker import link
from wenshu.assistant.plan_check import Checked, check, named
from wenshu.assistant.plan_names import PlanNames
from wenshu.assistant.plan_schema import plan_schema, read_plan
from wenshu.assistant.planner import (
    Clarification,
    Investigation,
    Outcome,
    Plan,
    Planned,
    Refusal,
    Statement,
    Step,
    SteppingPlanner,
)
from wenshu.assistant.prompts import plan_again, plan_question, plan_system, rewordings
from wenshu.assistant.question import MAX_LENGTH, Question, language_of
from wenshu.assistant.rewording import Reworded, agreed_on, plain_question, read_as, same_request
from wenshu.assistant.rules import RulesPlanner
from wenshu.assistant.vicinity import catalogue_of
from wenshu.semantic_layer.errors import NotLearnt, PlannerError, QueryError
from wenshu.semantic_layer.query import Query
from wenshu.semantic_layer.text import Language, Text

ASKING = Text("Asking the language model", "询问大模型")
REWORDING = Text("Putting the question in plain words", "换成标准说法")
ASKING_AGAIN = Text("Asking the language model once more", "请大模型修正")
TRIES = 2


class LlmPlanner(SteppingPlanner):
    """Plan questions with a language model, over the words that the linker finds."""

    name = "llm"

    def __init__(self, rules: RulesPlanner, model: LanguageModel) -> None:
        super().__init__(rules)
        self.rules = rules
        self.layer = rules.layer
        self.language_model = model

    def steps(
        self, question: Question, language: Language, previous: Query | None
    ) -> Iterator[Step | Planned]:
        """Yield the steps, then the outcome; the rules' where they answer and the model is of no use.

        Raises `PlannerError` where the model is of no use and the rules have no answer.
        """
        by_rules = self.rules.plan(question, language, previous)
        if is_final(by_rules, self.rules, question, language):
            yield Planned(outcome=by_rules, planner="rules")
            return
        ledger = Ledger(self.language_model.settings)
        if isinstance(by_rules, Plan):
            yield from self._seconded(by_rules, question, language, previous, ledger)
            return
        outcome = yield from self.ask(question, language, previous, ledger)
        planner = self.name if outcome is not None else "rules"
        yield Planned(outcome=outcome if outcome is not None else by_rules, planner=planner, ledger=ledger)

    def _seconded(
        self, by_rules: Plan, question: Question, language: Language, previous: Query | None, ledger: Ledger
    ) -> Iterator[Step | Planned]:
        """Yield the steps of asking the model about what the rules read in full, then their plan, which stands."""
        planned, said = None, None
        try:
            planned = yield from self._planned(question, language, self.evidence(question, language, previous), ledger)
        except PlannerError as error:
            said = Text(f"{error.message.en} The built-in rules answered.", f"{error.message.zh}由内置规则作答。")
        agrees = planned is not None and same_request(planned.query, by_rules.query)
        if planned is not None and not agrees:
            read = named(planned.query, self.layer.model)
            said = Text(f"The language model read it as {read.en}; the built-in rules answered.", f"大模型理解为{read.zh}，仍由内置规则作答。")
        outcome = replace(by_rules, assumptions=(*by_rules.assumptions, said)) if said else by_rules
        yield Planned(outcome=outcome, planner=self.name if agrees else "rules", ledger=ledger)

    def ask(
        self, question: Question, language: Language, previous: Query | None, ledger: Ledger
    ) -> Generator[Step, None, Outcome | None]:
        """Yield the steps of asking the model; return a plan that the words support, a question back, or None.

        Raises `PlannerError` where the model cannot be used.
        """
        evidence = self.evidence(question, language, previous)
        if not evidence.leftover or not self.language_model.settings.confirm:
            return (yield from self._planned(question, language, evidence, ledger))
        found: list[Reworded] = []
        ways = tuple(rewordings(question.text, evidence.leftover, self.layer.model, language))
        for tried, messages in enumerate(ways, start=1):
            yield Step("reword", REWORDING)
            words = plain_question(self.language_model.complete(messages, ledger))
            found += self._reworded(words, question, previous, evidence)
            agreed, short = agreed_on(found, len(evidence.leftover), tried)
            if short <= 0:
                return next((one.plan for one in agreed if language_of(one.words) == language), agreed[0].plan)
            if short > len(ways) - tried:
                break
        sensible = tuple(one.words for one in found if one.explains)
        return self._unsure(evidence, sensible, language) if sensible else None

    def _planned(
        self, question: Question, language: Language, evidence: Evidence, ledger: Ledger
    ) -> Generator[Step, None, Plan | None]:
        """Yield the steps of asking for a plan in names; return what the words support of it."""
        model, as_of = self.layer.model, self.layer.as_of(question.today)
        catalogue = catalogue_of(model, evidence.leftover, evidence.metrics)
        names = PlanNames(model, language)
        system = plan_system(model, language, names)
        schema = plan_schema(evidence, catalogue, model, names)
        asked = plan_question(evidence, catalogue, model, language, as_of, names)
        messages = [("system", system), ("user", asked)]
        for attempt in range(TRIES):
            yield Step("ask_model", ASKING_AGAIN if attempt else ASKING)
            reply = self.language_model.complete(messages, ledger, schema)
            try:
                checked = check(read_plan(reply, evidence, names), evidence, model)
                if checked.unread:
                    return None
                problems = checked.problems or self._refused(checked, question)
            except QueryError as error:
                problems = (error.message.en,)
            else:
                if not problems and checked.query is not None:
                    return self._plan(checked, checked.query, evidence)
            messages = [*messages[:2], ("assistant", reply), ("user", plan_again(problems))]
        return None

    def _reworded(self, words: str, question: Question, previous: Query | None, evidence: Evidence) -> Iterator[Reworded]:
        """Yield what the rules read in other words of the question, as far as its own words allow and leave it open."""
        other, language = replace(question, text=words), language_of(words)
        plan = self.rules.plan(other, language, previous)
        if isinstance(plan, Plan) and (read := read_as(plan, words, evidence, self.evidence(other, language, previous))):
            yield read

    def _unsure(self, evidence: Evidence, reworded: Sequence[str], language: Language) -> Clarification:
        """Return the question back which of the readings is meant, in the asker's language as far as there are any."""
        words = evidence.leftover[:3]
        own = [text for text in reworded if language_of(text) == language]
        return Clarification(
            code="not_sure",
            prompt=Text(f"What do you mean by “{', '.join(words)[:80]}”?", f"“{'、'.join(words)[:80]}”指的是什么？"),
            options=tuple(dict.fromkeys(own or reworded)),
        )

    def evidence(self, question: Question, language: Language, previous: Query | None) -> Evidence:
        """Return what the words of a question support."""
        as_of = self.layer.as_of(question.today)
        linked = link(question.text, self.rules.vocabulary, as_of=as_of, language=language)
        reading = read(linked, self.layer.model)
        named = (targets[0].name for targets in self.rules.settler.named_metrics(reading) if targets)
        return evidence_of(reading, self.layer.model, previous, tuple(named))

    def _refused(self, checked: Checked, question: Question) -> tuple[str, ...]:
        """Return why the query cannot run, in the model's language, or nothing."""
        assert checked.query is not None
        try:
            self.layer.compile(checked.query, today=question.today)
        except NotLearnt:
            return ()  # it is learnt when it runs
        except QueryError as error:
            return (f"{error.message.en} {error.hint.en}".strip(),)
        return ()

    def _plan(self, checked: Checked, query: Query, evidence: Evidence) -> Plan:
        superlative = evidence.reading.superlative if query.order else None
        words = (*evidence.metrics.values(), *evidence.dimensions.values(), *evidence.values.values(), *evidence.periods, *evidence.leftover)
        label = next((text for text, period in evidence.periods.items() if period == query.period), None)
        return Plan(
            query=query, superlative=superlative, assumptions=checked.said, period_label=label,
            evidence=tuple(dict.fromkeys(word for word in words if word)),
        )  # fmt: skip


def is_final(outcome: Outcome, rules: RulesPlanner, question: Question, language: Language) -> bool:
    """Say whether the rules' outcome stands without a language model: a refusal of the guardrail, a definition, no question."""
    if isinstance(outcome, Statement | Investigation) or not question.text.strip() or len(question.text) > MAX_LENGTH:
        return True
    if not isinstance(outcome, Refusal):
        return False
    try:
        linked = link(question.text, rules.vocabulary, as_of=rules.layer.as_of(question.today), language=language)
    except QueryError:
        return True
    return guardrail(linked, rules.model) is not None


def leaves_open(outcome: Outcome) -> bool:
    """Say whether a language model may know more than the rules: of words that they do not understand."""
    return isinstance(outcome, Clarification | Refusal) and outcome.code in ("not_understood", "no_metric", "not_in_data")
