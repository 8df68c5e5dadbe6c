"""Owns where templates are kept: YAML that comes with a model and a folder of a person's own, read with every mistake named.

A template that cannot be read is reported and passed over; the others work.
"""

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import date
from importlib.resources import files
from pathlib import Path
from threading import Lock
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from wenshu.assistant.templates import NAME, SLOT, Filled, Parameter, Template, slots_in
from wenshu.semantic_layer.errors import ModelError, QueryError, WenshuError, did_you_mean
from wenshu.semantic_layer.grant import withheld_in
from wenshu.semantic_layer.model import Model
from wenshu.semantic_layer.periods import DateRange
from wenshu.semantic_layer.query import Query
from wenshu.semantic_layer.spec import LabelSpec
from wenshu.semantic_layer.spec_reader import Mistake, Path_, line_of
from wenshu.semantic_layer.text import Language, Text
from wenshu.semantic_layer.whole_file import written_whole
from wenshu.semantic_layer.yaml_lines import mistakes_in, read_yaml

LONGEST = 100_000  # characters of a template file


class ParameterSpec(BaseModel):
    """Say what may stand in a slot: a time phrase, a value of a dimension, or a whole number."""

    model_config = ConfigDict(extra="forbid")
    type: Literal["period", "value", "number"]
    dimension: str | None = None
    default: LabelSpec | int
    label: LabelSpec | None = None


class TemplateSpec(BaseModel):
    """The shape of one template in a file."""

    model_config = ConfigDict(extra="forbid")
    title: LabelSpec
    description: LabelSpec | None = None
    category: str = Field(default="other", pattern=r"^[a-z][a-z0-9_]*$")
    question: LabelSpec
    parameters: dict[str, ParameterSpec] = {}
    query: dict[str, Any]


@dataclass(frozen=True)
class Templates:
    """Hold the templates of a model: those that come with it and those of a folder, which win where names are alike."""

    model: Model
    folder: Path | None = None
    errors: list[ModelError] = field(default_factory=list, compare=False)
    _read_already: dict[tuple[str, ...], tuple[Template, ...]] = field(default_factory=dict, compare=False, repr=False)
    _reading: Lock = field(default_factory=Lock, compare=False, repr=False)

    @property
    def all(self) -> tuple[Template, ...]:
        """Return the templates that can be read, as the files are now; `errors` then holds what is wrong with the others."""
        seen = tuple(sorted(map(_stamp, self.folder.glob("*.yml")))) if self.folder and self.folder.is_dir() else ()
        with self._reading:
            if seen not in self._read_already:
                self._read_already.clear()
                self.errors.clear()
                self._read_already[seen] = self._read_all()
            return self._read_already[seen]

    def owns(self, name: str) -> bool:
        """Say whether a template is a file of the folder, which `save` and `delete` change."""
        return self.folder is not None and bool(NAME.fullmatch(name)) and (self.folder / f"{name}.yml").is_file()

    def _read_all(self) -> tuple[Template, ...]:
        found: dict[str, Template] = {}
        shipped = files("wenshu.assistant").joinpath(f"template_sets/{self.model.name}.yml")
        if shipped.is_file():
            found |= {
                t.name: replace(t, built_in=True) for t in self._read(shipped.read_text("utf-8"), f"{self.model.name}.yml")
            }
        for path in sorted(self.folder.glob("*.yml")) if self.folder and self.folder.is_dir() else ():
            try:
                text = path.read_text("utf-8")[: LONGEST + 1]
            except (OSError, UnicodeDecodeError):
                message = Text(f"The template file {path.name} cannot be read.", f"无法读取模板文件 {path.name}。")
                self.errors.append(
                    ModelError("template_invalid", message, Text("Save it as UTF-8.", "请保存为 UTF-8。"))
                )
                continue
            found |= {template.name: template for template in self._read(text, path.name)}
        return tuple(template for template in found.values() if withheld_in(template.query, self.model) is None)

    def get(self, name: str) -> Template:
        """Return a template by name; `QueryError` with code `unknown_template` where there is none."""
        for template in self.all:
            if template.name == name:
                return template
        message = Text(f"There is no template “{name[:60]}”.", f"没有名为“{name[:60]}”的模板。")
        hint = did_you_mean(name, [template.name for template in self.all])
        listing = Text("`wenshu templates list` shows them.", "可用 `wenshu templates list` 查看。")
        raise QueryError("unknown_template", message, hint if hint.en else listing)

    def save(self, template: Template) -> Path:
        """Write a template to a file of its own, whole or not at all, and return the file."""
        assert self.folder is not None
        path = self.folder / f"{template.name}.yml"
        with suppress(OSError):  # what is missing then is said by the writing
            self.folder.mkdir(parents=True, exist_ok=True)
        with written_whole(path) as beside:
            beside.write_text(template_to_yaml(template), "utf-8")
        return path

    def delete(self, name: str) -> None:
        """Remove a template of the folder; a built-in one stays."""
        if self.folder is not None and NAME.fullmatch(name):
            (self.folder / f"{name}.yml").unlink(missing_ok=True)

    def matching(self, text: str, *, as_of: date, language: Language) -> Filled | None:
        """Return the template whose question these words are, with what stands in its slots."""
        for template in self.all:
            for pattern in {template.question.zh, template.question.en}:
                if (found := slots_in(pattern, text)) is not None:
                    try:
                        return template.filled(found, self.model, as_of=as_of, language=language)
                    except QueryError:
                        continue
        return None

    def asked_by(self, query: Query) -> Template | None:
        """Return the template that asks for the same as a query."""
        return next((template for template in self.all if template.asks(query)), None)

    def _read(self, text: str, file: str) -> Iterable[Template]:
        mistakes: list[Mistake] = []
        lines: dict[Path_, int] = {}
        data = read_yaml(text, lines, mistakes) if len(text) <= LONGEST else None
        if not isinstance(data, dict) and not mistakes:
            mistakes.append(Mistake(1, Text("the file holds no templates", "文件中没有模板"), _SHAPE))
        out = []
        for name, item in data.items() if isinstance(data, dict) else ():
            try:
                template = _template(str(name), TemplateSpec.model_validate(item))
                template.with_values(
                    {p.name: DateRange(date.min, date.min) if p.type == "period" else 1 for p in template.parameters}
                )
                out.append(template)
            except ValidationError as error:
                for problem in error.errors(include_url=False):
                    path = (name, *problem["loc"])
                    what = ".".join(map(str, problem["loc"])) or str(name)
                    reason = problem["msg"].removeprefix("Value error, ")
                    mistakes.append(
                        Mistake(line_of(path, lines), Text(f"{what}: {reason}", f"{what} 有误（{reason}）"), _SHAPE)
                    )
            except WenshuError as error:
                mistakes.append(Mistake(line_of((name, "query"), lines), error.message, error.hint))
        if mistakes:
            self.errors.append(mistakes_in(file, "template_invalid", mistakes))
        return out


def _stamp(path: Path) -> str:
    try:
        seen = path.stat()
    except OSError:
        return path.name
    return f"{path.name}:{seen.st_ino}:{seen.st_size}:{seen.st_mtime_ns}"


_SHAPE = Text(
    "A template has title, question and query; docs/templates.md shows one.",
    "模板包含 title、question 与 query，示例见 docs/templates.md。",
)


def _template(name: str, spec: TemplateSpec) -> Template:
    def text(label: Any, default: str = "") -> Text:
        return Text(label.en, label.zh) if label else Text(default, default)

    if not NAME.fullmatch(name):
        raise QueryError(
            "invalid_name",
            Text(f"“{name[:60]}” is no name for a template.", f"“{name[:60]}”不能作为模板名称。"),
            _SHAPE,
        )
    slots = {slot for question in (spec.question.en, spec.question.zh) for slot in SLOT.findall(question)}
    if unknown := slots - set(spec.parameters):
        names = ", ".join(sorted(unknown))
        raise QueryError(
            "invalid_parameter",
            Text(f"The slots {names} are no parameters.", f"占位符 {names} 没有对应的参数。"),
            _SHAPE,
        )
    parameters = tuple(
        Parameter(
            name=key, type=item.type, dimension=item.dimension, label=text(item.label, key),
            default=Text(str(item.default), str(item.default)) if isinstance(item.default, int) else text(item.default),
        )
        for key, item in spec.parameters.items()
    )  # fmt: skip
    return Template(
        name=name, title=text(spec.title), description=text(spec.description), category=spec.category,
        question=text(spec.question), query=spec.query, parameters=parameters,
    )  # fmt: skip


def template_to_yaml(template: Template) -> str:
    """Return the file of one template."""

    def text(label: Text) -> str | dict[str, str]:
        return label.en if label.en == label.zh else {"en": label.en, "zh": label.zh}

    parameters = {
        p.name: {"type": p.type, "label": text(p.label), "default": text(p.default)} | ({"dimension": p.dimension} if p.dimension else {})
        for p in template.parameters
    }  # fmt: skip
    body: dict[str, Any] = {"title": text(template.title)}
    if template.description.en:
        body["description"] = text(template.description)
    body |= {"category": template.category, "question": text(template.question)}
    body |= {"parameters": parameters} if parameters else {}
    written: str = yaml.safe_dump({template.name: body | {"query": dict(template.query)}}, allow_unicode=True, sort_keys=False)
    return written
