"""Owns the commands about files: building demo databases, checking model files, making them of data files. Presentation only."""

import json
from pathlib import Path
from typing import Annotated

import typer

from wenshu.semantic_layer.text import Text
from wenshu.ui.cli_options import DataSet, Lang, LangOption, reply_language, status_line, usage
from wenshu.ui.console import ANSWERED, FAILED, reported, write

data_app = typer.Typer(no_args_is_help=True, help="Build the demo databases. 生成演示数据。")
model_app = typer.Typer(no_args_is_help=True, help="Check model files. 检查模型文件。")


@data_app.command("build")
def data_build(
    name: Annotated[DataSet, typer.Argument(help="Which data set.")],
    out: Annotated[Path | None, typer.Option("--out", help="The file to write; without it the data folder's.")] = None,
    users: Annotated[int | None, typer.Option(min=1, max=20_000_000, help="How many users the shop has.")] = None,
    seed: Annotated[int | None, typer.Option(min=0, max=2**63 - 1, help="Another seed makes other data.")] = None,
    plain: Annotated[bool, typer.Option("--plain", help="A shop without the planted effects.")] = False,
    lang: LangOption = Lang.AUTO,
) -> None:
    """Write a demo database. 生成一个演示数据库。"""
    from wenshu.ui.workspace import build, database_of

    language = reply_language(lang)
    if name is not DataSet.SHOP and (users is not None or seed is not None or plain):
        raise usage(
            "--users, --seed and --plain are for the generated shop only.", "--users、--seed 与 --plain 仅用于生成的 shop 数据。"
        )
    with reported(language), status_line(language) as status:
        target = out or database_of(name)
        build(name, target, users=users, seed=seed, plain=plain, progress=status.progress)
        write(f"{target} ({target.stat().st_size / 1e6:,.1f} MB)")


@model_app.command("check")
def model_check(
    path: Annotated[str, typer.Argument(help="A model file.")],
    db: Annotated[
        Path | None, typer.Option("--db", help="See that its tables and columns are in this database.")
    ] = None,
    lang: LangOption = Lang.AUTO,
) -> None:
    """Read a model file and report every mistake with line and fix. 检查模型文件。"""
    from wenshu.semantic_layer.loader import load_model

    language = reply_language(lang)
    code = ANSWERED
    with reported(language):
        loaded = load_model(path)
        if db is not None:
            from wenshu.ui.workspace import misfits, open_layer

            with status_line(language) as status:
                layer = open_layer(path, db, progress=status.progress)
            for problem, names in misfits(layer).items():
                write(f"{problem.in_(language)} ({', '.join(names)})")
                code = FAILED
        counts = (len(loaded.datasets), len(loaded.dimensions), len(loaded.metrics))
        shape = Text("{}: {} datasets, {} dimensions, {} metrics.", "{}：{} 个数据集，{} 个维度，{} 个指标。")
        write(shape.in_(language).format(loaded.name, *counts))
    raise typer.Exit(code)


@model_app.command("propose")
def model_propose(
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="CSV, TSV, Excel (.xlsx) or Parquet files.")],
    out: Annotated[Path, typer.Option("--out", help="The folder for model.yml and data.duckdb.")],
    timezone: Annotated[str | None, typer.Option("--timezone", help="The clock of moments that name a time zone.")] = None,
    replace: Annotated[bool, typer.Option("--replace", help="Replace the model that is there.")] = False,
    lang: LangOption = Lang.AUTO,
) -> None:
    """Make a database and a model of data files. 由数据文件生成数据库与模型。"""
    from wenshu.ui.uploads import propose_tried

    language = reply_language(lang)
    with reported(language):
        with status_line(language) as status:
            proposal = propose_tried(files, out, timezone=timezone, replace=replace, progress=status.progress)
        write(*(text.in_(language) for text in (*proposal.understood, *proposal.findings)), "")
        for example in proposal.examples[:3]:
            write(f'wenshu ask "{example.in_(language)}" --model {proposal.model_path} --db {proposal.database}')


@model_app.command("schema")
def model_schema() -> None:
    """Print the JSON Schema of model files, for editors. 输出模型文件的 JSON Schema。"""
    from wenshu.semantic_layer.spec import model_json_schema

    write(json.dumps(model_json_schema(), ensure_ascii=False, indent=2))
