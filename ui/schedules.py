"""Owns what is sent when and to whom: the shape of a file of schedules and alerts, read with every mistake named. Sends nothing."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from wenshu.assistant.templates import NAME
from wenshu.semantic_layer.errors import QueryError
from wenshu.semantic_layer.periods import Grain
from wenshu.semantic_layer.query import Filter, filter_from_json
from wenshu.semantic_layer.spec import LabelSpec
from wenshu.semantic_layer.spec_reader import Mistake, Path_, line_of
from wenshu.semantic_layer.text import Language, Text
from wenshu.semantic_layer.yaml_lines import mistakes_in, read_yaml
from wenshu.ui.alert_rules import Change, Rule, Threshold, UsualWeekday
from wenshu.ui.cron import Cron, parse_cron

LONGEST = 200_000  # characters of the file
ENDINGS = (".csv", ".json", ".png")
REPORT_ENDINGS = (".html", ".md", ".pdf", ".json")
DATE = "{date}"

CRON = Text(
    "Write five fields, e.g. “0 9 * * mon” for Mondays at 9:00.", "请写五个字段，例如“0 9 * * mon”表示每周一 9:00。"
)
ZONE = Text("Name one such as Asia/Shanghai.", "请写时区名称，例如 Asia/Shanghai。")
SHAPE = Text("docs/schedules.md shows each key.", "各个键的写法见 docs/schedules.md。")
WEB = Text("Give an address that begins with https:// or http://.", "请给出以 https:// 或 http:// 开头的地址。")
FILE = Text("Name a file that ends with .csv, .json or .png.", "请指定以 .csv、.json 或 .png 结尾的文件。")
REPORT_FILE = Text("Name a file that ends with .html, .md, .pdf or .json.", "请指定以 .html、.md、.pdf 或 .json 结尾的文件。")
SLACK = Text(
    "Give a channel's id, e.g. C0123456789: it ends the address of the channel in a browser.",
    "请给出频道 ID，例如 C0123456789（见浏览器中频道地址的末尾）。",
)


class _Spec(BaseModel):
    model_config = ConfigDict(extra="forbid")


class DestinationSpec(_Spec):
    """Say where it goes: one of a Slack channel, an address that is called, or a file."""

    slack: str | None = None
    webhook: str | None = None
    secret: str | None = Field(default=None, pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")
    file: str | None = None

    @model_validator(mode="after")
    def _is_one(self) -> "DestinationSpec":
        if sum(each is not None for each in (self.slack, self.webhook, self.file)) != 1:
            raise ValueError("give one of slack, webhook and file")
        if self.secret is not None and self.webhook is None:
            raise ValueError("secret goes with webhook")
        return self


class ChangeSpec(_Spec):
    """Say how far a number may go from the period before: 20% or 0.2."""

    down: float | str | None = None
    up: float | str | None = None


class UsualWeekdaySpec(_Spec):
    """Say how many deviations a day may be from the days of the same name in the weeks before."""

    deviations: float = Field(default=3.5, gt=0)
    weeks: int = Field(default=8, ge=4, le=52)


class RuleSpec(_Spec):
    """Say when a metric leaves its range; any of them is enough."""

    below: float | None = None
    above: float | None = None
    change: ChangeSpec | None = None
    usual_weekday: UsualWeekdaySpec | None = None


class AlertSpec(_Spec):
    """Say which metric is watched, in which steps, and its range."""

    metric: str
    grain: Literal["day", "week", "month"] = "day"
    filters: Any = None
    rule: RuleSpec


class ScheduleSpec(_Spec):
    """The shape of one schedule."""

    template: str | None = None
    set: dict[str, str | int] = {}
    alert: AlertSpec | None = None
    report: str | None = None
    period: str | None = None
    title: LabelSpec | None = None
    cron: str
    timezone: str | None = None
    to: DestinationSpec
    user: str | None = None
    language: Literal["zh", "en"] | None = None

    @model_validator(mode="after")
    def _is_one(self) -> "ScheduleSpec":
        if sum(each is not None for each in (self.template, self.alert, self.report)) != 1:
            raise ValueError("give one of template, alert and report")
        if self.period is not None and self.report is None:
            raise ValueError("period goes with report")
        if self.set and self.template is None:
            raise ValueError("set goes with template")
        return self


@dataclass(frozen=True, slots=True, kw_only=True)
class Destination:
    """Say where something is sent: a channel's id, an address or a path; `secret` names the variable that holds the key."""

    kind: Literal["slack", "webhook", "file"]
    address: str
    secret: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """Send the answer of a saved question."""

    template: str
    given: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class WholeReport:
    """Send a whole report; without a `period` that of the last complete week."""

    name: str
    period: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """Tell when a metric leaves its range."""

    metric: str
    grain: Grain
    rules: tuple[Rule, ...]
    filters: Filter | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """Hold what is sent, when, to whom and as whom."""

    name: str
    sends: Report | WholeReport | Alert
    cron: Cron
    timing: str  # cron expression and zone as written
    to: Destination
    line: int
    language: Language
    title: Text | None = None
    user: str | None = None


def read_schedules(path: Path, *, timezone: str, language: Language) -> tuple[Schedule, ...]:
    """Return the schedules of a file, in order; none where there is no file.

    `timezone` and `language` are those of schedules that name none. Raises `ModelError` with code `schedules_invalid` for all mistakes at once.
    """
    mistakes: list[Mistake] = []
    lines: dict[Path_, int] = {}
    try:
        text = path.read_text("utf-8")
    except FileNotFoundError:
        return ()
    except (OSError, UnicodeDecodeError):
        fix = Text("Save it as UTF-8 and see that it may be read.", "请保存为 UTF-8 并检查读取权限。")
        raise mistakes_in(
            path.name, "schedules_invalid", [Mistake(1, Text("the file cannot be read", "无法读取文件"), fix)]
        ) from None
    data = read_yaml(text, lines, mistakes) if len(text) <= LONGEST else None
    if not isinstance(data, dict) and not mistakes:
        mistakes.append(Mistake(1, Text("the file holds no schedules", "文件中没有定时任务"), SHAPE))
    found = []
    for name, item in data.items() if isinstance(data, dict) else ():
        reading = _Reading(str(name), lines, mistakes)
        if schedule := reading.schedule(item, timezone, language):
            found.append(schedule)
    if mistakes:
        raise mistakes_in(path.name, "schedules_invalid", mistakes)
    return tuple(found)


class _Reading:
    """Reads one schedule; what is wrong is noted with its line."""

    def __init__(self, name: str, lines: dict[Path_, int], mistakes: list[Mistake]) -> None:
        self._name, self._lines, self._mistakes = name, lines, mistakes

    def schedule(self, item: Any, timezone: str, language: Language) -> Schedule | None:
        before = len(self._mistakes)
        if not NAME.fullmatch(self._name):
            self._wrong(
                (), Text(f"“{self._name[:60]}” is no name for a schedule", f"“{self._name[:60]}”不能作为名称"), SHAPE
            )
        try:
            spec = ScheduleSpec.model_validate(item)
        except ValidationError as error:
            for problem in error.errors(include_url=False):
                what = ".".join(map(str, problem["loc"])) or self._name
                reason = problem["msg"].removeprefix("Value error, ")
                self._wrong(problem["loc"], Text(f"{what}: {reason}", f"{what} 有误（{reason}）"), SHAPE)
            return None
        zone = self._zone(spec.timezone or timezone)
        cron = self._cron(spec.cron, zone)
        to = self._destination(spec.to, spec.report is not None)
        sends = self._sends(spec)
        if len(self._mistakes) > before or cron is None or to is None or sends is None:
            return None
        title = Text(spec.title.en, spec.title.zh) if spec.title else None
        return Schedule(
            name=self._name, sends=sends, cron=cron, timing=f"{spec.cron} {zone}", to=to, user=spec.user, title=title,
            language=spec.language or language, line=line_of((self._name,), self._lines),
        )  # fmt: skip

    def _wrong(self, path: tuple[Any, ...], message: Text, fix: Text) -> None:
        self._mistakes.append(Mistake(line_of((self._name, *path), self._lines), message, fix))

    def _zone(self, name: str) -> ZoneInfo:
        try:
            return ZoneInfo(name)
        except (ValueError, OSError, KeyError):
            self._wrong(("timezone",), Text(f"“{name[:60]}” is no time zone", f"“{name[:60]}”不是时区"), ZONE)
            return ZoneInfo("UTC")

    def _cron(self, expression: str, zone: ZoneInfo) -> Cron | None:
        try:
            return parse_cron(expression, zone)
        except ValueError as error:
            what = f"“{expression[:60]}”"
            self._wrong(("cron",), Text(f"{what} is no time ({error})", f"{what} 不是有效的时间（{error}）"), CRON)
            return None

    def _destination(self, spec: DestinationSpec, whole_report: bool) -> Destination | None:
        if spec.webhook is not None:
            if _is_web(spec.webhook):
                return Destination(kind="webhook", address=spec.webhook, secret=spec.secret)
            self._wrong(
                ("to", "webhook"),
                Text(f"“{spec.webhook[:80]}” cannot be called", f"无法访问“{spec.webhook[:80]}”"),
                WEB,
            )
        elif spec.file is not None:
            if spec.file.endswith(REPORT_ENDINGS if whole_report else ENDINGS):
                return Destination(kind="file", address=spec.file)
            self._wrong(
                ("to", "file"), Text(f"“{spec.file[:80]}” cannot be written", f"无法写入“{spec.file[:80]}”"), REPORT_FILE if whole_report else FILE
            )
        elif spec.slack is not None:
            if spec.slack.isalnum() and spec.slack.isascii() and spec.slack[:1] in "CGD":
                return Destination(kind="slack", address=spec.slack)
            self._wrong(
                ("to", "slack"), Text(f"“{spec.slack[:80]}” is no channel", f"“{spec.slack[:80]}”不是频道 ID"), SLACK
            )
        return None

    def _sends(self, spec: ScheduleSpec) -> Report | WholeReport | Alert | None:
        if spec.report is not None:
            return WholeReport(name=spec.report, period=spec.period)
        if spec.alert is None:
            return Report(template=spec.template or "", given={key: str(value) for key, value in spec.set.items()})
        alert, where = spec.alert, ("alert", "rule")
        try:
            rules = tuple(_rules(alert.rule))
        except ValueError as error:
            self._wrong(
                where, Text(f"“{error}” is no share", f"“{error}”不是比例"), Text("Write e.g. 20%.", "例如 20%。")
            )
            return None
        if not rules:
            self._wrong(where, Text("the rule is empty", "规则为空"), SHAPE)
        if alert.rule.usual_weekday is not None and alert.grain != "day":
            fix = Text("Use grain: day.", "请使用 grain: day。")
            self._wrong((*where, "usual_weekday"), Text("only days have a weekday", "只有按天的数据才有星期"), fix)
        try:
            filters = filter_from_json(alert.filters) if alert.filters is not None else None
        except QueryError as error:
            self._wrong(("alert", "filters"), error.message, error.hint)
            return None
        return Alert(metric=alert.metric, grain=Grain(alert.grain), filters=filters, rules=rules)


def _rules(spec: RuleSpec) -> list[Rule]:
    rules: list[Rule] = []
    if spec.below is not None or spec.above is not None:
        rules.append(Threshold(below=spec.below, above=spec.above))
    if spec.change is not None and (spec.change.down is not None or spec.change.up is not None):
        rules.append(Change(down=_share(spec.change.down), up=_share(spec.change.up)))
    if spec.usual_weekday is not None:
        rules.append(UsualWeekday(deviations=spec.usual_weekday.deviations, weeks=spec.usual_weekday.weeks))
    return rules


def _share(said: float | str | None) -> float | None:
    """Return a share said as 20% or 0.2; `ValueError` for anything else."""
    if said is None:
        return None
    text = str(said).strip()
    try:
        share = float(text.removesuffix("%")) / (100 if text.endswith("%") else 1)
    except ValueError:
        raise ValueError(text[:40]) from None
    if not 0 < share <= 100:
        raise ValueError(text[:40])
    return share


def _is_web(address: str) -> bool:
    try:
        parts = urlsplit(address)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0 and address.isprintable()
    except ValueError:
        return False
