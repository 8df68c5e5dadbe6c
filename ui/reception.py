"""Owns what every door does around a question: answer from what is current, and write the answer down before it is given.

Knows nothing of commands or pages. A model file that was edited is read again when it is sound; while it is not, the old one goes on
answering and each answer says so. Data that were replaced are opened anew.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from threading import Lock
from time import perf_counter
from typing import Any, Generic, TypeVar

from wenshu.assistant.answer import Answer
from wenshu.assistant.assistant import Assistant, failed
from wenshu.assistant.planner import Investigation, Plan, Step
from wenshu.assistant.question import Question, language_of
from wenshu.semantic_layer.errors import ModelError, WenshuError
from wenshu.semantic_layer.layer import SemanticLayer
from wenshu.semantic_layer.model import Model
from wenshu.semantic_layer.query import query_to_json
from wenshu.semantic_layer.text import Language, Text
from wenshu.ui.audit import STOPPED, AuditLog, Entry
from wenshu.ui.users import Visitors

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True, kw_only=True)
class Ran(Generic[Result]):
    """Hold what a query or statement gave, with what is written down of it."""

    result: Result
    sql: str
    rows: int
    query: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Say how to read the model and to open the data; `version` is a word that changes with the files of models and users."""

    load: Callable[[], Model]
    open: Callable[[Model], Visitors]
    version: Callable[[], str]


class Reception:
    """Answer people over one model and its data; safe to use from several threads.

    `account` asks where a question names nobody. `on_notice` is told of what keeps the model or the log from being as it should.
    """

    def __init__(
        self, source: Source, log: AuditLog, *, door: str, account: str | None = None, on_notice: Callable[[Text], None] = lambda text: None
    ) -> None:  # fmt: skip
        self._source = source
        self._log = log
        self._door = door
        self._account = account
        self._on_notice = on_notice
        self._noticed: Text | None = None
        self._stale: ModelError | None = None
        self._opening = Lock()
        self._model = source.load()
        version = source.version()
        self._visitors = source.open(self._model)
        self._seen = (version, self._visitors.data_version())

    def close(self) -> None:
        """Give up the data; what is being answered is answered first."""
        self._visitors.close()

    def layer(self, user: str | None) -> SemanticLayer:
        """Return the layer of a person as model and data are now; raises `WenshuError` where there is none."""
        return self._current().layer(user)

    def assistant(self, user: str | None) -> Assistant:
        """Return the assistant of a person as model and data are now; raises `WenshuError` where there is none."""
        return self._current().assistant(user)

    def name_of(self, messenger: str, account: str) -> str | None:
        """Return the name of whom a messenger calls `account`; None where all may see the same, so that names say nothing.

        Raises `QueryError` with code `unknown_user` for somebody who is not on the list of users.
        """
        visitors = self._current()
        return visitors.called(messenger, account) if visitors.told_apart else None

    @property
    def timezone(self) -> str:
        """Return the time zone of the model's data."""
        self._current()
        return self._model.timezone

    @property
    def tells_apart(self) -> bool:
        """Say whether what somebody sees depends on who it is."""
        return self._current().told_apart

    def ask(self, question: Question) -> Answer:
        """Answer a question; every failure that a person can act on is an answer too."""
        *_, answer = self.stream(question)
        if not isinstance(answer, Answer):
            raise AssertionError("the stream ends with the answer")
        return answer

    def stream(self, question: Question) -> Iterator[Step | Answer]:
        """Yield the stages as they begin, then the answer, which is in the log by then."""
        return self._attended(question, lambda assistant: assistant.stream(question))

    def carry_out(self, question: Question, outcome: Plan | Investigation) -> Iterator[Step | Answer]:
        """Yield the stages of what is planned already, then the answer, which is in the log by then."""
        return self._attended(question, lambda assistant: assistant.carry_out(question, outcome))

    def answer_plan(self, question: Question, plan: Plan) -> Answer:
        """Answer with a plan that is made already; the answer is in the log."""
        *_, answer = self.carry_out(question, plan)
        if not isinstance(answer, Answer):
            raise AssertionError("the stream ends with the answer")
        return answer

    def run(self, asked: str, user: str | None, language: Language, work: Callable[[SemanticLayer], Ran[Result]]) -> Result:
        """Return what `work` makes of a person's layer for a query or statement `asked`; it, or its failure, is in the log."""
        started, policy = perf_counter(), ""
        entry = Entry(door=self._door, user=user or self._account, language=language, question=asked, outcome="error")
        try:
            layer = self.layer(user)
            policy = layer.policy_fingerprint
            ran = work(layer)
            entry = replace(entry, outcome="answered", query=ran.query, sql=ran.sql, rows=ran.rows)
            return ran.result
        except WenshuError as error:
            entry = replace(entry, outcome=error.status, code=error.code)
            raise
        except KeyboardInterrupt:
            entry = replace(entry, outcome=STOPPED)
            raise
        finally:
            self._notify(self._log.write(replace(entry, policy=policy, ms=(perf_counter() - started) * 1000)))

    def _attended(
        self, question: Question, answer: Callable[[Assistant], Iterator[Step | Answer]]
    ) -> Iterator[Step | Answer]:
        started, written, policy = perf_counter(), False, ""
        blank = Answer(id="1", status="error", language=_language(question))
        try:
            try:
                assistant = self.assistant(question.user)
                policy = assistant.layer.policy_fingerprint
                steps = answer(assistant)
            except WenshuError as error:
                steps = iter([failed(blank, error)])
            for step in steps:
                if isinstance(step, Answer):
                    step, written = self._attested(question, step, policy, started), True
                yield step
        except BaseException as ending:
            if not written:
                outcome = STOPPED if isinstance(ending, (GeneratorExit, KeyboardInterrupt)) else "error"
                self._write(question, blank, policy, started, outcome)
            raise

    def _attested(self, question: Question, answer: Answer, policy: str, started: float) -> Answer:
        """Return the answer once it is written down, with what its reader should know of model and log."""
        stopped = answer.problem is not None and answer.problem.code == "cancelled"
        try:
            unwritten = self._write(question, answer, policy, started, STOPPED if stopped else answer.status)
        except WenshuError as error:
            self._notify(error.message)
            return failed(Answer(id=answer.id, status="error", language=answer.language), error)
        said = [text.in_(answer.language) for text in (unwritten, self._old_model()) if text]
        return replace(answer, text="\n\n".join(filter(None, (answer.text, *said)))) if said else answer

    def _write(self, question: Question, answer: Answer, policy: str, started: float, outcome: str) -> Text | None:
        warning = self._log.write(
            Entry(
                door=self._door,
                user=question.user or self._account,
                conversation=question.conversation,
                language=answer.language,
                question=question.text,
                outcome=outcome,
                code=answer.problem.code if answer.problem else None,
                query=query_to_json(answer.query) if answer.query else None,
                sql=answer.sql,
                policy=policy,
                rows=len(answer.table.rows) if answer.table else None,
                ms=(perf_counter() - started) * 1000,
            )
        )
        self._notify(warning)
        return warning

    def _notify(self, notice: Text | None) -> None:
        if notice and notice != self._noticed:
            self._on_notice(notice)
        self._noticed = notice

    def _current(self) -> Visitors:
        """Return the visitors over model and data as they are now; a model that cannot be read leaves the old one in its place.

        Raises `EngineError` where the data are not there or cannot be read: there is nothing to answer from.
        """
        if self._seen != self._now():
            with self._opening:
                now = self._now()
                if self._seen != now:
                    self._reopen()
                    self._seen = now
        return self._visitors

    def _now(self) -> tuple[str, str]:
        return self._source.version(), self._visitors.data_version()

    def _reopen(self) -> None:
        before, old = self._stale, self._visitors
        try:
            self._model, self._stale = self._source.load(), None
        except ModelError as error:
            self._stale = error
            if before is None or str(before) != str(error):
                self._on_notice(Text(str(error), f"{error.message.zh}{error.hint.zh}"))
        self._visitors = self._source.open(self._model)
        old.close()

    def _old_model(self) -> Text | None:
        if self._stale is None:
            return None
        problem = self._stale.message
        return Text(
            f"Note: the model file was changed and cannot be used, so this is by the model before the change. {problem.en}",
            f"注意：模型文件已改动但无法使用，这里仍按改动前的模型计算。{problem.zh}",
        )


def _language(question: Question) -> Language:
    return language_of(question.text) if question.language == "auto" else question.language
