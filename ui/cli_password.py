"""Owns `wenshu password`, which turns a password into what the file of users holds of it."""

import sys

import typer

from wenshu.ui import console
from wenshu.ui.console import reported, write


def password() -> None:
    """Turn a password into a line for the users file. 生成用户名单中的密码行。"""
    from wenshu.ui.cli_options import usage
    from wenshu.ui.passwords import digest

    with reported(console.language_for("")):
        if sys.stdin.isatty():
            given = typer.prompt("Password 密码", hide_input=True, confirmation_prompt="Again 再次输入", err=True)
        else:
            given = sys.stdin.readline().rstrip("\r\n")
        if len(given) < 8:
            raise usage("A password has at least 8 characters.", "密码至少 8 个字符。")
        write(f"password: {digest(given)}")
