"""A Slack on this machine, and a bridge to it over a small shop."""

import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

import slack_api as fake

from wenshu.semantic_layer import loader
from wenshu.semantic_layer.shop import build_shop
from wenshu.semantic_layer.text import Text
from wenshu.ui.bridge import Bridge
from wenshu.ui.cli_options import PlannerName, reception_of
from wenshu.ui.cli_slack import examples
from wenshu.ui.inbox import Inbox
from wenshu.ui.reception import Reception
from wenshu.ui.slack_app import Endpoint, SlackMessenger, create_app
from wenshu.ui.slack_setup import SlackSettings

MODEL = Path(loader.__file__).parent / "models" / "shop.yml"
POLICIES = """
policies:
  - {role: analyst, rows: all}
  - {role: manager, rows: "users.province = {user.province}", shared: [products, campaigns, experiments]}
"""
USERS = """
ana: {role: analyst, accounts: {slack: UANA}}
lin: {role: manager, attributes: {province: 上海}, accounts: {slack: ULIN}}
wei: {role: manager, attributes: {province: 广东}, accounts: {slack: UWEI}}
everyone: {role: manager, attributes: {province: 浙江}}
"""


class Office:
    """A bridge that people reach through a Slack."""

    def __init__(self, api: fake.SlackApi, reception: Reception, inbox: Path | None, everyone: str | None) -> None:
        self.api, self.reception, self.notices = api, reception, list[Text]()
        self.settings = SlackSettings(
            bot_token="xoxb-1", app_token="xapp-1", signing_secret=fake.SECRET, api=f"{api.address}/api/"
        )
        self.messenger = SlackMessenger(self.settings, self.notices.append)
        self.bridge = Bridge(self.messenger, reception, Inbox(inbox), everyone=everyone)
        self.app = create_app(
            self.settings, self.messenger, self.bridge, lambda language: examples(reception, everyone, language), "en"
        )
        self.address = ""

    def post(self, body: dict, **how) -> tuple[int, str]:
        return fake.post(self.address, body, **how)

    def asked(self, body: dict) -> dict:
        """Send the event of a message and return the answer that comes to its thread."""
        said = body["event"]
        thread = said.get("thread_ts", said["ts"])
        before = len(self.api.posts(said["channel"], thread))
        assert self.post(body) == (200, "")
        return self.api.wait(lambda: self.api.posts(said["channel"], thread)[before:])[0]


@contextmanager
def office(
    reception: Reception, *, inbox: Path | None = None, everyone: str | None = None, api: fake.SlackApi | None = None
) -> Iterator[Office]:
    with ExitStack() as held:
        opened = Office(api or held.enter_context(fake.slack_api()), reception, inbox, everyone)
        opened.bridge.start()
        held.callback(opened.bridge.close)
        opened.address = held.enter_context(fake.served(Endpoint(opened.app)))
        yield opened


@pytest.fixture(scope="session")
def shop(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("slack-shop") / "shop.duckdb"
    build_shop(path, users=600)
    return path


@pytest.fixture(scope="session")
def open_reception(shop) -> Iterator[Reception]:
    """A shop that everybody may see."""
    reception = reception_of("shop", shop, PlannerName.RULES, "en", door="slack")
    yield reception
    reception.close()


@pytest.fixture(scope="session")
def guarded_reception(shop, tmp_path_factory) -> Iterator[Reception]:
    """A shop in which people see their own province."""
    folder = tmp_path_factory.mktemp("guarded")
    (folder / "shop.yml").write_text(MODEL.read_text("utf-8") + POLICIES, "utf-8")
    (folder / "users.yml").write_text(USERS, "utf-8")
    reception = reception_of(
        str(folder / "shop.yml"), shop, PlannerName.RULES, "en", folder / "users.yml", door="slack"
    )
    yield reception
    reception.close()


@pytest.fixture
def opened() -> Iterator[Callable[..., Office]]:
    """Return the function that opens a bridge of the test's own."""
    with ExitStack() as held:
        yield lambda *given, **more: held.enter_context(office(*given, **more))


@pytest.fixture(scope="module")
def desk(open_reception) -> Iterator[Office]:
    """One bridge for all tests that leave it as it was."""
    with office(open_reception) as made:
        yield made
