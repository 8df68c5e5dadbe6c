"""Owns report templates: sections and what each asks, as data, and reading them from YAML with every mistake named.

What stands in braces is a slot: report_periods.py and report_names.py say what it holds. Runs nothing.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from wenshu.assistant.templates import NAME, SLOT
from wenshu.semantic_layer.errors import QueryError, did_you_mean
from wenshu.semantic_layer.spec import LabelSpec
from wenshu.semantic_layer.spec_reader import Mistake, Path_, line_of
from wenshu.semantic_layer.text import Text
from wenshu.semantic_layer.yaml_lines import mistakes_in, read_yaml

LONGEST = 100_000  # characters of a file
SLOTS = frozenset(
    "period step lately year_ago days weeks months settled cohort_step cohorts "
    "headline daily main changed retention repurchase funnel new channel product sales assigned experiment campaigns found".split()
)
SHAPE = Text("docs/report.md shows each key.", "各个键的写法见 docs/report.md。")


class AskSpec(BaseModel):
    """Say what is asked: a question in words, a saved question, a query, or an analysis of a query."""

    model_config = ConfigDict(extra="forbid")
    question: LabelSpec | None = None
    saved: str | None = None
    set: dict[str, str | int] = {}
    analysis: Literal["drivers", "unusual", "experiment", "campaign_review"] | None = None
    query: dict[str, Any] | None = None

    @model_validator(mode="after")
    def _is_one(self) -> "AskSpec":
        if sum(each is not None for each in (self.question, self.saved, self.query)) != 1:
            raise ValueError("give one of question, saved and query")
        if self.set and self.saved is None:
            raise ValueError("set goes with saved")
        if self.analysis and self.query is None:
            raise ValueError("analysis goes with query")
        return self


class SectionSpec(BaseModel):
    """The shape of one section."""

    model_config = ConfigDict(extra="forbid")
    title: LabelSpec
    show: Literal["answers", "figures"] = "answers"
    glance: bool = False
    ask: list[AskSpec] = Field(min_length=1, max_length=6)


class ReportSpec(BaseModel):
    """The shape of one report."""

    model_config = ConfigDict(extra="forbid")
    title: LabelSpec
    sections: list[SectionSpec] = Field(min_length=1, max_length=40)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """Hold what is asked in one of four ways; `query` is JSON with slots, `analysis` what is done with it."""

    question: Text | None = None
    saved: str | None = None
    given: Mapping[str, str] = field(default_factory=dict)
    analysis: str | None = None
    query: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """Hold a part of a report; `figures` shows its first answer's numbers as cards, `glance` gives its first sentence to the summary."""

    title: Text
    asks: tuple[Ask, ...]
    show: Literal["answers", "figures"] = "answers"
    glance: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportTemplate:
    """Hold what a report is made of, and the `text` of the file that says so."""

    name: str
    title: Text
    sections: tuple[Section, ...]
    text: str = ""


def report_templates(model: str, folder: Path | None = None) -> dict[str, ReportTemplate]:
    """Return the reports of a model by name: the built-in one and those of a folder, which win where names are alike.

    Raises `ModelError` with code `report_invalid` for all mistakes of a file at once.
    """
    found = dict(_built_in())
    place = folder / model if folder else None
    for path in sorted(place.glob("*.yml")) if place and place.is_dir() else ():
        found |= read_reports(path)
    return found


def report_template(name: str, known: Mapping[str, ReportTemplate]) -> ReportTemplate:
    """Return a report by its name; `QueryError` with code `unknown_report` where there is none."""
    if name in known:
        return known[name]
    hint = did_you_mean(name, known)
    listing = Text(f"There are: {', '.join(known)}.", f"现有：{'、'.join(known)}。")
    raise QueryError(
        "unknown_report",
        Text(f"There is no report “{name[:60]}”.", f"没有名为“{name[:60]}”的报告。"),
        hint if hint.en else listing,
    )


def read_reports(path: Path) -> dict[str, ReportTemplate]:
    """Return the reports of a file. Raises `ModelError` with code `report_invalid` for all its mistakes at once."""
    try:
        text = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError):
        fix = Text("See that it is there and saved as UTF-8.", "请检查文件是否存在并以 UTF-8 保存。")
        raise mistakes_in(
            path.name, "report_invalid", [Mistake(1, Text("the file cannot be read", "无法读取文件"), fix)]
        ) from None
    return parse_reports(text, path.name)


def parse_reports(text: str, file: str) -> dict[str, ReportTemplate]:
    """Return the reports of a YAML text, by name."""
    mistakes: list[Mistake] = []
    lines: dict[Path_, int] = {}
    data = read_yaml(text, lines, mistakes) if len(text) <= LONGEST else None
    if not (isinstance(data, dict) and data) and not mistakes:
        mistakes.append(Mistake(1, Text("the file holds no report", "文件中没有报告"), SHAPE))
    found = {}
    for key, item in data.items() if isinstance(data, dict) else ():
        name = str(key)
        if not NAME.fullmatch(name):
            mistakes.append(
                Mistake(
                    line_of((key,), lines),
                    Text(f"“{name[:60]}” is no name for a report", f"“{name[:60]}”不能作为报告名称"),
                    SHAPE,
                )
            )
        for slot in sorted(_slots_in(item) - SLOTS):
            mistakes.append(
                Mistake(
                    line_of((key,), lines),
                    Text(f"there is no slot {{{slot}}}", f"没有占位符 {{{slot}}}"),
                    did_you_mean(slot, SLOTS),
                )
            )
        try:
            found[name] = _template(name, ReportSpec.model_validate(item), text)
        except ValidationError as error:
            for problem in error.errors(include_url=False):
                what = ".".join(map(str, problem["loc"])) or name
                reason = problem["msg"].removeprefix("Value error, ")
                mistakes.append(
                    Mistake(
                        line_of((key, *problem["loc"]), lines),
                        Text(f"{what}: {reason}", f"{what} 有误（{reason}）"),
                        SHAPE,
                    )
                )
    if mistakes:
        raise mistakes_in(file, "report_invalid", mistakes)
    return found


@cache
def _built_in() -> Mapping[str, ReportTemplate]:
    shipped = files("wenshu.assistant").joinpath("report_sets/weekly.yml")
    return parse_reports(shipped.read_text("utf-8"), "weekly.yml")


def _template(name: str, spec: ReportSpec, text: str) -> ReportTemplate:
    sections = tuple(
        Section(title=_text(each.title), show=each.show, glance=each.glance, asks=tuple(map(_ask, each.ask)))
        for each in spec.sections
    )
    return ReportTemplate(name=name, title=_text(spec.title), sections=sections, text=text)


def _ask(spec: AskSpec) -> Ask:
    given = {key: str(value) for key, value in spec.set.items()}
    question = _text(spec.question) if spec.question else None
    return Ask(question=question, saved=spec.saved, given=given, analysis=spec.analysis, query=spec.query)


def _text(label: LabelSpec) -> Text:
    return Text(label.en, label.zh)


def _slots_in(part: Any) -> set[str]:
    match part:
        case str():
            return set(SLOT.findall(part))
        case Mapping():
            return {slot for value in part.values() for slot in _slots_in(value)}
        case list():
            return {slot for value in part for slot in _slots_in(value)}
        case _:
            return set()
