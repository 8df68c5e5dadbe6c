"""Owns making a model of files that people bring: a database of their own, and a model file that a person can go on with.

The files are copied and never changed; the database is complete or not there; nothing in the files is taken for an instruction.
"""

import os
import re
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from dataclasses import replace as changed
from pathlib import Path

import duckdb
import yaml

from wenshu.semantic_layer import file_errors
from wenshu.semantic_layer.data_loading import MEMORY, THREADS, LoadedTable, Progress, load, stage
from wenshu.semantic_layer.loader import parse_model
from wenshu.semantic_layer.model import Model
from wenshu.semantic_layer.proposed_columns import TableParts, parts_of
from wenshu.semantic_layer.proposed_model import ProposedModel, Values
from wenshu.semantic_layer.text import Text
from wenshu.semantic_layer.whole_file import written_whole
from wenshu.semantic_layer.worker import literal

MODEL, DATABASE = "model.yml", "data.duckdb"


@dataclass(frozen=True, slots=True, kw_only=True)
class BroughtFile:
    """Name a file to make a table of: where it lies, and what people call it, where that is not the same."""

    path: Path
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """Hold what became of the files: the model file and its text, the database beside it, and what was found, to be shown."""

    model_path: Path
    database: Path
    yaml: str
    model: Model
    findings: tuple[Text, ...]
    understood: tuple[Text, ...]

    @property
    def examples(self) -> tuple[Text, ...]:
        """Return questions to start with; whoever shows them tries them before."""
        return self.model.examples


def propose(
    brought: Sequence[Path | BroughtFile], out: Path, *, timezone: str | None = None, replace: bool = False, progress: Progress | None = None
) -> Proposal:  # fmt: skip
    """Make a database and a model of CSV, TSV, Excel or Parquet files, in the folder `out`.

    Moments that name a time zone are kept as the clock of `timezone`: without one, Asia/Shanghai for files with Chinese names or headers, else UTC. `progress`
    is told the file and how far it is, 0 to 1. Raises `FileError`; then `out` is as it was.
    """
    given = [each if isinstance(each, BroughtFile) else BroughtFile(path=each, name=each.name) for each in brought]
    if not given:
        raise ValueError("at least one file is needed")
    if len(given) > file_errors.MOST_FILES:
        most = Text(f"{file_errors.MOST_FILES} files", f"{file_errors.MOST_FILES} 个文件")
        raise file_errors.too_large(given[0].name, Text(f"{len(given)} files", f"{len(given)} 个文件"), most)
    if not replace and any((out / name).exists() for name in (MODEL, DATABASE)):
        raise file_errors.taken(str(out))
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        folder = tempfile.TemporaryDirectory(dir=out.parent, prefix=f".{out.name}-", ignore_cleanup_errors=True)
    except OSError:
        raise file_errors.not_written(str(out)) from None
    with folder:
        made = Path(folder.name)
        (made / "texts").mkdir()
        try:
            text, tables, findings = _build(given, made, timezone, progress or (lambda name, share: None))
            model = parse_model(text, MODEL)
            (made / MODEL).write_text(text, "utf-8")
            out.mkdir(exist_ok=True)
            os.replace(made / DATABASE, out / DATABASE)
            os.replace(made / MODEL, out / MODEL)
        except (OSError, duckdb.IOException, duckdb.OutOfMemoryException) as problem:
            raise file_errors.not_written(str(out)) from problem
    return Proposal(
        model_path=out / MODEL, database=out / DATABASE, yaml=text, model=model, findings=findings, understood=tuple(understood(tables, model)),
    )  # fmt: skip


def with_examples(proposal: Proposal, examples: Sequence[Text]) -> Proposal:
    """Return the proposal with these questions to start with, its model file too."""
    head, _, _ = proposal.yaml.rpartition("\nexamples:")
    text = head + "\n" + _dumped({"examples": [{"en": each.en, "zh": each.zh} for each in examples]})
    model = parse_model(text, MODEL)
    with written_whole(proposal.model_path) as beside:
        beside.write_text(text, "utf-8")
    return changed(proposal, yaml=text, model=model)


def _dumped(values: Values) -> str:
    return str(yaml.safe_dump(values, allow_unicode=True, sort_keys=False, width=160, default_flow_style=None))


def _build(
    brought: Sequence[BroughtFile], folder: Path, timezone: str | None, progress: Progress
) -> tuple[str, tuple[TableParts, ...], tuple[Text, ...]]:
    """Write the database into `folder`; return the model's text and what it was made of."""
    with duckdb.connect(
        str(folder / DATABASE),
        config={"memory_limit": MEMORY, "threads": THREADS, "temp_directory": str(folder / "spill")},
    ) as connection:
        connection.execute("SET enable_progress_bar = false")
        connection.execute(f"ATTACH {literal(str(folder / 'staging.duckdb'))} AS staging")
        staged = [stage(connection, each.path, each.name, folder / "texts", progress) for each in brought]
        chinese = any(re.search(r"[\u4e00-\u9fff]", text) for each in staged for text in (each.name, *each.headers))
        zone = timezone or ("Asia/Shanghai" if chinese else "UTC")
        loaded: list[LoadedTable] = []
        for each in staged:
            loaded.append(load(connection, each, [table.name for table in loaded], zone, progress))
        tables = tuple(parts_of(connection, table) for table in loaded)
        values = ProposedModel(connection, tables, zone).values()
        connection.execute("DETACH staging")
        connection.execute("CHECKPOINT")
    shutil.rmtree(folder / "texts")
    names = ", ".join(each.name for each in brought).replace("\n", " ")
    text = f"# Proposed from {names}. Change labels, synonyms and metrics as you like; `wenshu model check` tells what is wrong.\n"
    return text + _dumped(values), tables, tuple(finding for table in loaded for finding in table.findings)


def understood(tables: Sequence[TableParts], model: Model) -> list[Text]:
    """Return what was understood of each table, in sentences."""
    lines = []
    for table in tables:
        parts = [
            Text(
                f"{table.table.stem}: {table.table.rows:,} rows, {len(table.parts)} columns",
                f"{table.table.stem}：{table.table.rows:,} 行，{len(table.parts)} 列",
            )
        ]
        for what, part in (
            (Text("key", "主键"), table.key),
            (Text("user", "用户"), table.user),
            (Text("time", "时间"), table.time),
        ):
            if part is not None:
                parts.append(Text(f"{what.en} {part.header.text}", f"{what.zh} {part.header.text}"))
        texts = [part.header.text for part in table.parts if part.role == "dimension" and not part.named]
        for what, roles in ((Text("measures", "度量"), ("measure", "rating")), (Text("yes or no", "是非"), ("boolean",)), (Text("dimensions", "维度"), ("dimension",)),
                            (Text("texts", "文本"), ("text",)), (Text("personal, hidden", "个人信息（隐藏）"), ("pii",))):  # fmt: skip
            names = (
                texts
                if roles == ("text",)
                else [part.header.text for part in table.parts if part.role in roles and part.header.text not in texts]
            )
            if names:
                shown = names[:8] + (["…"] if len(names) > 8 else [])
                parts.append(Text(f"{what.en} {', '.join(shown)}", f"{what.zh} {'、'.join(shown)}"))
        lines.append(Text("; ".join(part.en for part in parts) + ".", "；".join(part.zh for part in parts) + "。"))
    for relationship in model.relationships:
        on = ", ".join(relationship.many_columns)
        lines.append(
            Text(
                f"{relationship.many} belong to {relationship.one} by {on}.",
                f"{relationship.many} 按 {on} 关联到 {relationship.one}。",
            )
        )
    return lines
