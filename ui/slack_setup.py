"""Owns what the bridge needs of Slack: the app's manifest, tokens, scopes, and what to do where one is missing. Pure: sends nothing."""

import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from wenshu.semantic_layer.errors import EngineError
from wenshu.semantic_layer.text import Text

Json = dict[str, Any]

PATH = "/slack/events"
API = "https://slack.com/api/"
COMMAND = "/ask"
SCOPES = {  # each with what it is for
    "app_mentions:read": Text("be asked by mention in channels", "在频道中被 @ 提问"),
    "assistant:write": Text("show that it is working, and suggest questions", "显示处理状态与推荐问题"),
    "chat:write": Text("answer", "发送回答"),
    "commands": Text("be asked by /ask", "使用 /ask 提问"),
    "files:write": Text("send charts and tables", "发送图表与表格文件"),
    "im:history": Text("be asked in direct messages", "在私信中被提问"),
    "im:write": Text("answer in private", "以私信回答"),
}
EVENTS = ("app_mention", "assistant_thread_started", "assistant_thread_context_changed", "message.im")

HOST = re.compile(r"https://[^\s/?#]+(/[^\s?#]*)?|http://(127\.0\.0\.1|localhost)(:\d+)?(/[^\s?#]*)?")
APP_SETTINGS = Text("https://api.slack.com/apps, then your app", "https://api.slack.com/apps 中您的应用")
TOKENS = {  # where each is found, and how it begins
    "SLACK_BOT_TOKEN": ("xoxb-", Text("OAuth & Permissions, “Bot User OAuth Token”, there after “Install to Workspace”",
                                      "OAuth & Permissions 页的“Bot User OAuth Token”（安装到工作区后可见）")),
    "SLACK_APP_TOKEN": ("xapp-", Text("Basic Information, “App-Level Tokens”, generated with the scope connections:write",
                                      "Basic Information 页的“App-Level Tokens”（生成时勾选 connections:write）")),
    "SLACK_SIGNING_SECRET": ("", Text("Basic Information, “App Credentials”, “Signing Secret”",
                                      "Basic Information 页“App Credentials”中的“Signing Secret”")),
}  # fmt: skip
REINSTALL = Text(
    "add it under OAuth & Permissions, “Bot Token Scopes”, and press “Reinstall to Workspace”",
    "请在 OAuth & Permissions 页的“Bot Token Scopes”中添加，再点击“Reinstall to Workspace”",
)
REASONS = {
    "invalid_auth": Text("The token is not valid.", "令牌无效。"),
    "not_authed": Text("The token is not valid.", "令牌无效。"),
    "token_revoked": Text("The token was revoked.", "令牌已被撤销。"),
    "token_expired": Text("The token has expired.", "令牌已过期。"),
    "account_inactive": Text("The app was removed from the workspace.", "应用已从工作区移除。"),
    "not_allowed_token_type": Text("This is a token of another kind.", "令牌类型不对。"),
    "not_in_channel": Text("The app is not in this channel.", "应用不在此频道中。"),
    "channel_not_found": Text("There is no such channel, or the app is not in it.", "没有此频道，或应用不在其中。"),
    "is_archived": Text("This channel is archived.", "此频道已归档。"),
    "restricted_action": Text("The workspace does not let the app write here.", "工作区不允许应用在此发言。"),
}
INVITE = Text("Write “/invite @Wenshu” in the channel.", "请在该频道中输入 “/invite @Wenshu”。")


@dataclass(frozen=True, slots=True, kw_only=True)
class SlackSettings:
    """Hold what proves to Slack who the bridge is, and to the bridge who Slack is; `api` is where Slack's methods are."""

    bot_token: str
    app_token: str = ""
    signing_secret: str = ""
    api: str = API


def slack_settings(*, http: bool | None, environment: Mapping[str, str] = os.environ) -> SlackSettings:
    """Return the tokens that the environment holds for HTTP, for Socket Mode or, without either, for sending alone.

    Raises `EngineError` with code `slack_not_configured` that names each one missing or mistaken, and where it is found.
    """
    wanted = ["SLACK_BOT_TOKEN"]
    if http is not None:
        wanted.append("SLACK_SIGNING_SECRET" if http else "SLACK_APP_TOKEN")
    given = {name: environment.get(name, "").strip() for name in TOKENS}
    wrong = [name for name in wanted if not given[name] or not given[name].startswith(TOKENS[name][0])]
    if wrong:
        raise EngineError("slack_not_configured", *_told(wrong, given))
    api = environment.get("WENSHU_SLACK_API", "").strip() or API
    if not HOST.fullmatch(api):
        raise EngineError(
            "invalid_setting",
            Text(f"WENSHU_SLACK_API cannot be “{api[:80]}”.", f"WENSHU_SLACK_API 不能设为“{api[:80]}”。"),
            Text(f"Give it {API}, or nothing.", f"请设为 {API}，或不设置。"),
        )
    return SlackSettings(
        bot_token=given["SLACK_BOT_TOKEN"], app_token=given["SLACK_APP_TOKEN"],
        signing_secret=given["SLACK_SIGNING_SECRET"], api=api.rstrip("/") + "/",
    )  # fmt: skip


def lacking_scopes(granted: Iterable[str]) -> EngineError | None:
    """Return what to do about scopes that the token lacks, or None where it has them all."""
    lacking = sorted(set(SCOPES) - {scope.strip() for scope in granted})
    if not lacking:
        return None
    en = ", ".join(f"{scope} (to {SCOPES[scope].en})" for scope in lacking)
    zh = "、".join(f"{scope}（{SCOPES[scope].zh}）" for scope in lacking)
    return EngineError(
        "slack_scopes",
        Text(f"The Slack app lacks the scopes {en}.", f"Slack 应用缺少权限：{zh}。"),
        Text(f"In {APP_SETTINGS.en}: {REINSTALL.en}.", f"在 {APP_SETTINGS.zh}：{REINSTALL.zh}。"),
    )


def slack_failure(code: str, *, needed: str = "", method: str = "") -> EngineError:
    """Return what happened and what to do, for an error code that one of Slack's methods gave."""
    if code == "missing_scope":
        scope = needed or "?"
        if scope == "connections:write":
            name = "SLACK_APP_TOKEN"
            return EngineError(
                "slack_scopes", Text(f"{name} lacks the scope {scope}.", f"{name} 缺少权限 {scope}。"), _where(name)
            )
        return EngineError(
            "slack_scopes",
            Text(f"The Slack app lacks the scope {scope}.", f"Slack 应用缺少权限 {scope}。"),
            Text(f"In {APP_SETTINGS.en}: {REINSTALL.en}.", f"在 {APP_SETTINGS.zh}：{REINSTALL.zh}。"),
        )
    reason = REASONS.get(code, Text(f"Slack answered “{code}”.", f"Slack 返回“{code}”。"))
    name = "SLACK_APP_TOKEN" if method == "apps.connections.open" else "SLACK_BOT_TOKEN"
    if code in ("not_in_channel", "channel_not_found"):
        hint = INVITE
    elif code in ("is_archived", "restricted_action"):
        hint = Text("Ask in a direct message instead.", "请改用私信提问。")
    elif code not in REASONS:
        hint = Text("docs/slack.md tells what the app needs.", "应用所需的设置见 docs/slack.md。")
    else:
        hint = _where(name)
    return EngineError("slack_refused", reason, hint)


def manifest(url: str | None = None) -> Json:
    """Return the manifest to make the Slack app from: for Socket Mode or, with the bridge's public address, for HTTP.

    Raises `EngineError` with code `invalid_setting` for an address that Slack cannot call.
    """
    if url is not None and (not url.startswith("https://") or not HOST.fullmatch(url)):
        raise EngineError(
            "invalid_setting",
            Text(f"“{url[:80]}” is no address that Slack can call.", f"Slack 无法访问地址“{url[:80]}”。"),
            Text("Give e.g. --url https://wenshu.example.com.", "例如 --url https://wenshu.example.com。"),
        )
    address = {} if url is None else {"request_url": url.rstrip("/").removesuffix(PATH) + PATH}
    command: Json = {
        "command": COMMAND,
        "description": "Ask about users, retention and purchases. 询问数据",
        "usage_hint": "上个月各渠道的成交额",
        "should_escape": False,
    }
    if url is not None:
        command["url"] = address["request_url"]
    return {
        "_metadata": {"major_version": 2, "minor_version": 1},
        "display_information": {
            "name": "Wenshu",
            "description": "Ask about users, retention and purchases in Chinese or English. 用中文或英文询问数据。",
        },
        "features": {
            "app_home": {"home_tab_enabled": False, "messages_tab_enabled": True, "messages_tab_read_only_enabled": False},
            "bot_user": {"display_name": "Wenshu", "always_online": True},
            "slash_commands": [command],
            "assistant_view": {"assistant_description": "Numbers with a chart and how they came about. 数字、图表与口径。"},
        },
        "oauth_config": {"scopes": {"bot": list(SCOPES)}},
        "settings": {
            "event_subscriptions": {**address, "bot_events": list(EVENTS)},
            "interactivity": {"is_enabled": True, **address},
            "org_deploy_enabled": False,
            "socket_mode_enabled": url is None,
            "token_rotation_enabled": False,
        },
    }  # fmt: skip


def _told(wrong: list[str], given: Mapping[str, str]) -> tuple[Text, Text]:
    def said(name: str) -> Text:
        begins = TOKENS[name][0]
        if given[name]:
            return Text(f"{name} does not begin with {begins}", f"{name} 不是以 {begins} 开头")
        return Text(f"{name} is not set", f"未设置 {name}")

    problems, places = [said(name) for name in wrong], [_where(name) for name in wrong]
    return (
        Text(f"{'; '.join(text.en for text in problems)}.", f"{'；'.join(text.zh for text in problems)}。"),
        Text(" ".join(text.en for text in places) + " docs/slack.md tells each step.", "".join(text.zh for text in places) + "完整步骤见 docs/slack.md。"),
    )  # fmt: skip


def _where(name: str) -> Text:
    place = TOKENS[name][1]
    return Text(f"{name} is in {APP_SETTINGS.en}: {place.en}.", f"{name} 见 {APP_SETTINGS.zh}：{place.zh}。")
