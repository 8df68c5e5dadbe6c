"""Owns what the page does with data that people bring: taking files in, showing the proposed model, editing, choosing and deleting it."""

from collections.abc import AsyncIterator, Mapping
from typing import TYPE_CHECKING

from anyio import open_file

from wenshu.semantic_layer.errors import ModelError, QueryError, WenshuError
from wenshu.semantic_layer.text import Text
from wenshu.ui import data_html as html
from wenshu.ui import desk_texts as words
from wenshu.ui.own_models import OwnModels

if TYPE_CHECKING:
    from wenshu.ui.page_actions import Reply, Wish

BYTES = "application/octet-stream"


async def arrived(own: OwnModels | None, user: str | None, headers: Mapping[str, str], body: AsyncIterator[bytes]) -> "Reply":
    """Write a file that a request brings and return the token that names it; no other site's form can send one."""
    if own is None or headers.get("content-type", "") != BYTES:
        return {}
    path = own.arriving(user or "")
    whole = False
    try:
        async with await open_file(path, "xb") as file:
            async for part in body:
                await file.write(part)
        whole = True
    except OSError:
        return {}
    finally:
        if not whole:
            path.unlink(missing_ok=True)
    return {"token": path.name}


class DataActions:
    """Do what the page asks for about data of people's own."""

    def __init__(self, own: OwnModels, shared: Text) -> None:
        """`shared` is what the data that everybody is served are called."""
        self._own = own
        self._shared = shared

    def switch(self, wish: "Wish") -> html.Html:
        """Return the switch between the shared data and a person's own."""
        chosen = self._own.chosen(wish.owner)
        return html.switch_html(self._shared, self._own.listed(wish.owner), chosen.name if chosen else "", wish.language)

    def data(self, wish: "Wish") -> "Reply":
        return {"panel": html.data_html(self._own.listed(wish.owner), wish.language)}

    def propose(self, wish: "Wish") -> "Reply":
        sent = wish.sent.get("files")
        files = [(str(each.get("token")), str(each.get("name"))[:200]) for each in sent if isinstance(each, Mapping)] if isinstance(sent, list) else []
        proposal = self._own.bring(wish.owner, files)
        return {"panel": html.proposal_html(proposal, wish.language), "stale": True}

    def choose(self, wish: "Wish") -> "Reply":
        self._own.choose(wish.owner, wish.text("model") or None)
        return {"anew": True}

    def edit_model(self, wish: "Wish") -> "Reply":
        name = wish.text("model")
        return {"panel": html.model_form_html(name, self._own.text(wish.owner, name), wish.language)}

    def change_model(self, wish: "Wish") -> "Reply":
        text = str(wish.fields().get("yaml", ""))
        try:
            self._own.change(wish.owner, wish.text("model"), text + "\n")
        except ModelError as error:
            raise ModelError(error.code, error.message) from None
        return {"said": words.MODEL_SAVED.in_(wish.language), "stale": True}

    def delete_model(self, wish: "Wish") -> "Reply":
        self._own.delete(wish.owner, wish.text("model"))
        return {"said": words.DELETED.in_(wish.language), "stale": True, **self.data(wish)}


def no_data() -> WenshuError:
    """Return what is said where nobody may bring data."""
    return QueryError("no_uploads", Text("Data cannot be brought to this page.", "此页面不支持上传数据。"))
