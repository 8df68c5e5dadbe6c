"""Owns planning with a language model in one structured call: prompt, plan, check, once more with what was wrong.

The model chooses among what the question's words support; what it got wrong twice, and what it is not needed for,
is the rules'. Knows no library: whoever speaks to the model is an argument.
"""

from collections.abc import Generator, Iterable, Iterator
from dataclasses import replace
from datetime import date

from wenshu.assistant.evidence import IGNORED, UNKNOWN, Checked, Evidence, check, evidence_of, meaning_of
from wenshu.assistant.grammar import read
from wenshu.assistant.guardrail import guardrail
from wenshu.assistant.language_model import LanguageModel
from wenshu.assistant.ledger import Ledger
from wenshu.assistant.linker import link
from wenshu.assistant.plan_names import PlanNames
from wenshu.assistant.plan_schema import plan_schema, read_plan, words_schema
from wenshu.assistant.planner import Clarification, Outcome, Plan, Planned, Refusal, Statement, Step
from wenshu.assistant.prompts import plan_again, plan_question, plan_system, words_question, words_system
from wenshu.assistant.question import MAX_LENGTH, Question
from wenshu.assistant.rules import RulesPlanner
from wenshu.assistant.vicinity import catalogue_of, siblings, values_of
from wenshu.semantic_layer.errors import PlannerError, QueryError
from wenshu.semantic_layer.query import Query
from wenshu.semantic_layer.text import Language, Text

ASKING = Text("Asking the language model", "询问大模型")
CONFIRMING = Text("Making sure of the words", "核对词义")
ASKING_AGAIN = Text("Asking the language model once more", "请大模型修正")
TRIES, MOST_READINGS = 2, 3


class LlmPlanner:
    """Plan questions with a language model, over the words that the linker finds."""

    name = "llm"

    def __init__(self, rules: RulesPlanner, model: LanguageModel) -> None:
        self.rules = rules
        self.layer = rules.layer
        self.language_model = model

    def plan(self, question: Question, language: Language, previous: Query | None = None) -> Outcome:
        """Return what `steps` ends with."""
        *_, last = self.steps(question, language, previous)
        assert isinstance(last, Planned)
        return last.outcome

    def examples(self, language: Language) -> tuple[str, ...]:
        return self.rules.examples(language)

    def follow_ups(self, query: Query, language: Language) -> tuple[str, ...]:
        return self.rules.follow_ups(query, language)

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
        try:
            outcome = yield from self.ask(question, language, previous, ledger)
        except PlannerError as error:
            if not isinstance(by_rules, Plan):
                raise
            yield Planned(outcome=noted(by_rules, error), planner="rules", ledger=ledger)
            return
        planner = self.name if outcome is not None else "rules"
        yield Planned(outcome=outcome if outcome is not None else by_rules, planner=planner, ledger=ledger)

    def ask(
        self, question: Question, language: Language, previous: Query | None, ledger: Ledger
    ) -> Generator[Step, None, Outcome | None]:
        """Yield the steps of asking the model; return a plan that the words support, a question back, or None.

        Raises `PlannerError` where the model cannot be used.
        """
        as_of = self.layer.as_of(question.today)
        evidence = self.evidence(question, language, previous, as_of)
        catalogue = catalogue_of(self.layer.model, evidence.leftover, evidence.metrics)
        names = PlanNames(self.layer.model, language)
        system = plan_system(self.layer.model, language, names)
        schema = plan_schema(evidence, catalogue, self.layer.model, names)
        asked = plan_question(evidence, catalogue, self.layer.model, language, as_of, names)
        messages = [("system", system), ("user", asked)]
        settings = self.language_model.settings
        for attempt in range(TRIES):
            yield Step("ask_model", ASKING_AGAIN if attempt else ASKING)
            reply = self.language_model.complete(messages, ledger, schema)
            try:
                draft = read_plan(reply, evidence, names)
                if evidence.leftover and settings.confirm:
                    yield Step("confirm", CONFIRMING)
                    readings = list(self._readings(draft.meanings, evidence, names, language, ledger))
                    if readings[-1] != readings[-2] or set(readings[-1]) != set(evidence.leftover):
                        return self._unsure(evidence, language, readings)
                    draft = replace(draft, meanings=readings[-1], metrics=tuple(m for m in draft.metrics if m in evidence.metrics))
                checked = check(draft, evidence, self.layer.model)
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

    def _readings(
        self, first: dict[str, str], evidence: Evidence, names: PlanNames, language: Language, ledger: Ledger
    ) -> Iterator[dict[str, str]]:
        """Yield what the model takes the words for until it says the same twice, three times at most.

        After the first it is asked of the words alone, with what it said and what is most easily taken for it to choose from.
        """
        yield first
        for _ in range(MOST_READINGS - 1):
            listed = self._alternatives(first, evidence)
            asked = words_question(evidence, listed, self.layer.model, language, names)
            schema = words_schema(evidence.leftover, [names.word(meaning) for meaning in listed])
            reply = self.language_model.complete([("system", words_system(language)), ("user", asked)], ledger, schema)
            again = {word: m for word, m in read_plan(reply, evidence, names).meanings.items() if m in listed}
            yield again
            if again == first:
                return
            first = again

    def _alternatives(self, meanings: dict[str, str], evidence: Evidence) -> tuple[str, ...]:
        """Return what words may mean instead: the metrics near them, those like the ones read, the values of the groups read."""
        model, listed = self.layer.model, []
        for name in catalogue_of(model, evidence.leftover, evidence.metrics).near:
            listed.append(f"metric {name}")
        for kind, name, _ in map(meaning_of, meanings.values()):
            if kind == "metric" and name in model.metric_by_name:
                listed += [f"metric {other}" for other in siblings(model, name)]
            if kind in ("group", "value"):
                listed += [f"value {name} = {value}" for value in values_of(model, self.layer.profile.values, name)]
        return tuple(dict.fromkeys((*listed, *meanings.values(), UNKNOWN, IGNORED)))

    def _unsure(
        self, evidence: Evidence, language: Language, readings: Iterable[dict[str, str]]
    ) -> Clarification | None:
        """Return the question back whether one of several readings of a word is meant; None where none can be asked."""
        reading, suggestions = evidence.reading, self.rules.suggestions
        when = reading.periods[0].text if reading.periods else ""
        by = reading.dimensions[0] if reading.dimensions else None
        options = []
        for kind, name, _ in (meaning_of(meaning) for meanings in readings for meaning in meanings.values()):
            if kind == "metric" and name in self.layer.model.metric_by_name:
                metric = self.layer.model.metric(name)
                if by is None or by in suggestions.dimensions_of(metric, every=True):
                    options.append(suggestions.phrase(language, metric, when, by))
        if not options:
            return None
        words = evidence.leftover[:3]
        return Clarification(
            code="not_sure",
            prompt=Text(f"What do you mean by “{', '.join(words)[:80]}”?", f"“{'、'.join(words)[:80]}”指的是什么？"),
            options=tuple(dict.fromkeys(options))[:4],
        )

    def evidence(self, question: Question, language: Language, previous: Query | None, as_of: date) -> Evidence:
        """Return what the words of a question support."""
        linked = link(question.text, self.rules.vocabulary, as_of=as_of, language=language)
        reading = read(linked, self.layer.model)
        named = (targets[0].name for targets in self.rules.settler.named_metrics(reading) if targets)
        return evidence_of(reading, self.layer.model, previous, tuple(named))

    def _refused(self, checked: Checked, question: Question) -> tuple[str, ...]:
        """Return why the query cannot run, in the model's language, or nothing."""
        assert checked.query is not None
        try:
            self.layer.compile(checked.query, today=question.today)
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
    if isinstance(outcome, Statement) or not question.text.strip() or len(question.text) > MAX_LENGTH:
        return True
    if not isinstance(outcome, Refusal):
        return False
    try:
        linked = link(question.text, rules.vocabulary, as_of=rules.layer.as_of(question.today), language=language)
    except QueryError:
        return True
    return guardrail(linked, rules.model) is not None


def noted(outcome: Outcome, error: PlannerError) -> Outcome:
    """Return the rules' outcome with the word that the language model was of no use."""
    if not isinstance(outcome, Plan):
        return outcome
    said = Text(f"{error.message.en} The built-in rules answered.", f"{error.message.zh}由内置规则作答。")
    return replace(outcome, assumptions=(*outcome.assumptions, said))


def leaves_open(outcome: Outcome) -> bool:
    """Say whether a language model may know more than the rules: of words that they do not understand."""
    return isinstance(outcome, Clarification | Refusal) and outcome.code in ("not_understood", "no_metric", "not_in_data")
