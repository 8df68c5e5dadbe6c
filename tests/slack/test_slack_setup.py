"""Setting up as a new operator does: the manifest, and for each thing that is missing a message that says what to do."""

import json

import jsonschema
import pytest
import slack_api as fake

from wenshu.semantic_layer.errors import EngineError
from wenshu.ui.cli import main
from wenshu.ui.slack_app import SlackMessenger, create_app, listen
from wenshu.ui.slack_setup import EVENTS, SCOPES, SlackSettings, manifest, slack_settings

TEXT = {"type": "string", "minLength": 1}


def closed(required: list[str], **properties) -> dict:
    return {"type": "object", "required": required, "properties": properties, "additionalProperties": False}


URL = {"type": "string", "pattern": r"^https://[^/]+/slack/events$"}
ADDRESS = {"type": "string", "pattern": r"^https://", "maxLength": 3000}
MANIFEST = closed(  # what Slack's manifest reference says of the parts that the app has
    ["_metadata", "display_information", "features", "oauth_config", "settings"],
    _metadata=closed(["major_version"], major_version={"enum": [1, 2]}, minor_version={"type": "integer"}),
    display_information=closed(["name"], name=TEXT | {"maxLength": 35}, description=TEXT | {"maxLength": 140}),
    features=closed(
        [],
        app_home=closed([], **{key: {"type": "boolean"} for key in ("home_tab_enabled", "messages_tab_enabled", "messages_tab_read_only_enabled")}),
        bot_user=closed(["display_name"], display_name=TEXT | {"maxLength": 80}, always_online={"type": "boolean"}),
        slash_commands={"type": "array", "maxItems": 50, "items": closed(
            ["command", "description"], command={"type": "string", "pattern": "^/", "maxLength": 32}, url=ADDRESS,
            description=TEXT | {"maxLength": 2000}, usage_hint=TEXT | {"maxLength": 1000}, should_escape={"type": "boolean"})},
        assistant_view=closed(["assistant_description"], assistant_description=TEXT, suggested_prompts={"type": "array"}),
    ),
    oauth_config=closed([], scopes=closed([], bot={"type": "array", "items": TEXT, "uniqueItems": True, "maxItems": 255})),
    settings=closed(
        [],
        event_subscriptions=closed([], request_url=URL, bot_events={"type": "array", "items": TEXT, "maxItems": 100}),
        interactivity=closed(["is_enabled"], is_enabled={"type": "boolean"}, request_url=URL),
        **{key: {"type": "boolean"} for key in ("org_deploy_enabled", "socket_mode_enabled", "token_rotation_enabled")},
    ),
)  # fmt: skip
EVENT_NEEDS = {
    "app_mention": "app_mentions:read",
    "message.im": "im:history",
    "assistant_thread_started": "assistant:write",
    "assistant_thread_context_changed": "assistant:write",
}


@pytest.mark.parametrize("url", [None, "https://wenshu.example.com", "https://wenshu.example.com/slack/events"])
def test_the_manifest_is_one_that_slack_takes(url):
    made = manifest(url)
    jsonschema.validate(made, MANIFEST)
    assert made["settings"]["socket_mode_enabled"] is (url is None)
    assert ("request_url" in made["settings"]["event_subscriptions"]) is (url is not None)
    assert set(made["settings"]["event_subscriptions"]["bot_events"]) == set(EVENTS) == set(EVENT_NEEDS)
    scopes = made["oauth_config"]["scopes"]["bot"]
    assert set(scopes) == set(fake.SCOPES.split(",")) >= {*EVENT_NEEDS.values(), "commands"}


@pytest.mark.parametrize("url", ["http://wenshu.example.com", "wenshu", "https:// x"])
def test_an_address_that_slack_cannot_call_is_refused(url):
    with pytest.raises(EngineError) as refused:
        manifest(url)
    assert "https://" in refused.value.hint.en and "https://" in refused.value.hint.zh


@pytest.mark.parametrize(
    ("http", "environment", "named"),
    [
        (False, {}, ["SLACK_BOT_TOKEN", "SLACK_APP_TOKEN", "connections:write"]),
        (True, {}, ["SLACK_BOT_TOKEN", "SLACK_SIGNING_SECRET", "Basic Information"]),
        (False, {"SLACK_BOT_TOKEN": "xoxb-1"}, ["SLACK_APP_TOKEN", "App-Level Tokens"]),
        (False, {"SLACK_BOT_TOKEN": "xapp-1", "SLACK_APP_TOKEN": "xoxb-1"}, ["xoxb-", "xapp-"]),
        (True, {"SLACK_BOT_TOKEN": "xoxb-1"}, ["SLACK_SIGNING_SECRET"]),
        (None, {}, ["SLACK_BOT_TOKEN", "OAuth & Permissions"]),
    ],
)
def test_what_is_missing_is_named_with_where_to_find_it(http, environment, named):
    with pytest.raises(EngineError) as missing:
        slack_settings(http=http, environment=environment)
    for language in ("en", "zh"):
        text = missing.value.message.in_(language) + missing.value.hint.in_(language)
        assert not [word for word in named if word not in text]
        assert "docs/slack.md" in text


@pytest.mark.parametrize(
    ("answer", "named"),
    [
        ({"ok": False, "error": "invalid_auth"}, "SLACK_BOT_TOKEN"),
        ({"ok": False, "error": "account_inactive"}, "workspace"),
        ({"ok": False, "error": "token_revoked"}, "revoked"),
    ],
)
def test_a_token_that_slack_does_not_know_stops_the_start(answer, named):
    with fake.slack_api() as api:
        api.trouble = lambda method, sent: (200, {}, answer)
        with pytest.raises(EngineError) as stopped:
            SlackMessenger(SlackSettings(bot_token="xoxb-1", api=f"{api.address}/api/"))
    assert named in stopped.value.message.en + stopped.value.hint.en


@pytest.mark.parametrize("scope", sorted(SCOPES))
def test_each_missing_scope_is_named_with_what_to_do(scope):
    notices = []
    with fake.slack_api() as api:
        api.scopes = ",".join(set(SCOPES) - {scope})
        SlackMessenger(SlackSettings(bot_token="xoxb-1", api=f"{api.address}/api/"), notices.append)
    [notice] = notices
    assert scope in notice.en and scope in notice.zh and "Reinstall" in notice.en
    assert not [other for other in SCOPES if other != scope and other in notice.en]


@pytest.mark.parametrize(
    ("answer", "named"),
    [
        ({"ok": False, "error": "missing_scope", "needed": "connections:write"}, "connections:write"),
        ({"ok": False, "error": "invalid_auth"}, "SLACK_APP_TOKEN"),
        ({"ok": False, "error": "not_allowed_token_type"}, "SLACK_APP_TOKEN"),
    ],
)
def test_an_app_token_that_slack_does_not_take_stops_the_start(desk, answer, named):
    with fake.slack_api() as api:
        api.trouble = lambda method, sent: (200, {}, answer) if method == "apps.connections.open" else None
        settings = SlackSettings(bot_token="xoxb-1", app_token="xapp-1", api=f"{api.address}/api/")
        messenger = SlackMessenger(settings)
        app = create_app(settings, messenger, desk.bridge, lambda language: (), "en")
        with pytest.raises(EngineError) as stopped:
            listen(app, settings, lambda: None, until=None)
    assert named in stopped.value.message.en + stopped.value.hint.en


def test_the_command_prints_the_manifest(capsys):
    with pytest.raises(SystemExit) as left:
        main(["slack", "--manifest", "--http", "--url", "https://a.example"])
    assert left.value.code == 0
    jsonschema.validate(json.loads(capsys.readouterr().out), MANIFEST)
