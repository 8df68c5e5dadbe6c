"""Owns what a message, a command or a click of Slack asks, out of the form that Slack gives it. Pure; knows nothing of answers.

A message is named by its channel and time, whichever event brings it and however often, a command or a click by what Slack names it.
"""

from collections.abc import Mapping
from typing import Any

from wenshu.ui.inbox import Incoming
from wenshu.ui.slack_present import plain_words

Json = Mapping[str, Any]
SPOKEN = (None, "file_share", "thread_broadcast")  # kinds of messages that a person wrote


def teams_in(body: Json) -> set[str]:
    """Return the workspaces that a request names: the one it is for and the one of its sender."""
    event, team, user = _part(body, "event"), _part(body, "team"), _part(body, "user")
    named = [
        body.get("team_id"),
        team.get("id"),
        user.get("team_id"),
        *(event.get(key) for key in ("team", "user_team", "source_team")),
    ]
    return {str(each) for each in named if each}


def message_of(body: Json, bot: str) -> Incoming | None:
    """Return what a mention or a direct message asks; None for what no person wrote to the bot."""
    event = _part(body, "event")
    user, channel, moment = (event.get(key) for key in ("user", "channel", "ts"))
    if not (user and channel and moment) or event.get("bot_id") or event.get("subtype") not in SPOKEN:
        return None
    if event.get("type") == "message" and event.get("channel_type") != "im":
        return None  # what people say to each other; a mention comes as one
    thread = str(event.get("thread_ts") or moment)
    return Incoming(
        key=f"{channel}:{moment}",
        conversation=conversation_of(str(channel), thread),
        account=str(user),
        text=plain_words(str(event.get("text") or ""), bot),
        shared=_is_shared(str(channel)),
        outsiders=body.get("is_ext_shared_channel") is True,
        place={"channel": str(channel), "thread": thread},
    )


def command_of(body: Json) -> Incoming:
    """Return what a command asks; it has no thread yet."""
    channel, trigger = str(body["channel_id"]), str(body["trigger_id"])
    return Incoming(
        key=f"command:{trigger}", conversation=f"slack:command:{trigger}", account=str(body["user_id"]),
        text=plain_words(str(body.get("text") or ""), ""), shared=_is_shared(channel), place={"channel": channel},
    )  # fmt: skip


def click_of(body: Json) -> Incoming | None:
    """Return what a button asks, in the thread in which it stands; None for a click on anything else."""
    actions, message, container = body.get("actions"), _part(body, "message"), _part(body, "container")
    action = actions[0] if isinstance(actions, list) and actions and isinstance(actions[0], Mapping) else {}
    channel, user = _part(body, "channel").get("id"), _part(body, "user").get("id")
    moment = message.get("ts") or container.get("message_ts")
    if not (channel and user and moment and action.get("value")):
        return None
    thread = str(message.get("thread_ts") or container.get("thread_ts") or moment)
    return Incoming(
        key=f"click:{channel}:{moment}:{action.get('action_id')}:{action.get('action_ts')}:{user}",
        conversation=conversation_of(str(channel), thread),
        account=str(user),
        text=str(action["value"]),
        shared=_is_shared(str(channel)),
        about=conversation_of(str(channel), str(moment)),
        place={"channel": str(channel), "thread": thread, "clicked": "yes"},
    )


def conversation_of(channel: str, thread: str) -> str:
    """Return the name of a conversation, or of one message in it."""
    return f"slack:{channel}:{thread}"


def _is_shared(channel: str) -> bool:
    """Say whether others read along; a direct message's channel begins with a D."""
    return not channel.startswith("D")


def _part(body: Json, key: str) -> Json:
    part = body.get(key)
    return part if isinstance(part, Mapping) else {}
