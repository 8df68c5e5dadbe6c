"""Owns the commands about files: building demo databases, checking model files. Presentation only."""

import json
from pathlib import Path
from typing import Annotated

import typer

from wenshu.semantic_layer.text import Text
from wenshu.ui.cli_options import DataSet, Lang, LangOption, reply_language, layer_of, status_line, usage
from wenshu.ui.console import ANSWERED, FAILED, reported, write

data_app = typer.Typer(no_args_is_help=True, help="Build the demo databases. 生成演示数据。")
model_app = typer.Typer(no_args_is_help=True, help="Check model files. 检查模型文件。")


@data_app.command("build")
def data_build(
    name: Annotated[DataSet, typer.Argument(help="Which data set.")],
    out: Annotated[Path | None, typer.Option("--out", help="The file to write; without it the data folder's.")] = None,
    users: Annotated[int | None, typer.Option(min=1, max=20_000_000, help="How many users the shop has.")] = None,
    seed: Annotated[int | None, typer.Option(min=0, max=2**63 - 1, help="Another seed makes other data.")] = None,
    lang: LangOption = Lang.AUTO,
) -> None:
    """Write a demo database. 生成一个演示数据库。"""
    from wenshu.ui.workspace import build, database_of

    language = reply_language(lang)
    if name is not DataSet.SHOP and (users is not None or seed is not None):
        raise usage("--users and --seed are for the generated shop only.", "--users 与 --seed 仅用于生成的 shop 数据。")
    with reported(language), status_line(language) as status:
        target = out or database_of(name)
        build(name, target, users=users, seed=seed, progress=status.progress)
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
            from wenshu.ui.workspace import misfits

            for problem, names in misfits(layer_of(path, db, language)).items():
                write(f"{problem.in_(language)} ({', '.join(names)})")
                code = FAILED
        counts = (len(loaded.datasets), len(loaded.dimensions), len(loaded.metrics))
        shape = Text("{}: {} datasets, {} dimensions, {} metrics.", "{}：{} 个数据集，{} 个维度，{} 个指标。")
        write(shape.in_(language).format(loaded.name, *counts))
    raise typer.Exit(code)


@model_app.command("schema")
def model_schema() -> None:
    """Print the JSON Schema of model files, for editors. 输出模型文件的 JSON Schema。"""
    from wenshu.semantic_layer.spec import model_json_schema

    write(json.dumps(model_json_schema(), ensure_ascii=False, indent=2))
