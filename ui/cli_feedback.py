"""Owns the command about what people thought of answers. Presentation only."""

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from wenshu.semantic_layer.text import Text
from wenshu.semantic_layer.whole_file import written_whole
from wenshu.ui.cli_options import Lang, LangOption, ModelOption, reply_language
from wenshu.ui.console import reported

feedback_app = typer.Typer(no_args_is_help=True, help="What people thought of answers. 对回答的评价。")


@feedback_app.command("export")
def feedback_export(
    file: Annotated[Path, typer.Argument(help="The file to write, one question a line.")],
    model: ModelOption = "shop",
    lang: LangOption = Lang.AUTO,
) -> None:
    """Write the questions with a thumb up or down as a file for `wenshu eval`. 导出评价过的问题。"""
    from wenshu.semantic_layer.loader import load_model
    from wenshu.ui.feedback import exported
    from wenshu.ui.workspace import history

    language = reply_language(lang)
    with reported(language):
        lines = list(exported(history().store, load_model(model).name))
        with written_whole(file) as beside:
            beside.write_text("".join(f"{json.dumps(line, ensure_ascii=False)}\n" for line in lines), "utf-8")
        votes = sum(line["topic"] != "context" for line in lines)
        print(Text(f"{file}: {votes} answers with a vote.", f"{file}：{votes} 个有评价的回答。").in_(language), file=sys.stderr)
