"""Owns the data that people bring to the page: files on their way in, a model and a database for each, and which one a person asks.

Everything belongs to who brought it. A model may be edited, but it goes on reading its own database and nothing else.
"""

import re
import secrets
import shutil
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from threading import Lock
from time import time
from typing import TYPE_CHECKING

from wenshu.assistant.planner import Step
from wenshu.semantic_layer.errors import FileError, ModelError, QueryError, WenshuError
from wenshu.semantic_layer.loader import parse_model
from wenshu.semantic_layer.proposal import DATABASE, MODEL, BroughtFile, Proposal
from wenshu.semantic_layer.text import Text
from wenshu.semantic_layer.whole_file import written_whole
from wenshu.ui.store import Store

if TYPE_CHECKING:
    from wenshu.assistant.answer import Answer
    from wenshu.assistant.assistant import Assistant
    from wenshu.assistant.planner import Investigation, Plan
    from wenshu.assistant.question import Question
    from wenshu.semantic_layer.model import Model
    from wenshu.ui.entrance import Entrance
    from wenshu.ui.reception import Reception

MOST_MODELS = 20  # of one person
FORGOTTEN = 3_600.0  # seconds after which a file that nothing was made of is removed
LONGEST_YAML = 500_000
NAME_LINE = re.compile(r"^name:.*$", re.MULTILINE)
KEY = re.compile(r"[a-z][a-z0-9_]{0,80}")
TOKEN = re.compile(r"[0-9a-f]{32}")


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnModel:
    """Name a model that a person brought: `name` is nobody else's."""

    name: str
    label: Text
    folder: Path


class OwnModels:
    """Keep people's own models under a folder; `open_reception` answers questions over a model file and its database."""

    def __init__(self, folder: Path, store: Store, open_reception: "Callable[[Path, Path], Reception]") -> None:
        self._folder = folder
        self._store = store
        self._open = open_reception
        self._receptions: dict[Path, Reception] = {}
        self._lock = Lock()

    # bringing

    def arriving(self, owner: str) -> Path:
        """Return where to write a file that arrives; its name is what `bring` is to be given."""
        place = self._place(owner) / "arriving"
        place.mkdir(parents=True, exist_ok=True)
        for left in place.iterdir():
            with suppress(OSError):
                if left.stat().st_mtime < time() - FORGOTTEN:
                    left.unlink()
        return place / secrets.token_hex(16)

    def bring(self, owner: str, files: list[tuple[str, str]]) -> Proposal:
        """Make a model of files that arrived, as pairs of token and name, and choose it. Raises `FileError`."""
        from wenshu.ui.uploads import propose_tried

        if len(self.listed(owner)) >= MOST_MODELS:
            raise FileError(
                "too_many_models",
                Text(f"You have {MOST_MODELS} models of your own already.", f"您已有 {MOST_MODELS} 份自己的数据。"),
                Text("Delete one first.", "请先删除一份。"),
            )
        place = self._place(owner) / "arriving"
        brought = [BroughtFile(path=place / token, name=Path(name).name or "data") for token, name in files if TOKEN.fullmatch(token)]
        if not brought or not all(each.path.is_file() for each in brought):
            raise FileError("file_missing", Text("The file did not arrive.", "没有收到文件。"), Text("Choose it again.", "请重新选择文件。"))
        stem = re.sub(r"[^a-z0-9]+", "_", Path(brought[0].name).stem.lower()).strip("_")
        name = f"{stem if KEY.fullmatch(stem) else 'data'}"[:40] + f"_{secrets.token_hex(3)}"
        try:
            proposal = propose_tried(brought, self._place(owner) / name)
        finally:
            for each in brought:
                each.path.unlink(missing_ok=True)
        proposal = replace(proposal, yaml=NAME_LINE.sub(f"name: {name}", proposal.yaml, count=1))
        _write(proposal.model_path, proposal.yaml)
        self.choose(owner, name)
        return proposal

    # a person's models

    def listed(self, owner: str) -> tuple[OwnModel, ...]:
        """Return a person's models, the oldest first."""
        place = self._place(owner)
        found = [each for each in place.iterdir() if (each / MODEL).is_file()] if place.is_dir() else []
        return tuple(self._read(each) for each in sorted(found, key=lambda each: (each / DATABASE).stat().st_mtime))

    def get(self, owner: str, name: str) -> OwnModel:
        """Return one of a person's models; raises `QueryError` with code `unknown_model`."""
        folder = self._place(owner) / name
        if not KEY.fullmatch(name) or not (folder / MODEL).is_file():
            raise QueryError("unknown_model", Text("These data are not there any more.", "这份数据已不存在。"))
        return self._read(folder)

    def text(self, owner: str, name: str) -> str:
        """Return a model file as it is now."""
        return (self.get(owner, name).folder / MODEL).read_text("utf-8")

    def change(self, owner: str, name: str, text: str) -> None:
        """Replace a model file; raises `ModelError` with every mistake, and then nothing has changed."""
        from wenshu.ui.workspace import misfits, open_layer

        folder = self.get(owner, name).folder
        if len(text) > LONGEST_YAML:
            raise ModelError("model_invalid", Text("The model file is too long.", "模型文件过长。"))
        before, after = parse_model(self.text(owner, name), MODEL), parse_model(text, MODEL)
        if after.name != name:
            raise ModelError("model_invalid", Text(f"The name has to stay {name}.", f"name 必须保持为 {name}。"))
        if _reads(after) - _reads(before):
            raise ModelError(
                "model_invalid",
                Text("A dataset reads something that was not brought.", "有数据集读取了上传内容以外的数据。"),
                Text("Leave every `source` as it was.", "请保持各个 source 不变。"),
            )
        layer = open_layer(str(folder / MODEL), folder / DATABASE, loaded=after)
        try:
            if lacking := misfits(layer):
                said = [(problem, ", ".join(names[:5])) for problem, names in lacking.items()]
                raise ModelError(
                    "model_invalid",
                    Text("\n".join(f"{p.en} ({n})" for p, n in said), "\n".join(f"{p.zh}（{n}）" for p, n in said)),
                )
        finally:
            layer.engine.close()
        _write(folder / MODEL, text)

    def delete(self, owner: str, name: str) -> None:
        """Delete a model with its database."""
        folder = self.get(owner, name).folder
        with self._lock:
            if reception := self._receptions.pop(folder, None):
                reception.close()
        shutil.rmtree(folder, ignore_errors=True)

    def choose(self, owner: str, name: str | None) -> None:
        """Ask one of a person's models from now on; None goes back to the one that is served to everybody."""
        if name is None:
            self._store.write("DELETE FROM choices WHERE owner = ?", owner)
        else:
            self.get(owner, name)
            self._store.write("INSERT INTO choices VALUES (?, ?) ON CONFLICT (owner) DO UPDATE SET model = excluded.model", owner, name)

    def chosen(self, owner: str) -> OwnModel | None:
        """Return the model that a person chose, None for the one served to everybody."""
        rows = self._store.rows("SELECT model FROM choices WHERE owner = ?", owner)
        try:
            return self.get(owner, rows[0]["model"]) if rows else None
        except WenshuError:  # deleted meanwhile
            return None

    # answering

    def entrance(self, served: "Entrance") -> "Entrance":
        """Return an entrance at which everybody is answered from what they chose, if they may come in at all."""

        def assistant_for(user: str | None) -> "Assistant":
            shared = served.assistant_for(user)
            own = self.chosen(user or "")
            return self._reception(own).assistant(None) if own else shared

        def answers(question: "Question") -> "Iterator[Step | Answer]":
            own = self.chosen(question.user or "")
            if own is None:
                return served.stream(question)
            served.assistant_for(question.user)
            return self._reception(own).stream(question)

        def carries(question: "Question", outcome: "Plan | Investigation") -> "Iterator[Step | Answer]":
            own = self.chosen(question.user or "")
            if own is None:
                return served.carry_out(question, outcome)
            served.assistant_for(question.user)
            return self._reception(own).carry_out(question, outcome)

        return replace(served, assistant_for=assistant_for, answers=answers, carries=carries)

    def _reception(self, own: OwnModel) -> "Reception":
        with self._lock:
            if own.folder not in self._receptions:
                self._receptions[own.folder] = self._open(own.folder / MODEL, own.folder / DATABASE)
            return self._receptions[own.folder]

    def _place(self, owner: str) -> Path:
        return self._folder / sha256(owner.encode()).hexdigest()[:24]

    def _read(self, folder: Path) -> OwnModel:
        try:
            label = parse_model((folder / MODEL).read_text("utf-8"), MODEL).label
        except (WenshuError, OSError, UnicodeDecodeError):
            label = Text(folder.name, folder.name)
        return OwnModel(name=folder.name, label=label, folder=folder)


def _reads(model: "Model") -> set[tuple[str, str | None]]:
    return {(str(dataset.source), dataset.file) for dataset in model.datasets if not dataset.is_segment}


def _write(path: Path, text: str) -> None:
    with written_whole(path) as beside:
        beside.write_text(text, "utf-8")
