"""Owns how data that people bring look as HTML: the switch between models, the upload, the proposed model and its editor."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from wenshu.semantic_layer.text import Language, Text
from wenshu.ui import desk_texts as words
from wenshu.ui.answer_html import Html, element, icon, icon_button
from wenshu.ui.desk_html import button, does, panel_html
from wenshu.ui.gate import MAX_UPLOAD

if TYPE_CHECKING:
    from wenshu.semantic_layer.proposal import Proposal
    from wenshu.ui.own_models import OwnModel

__all__ = ["Html", "data_html", "model_form_html", "proposal_html", "switch_html"]

ACCEPTED = ".csv,.tsv,.txt,.xlsx,.parquet"


def switch_html(shared: Text, own: Iterable["OwnModel"], chosen: str, language: Language) -> Html:
    """Return the switch between models; where a person has none of their own there is nothing to switch."""
    named = [("", shared.in_(language)), *((each.name, each.label.in_(language)) for each in own)]
    if len(named) == 1:
        return Html("")
    options = [element("option", label, value=name, selected=name == chosen) for name, label in named]
    return element("select", *options, aria_label=words.MODEL.in_(language), data_choose=True)


def data_html(own: tuple["OwnModel", ...], language: Language) -> Html:
    """Return the panel in which files are brought, and what was brought before."""
    cards = [
        element(
            "article",
            element("div", element("h4", each.label.in_(language)), element("code", each.name), class_="head"),
            element(
                "div",
                button(words.ASK_IT.in_(language), class_="go", **does("choose", model=each.name)),
                button(words.EDIT_MODEL.in_(language), **does("edit_model", model=each.name)),
                icon_button(
                    "bin", words.DELETE.in_(language).format(each.label.in_(language)), data_sure=each.label.in_(language),
                    **does("delete_model", model=each.name),
                ),
                class_="tools",
            ),
            class_="card",
        )
        for each in own
    ]  # fmt: skip
    files = element("input", type="file", name="files", multiple=True, accept=ACCEPTED, class_="sr-only")
    said = [element("strong", words.FILES.in_(language)), element("span", words.FILE_KINDS.in_(language), class_="quiet")]
    form = element(
        "form",
        element("label", files, icon("up_file"), *said, class_="drop"),
        element("ul", class_="files"),
        element("p", words.FILES_HINT.in_(language), class_="quiet"),
        element("p", role="status", class_="quiet", data_uploading=words.UPLOADING.in_(language), data_reading=words.READING.in_(language)),
        element("progress", hidden=True, max="1", value="0", aria_label=words.UPLOAD_IT.in_(language)),
        element(
            "p", role="alert", class_="alert", data_too_large=words.TOO_LARGE.in_(language), data_none=words.NO_FILES.in_(language),
            data_most=str(MAX_UPLOAD),
        ),
        element("div", element("button", words.UPLOAD_IT.in_(language), type="submit", class_="go"), class_="tools"),
        class_="stack upload",
        data_upload=True,
    )  # fmt: skip
    return panel_html(words.DATA.in_(language), words.DATA_HELP.in_(language), form, *([element("div", *cards, class_="group")] if cards else []))


def proposal_html(proposal: "Proposal", language: Language) -> Html:
    """Return what became of the files: what was understood and noticed, questions to begin with, and the model file to edit."""
    asked = [button(each.in_(language), class_="ask", data_ask_anew=each.in_(language)) for each in proposal.examples]
    noticed = [element("li", text.in_(language)) for text in (*proposal.understood, *proposal.findings)]
    name = proposal.model_path.parent.name
    return panel_html(
        words.UNDERSTOOD.in_(language),
        "",
        element("ul", *noticed),
        element("div", *asked, class_="tools"),
        element("div", button(words.ASK_IT.in_(language), class_="go", **does("choose", model=name)), class_="tools"),
        element("details", element("summary", words.EDIT_MODEL.in_(language)), _editor(name, proposal.yaml, language)),
    )


def model_form_html(name: str, yaml: str, language: Language) -> Html:
    """Return the panel in which a model file is edited."""
    return panel_html(words.EDIT_MODEL.in_(language), words.EDIT_MODEL_HELP.in_(language), _editor(name, yaml, language))


def _editor(name: str, yaml: str, language: Language) -> Html:
    text = element("textarea", yaml, name="yaml", rows="22", spellcheck="false", aria_label=words.EDIT_MODEL.in_(language))
    go = element("button", words.SAVE_IT.in_(language), type="submit", class_="go")
    alert = element("p", role="alert", class_="alert")
    return element("form", text, alert, element("div", go, class_="tools"), class_="stack wide", **does("change_model", model=name))
