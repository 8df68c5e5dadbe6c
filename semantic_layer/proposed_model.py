"""Owns the model proposed for brought tables, as the values of a model file: datasets, relationships, metrics, examples. Reads no file."""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import duckdb

from wenshu.semantic_layer.column_words import dataset_words, safe_name
from wenshu.semantic_layer.proposed_columns import Part, TableParts
from wenshu.semantic_layer.text import Text

Values = dict[str, Any]
MATCHED = 0.5  # the share of a key's values that must be in the other table for it to be a relationship
PEOPLE = {"member": Text("members", "会员"), "会员": Text("members", "会员"), "buyer": Text("buyers", "买家"), "买家": Text("buyers", "买家"),
          "customer": Text("customers", "客户"), "client": Text("clients", "客户"), "客户": Text("customers", "客户"), "顾客": Text("customers", "顾客"),
          "player": Text("players", "玩家"), "玩家": Text("players", "玩家"), "household": Text("households", "家庭"), "家庭": Text("households", "家庭"),
          "student": Text("students", "学生"), "学": Text("students", "学生"), "patient": Text("patients", "患者"),
          "passenger": Text("passengers", "乘客"), "visitor": Text("visitors", "访客"), "访客": Text("visitors", "访客")}  # fmt: skip
USERS = Text("users", "用户")
EVERYBODY_EN = ("users", "customers", "people")
EVERYBODY_ZH = ("用户", "客户", "人")


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """Join the many side's column to the one side's key."""

    many: TableParts
    one: TableParts
    column: str

    @property
    def values(self) -> Values:
        assert self.one.key is not None
        same = self.column == self.one.key.name
        return {
            "from": self.many.name,
            "to": self.one.name,
            "on": self.column if same else {self.column: self.one.key.name},
        }


def links(connection: duckdb.DuckDBPyConnection, tables: Sequence[TableParts]) -> tuple[Link, ...]:
    """Return the relationships: equal key columns of which one side's is unique and holds most of the other side's values."""
    found = []
    for one in tables:
        if one.key is None or one.key.role == "pii":
            continue
        names = {one.key.name} - {"id"} if one.key.name != "id" else {f"{re.sub('s$', '', one.name)}_id"}
        for many in tables:
            for part in many.parts:
                if many is one or part.name not in names or part.type != one.key.type or part.role in ("empty", "pii"):
                    continue
                if (
                    many.key is not None
                    and part.name == many.key.name
                    and (many.table.rows, many.name) > (one.table.rows, one.name)
                ):
                    continue  # one to one: the smaller table hangs on the larger
                [(share,)] = connection.execute(
                    f"SELECT avg(CAST({part.name} IN (SELECT {one.key.name} FROM {one.name}) AS INTEGER)) FROM {many.name} WHERE {part.name} IS NOT NULL"
                ).fetchall()
                if share is not None and share >= MATCHED:
                    found.append(Link(many=many, one=one, column=part.name))
    return tuple(found)


class ProposedModel:
    """Write down, part by part, the model of tables that are loaded into `connection`."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, tables: Sequence[TableParts], timezone: str) -> None:
        self.connection, self.tables, self.timezone = connection, tables, timezone
        self.links = links(connection, tables)
        self.dimension_names = {part.name for table in tables for part in table.parts}
        self.words_taken: set[str] = set()
        self.metrics: dict[str, Values] = {}
        self.datasets: dict[str, Values] = {}
        self.relationships = [link.values for link in self.links]
        self.headline: list[str] = []
        self.examples: list[Text] = []

    def values(self) -> Values:
        """Return the model file's values."""
        for table in self.tables:
            self.datasets[table.name] = self._dataset(table)
        main = self._main()
        for table in self.tables:
            self._metrics(table)
        if main is not None:
            self._behaviour(main)
        self._examples(main)
        units = {metric.get("unit") for metric in self.metrics.values()} - {None, "%"}
        model: Values = {
            "name": self.tables[0].name if len(self.tables) == 1 else "my_data",
            "label": _label(dataset_words(self.tables[0].table.stem) if len(self.tables) == 1 else Text("my data", "我的数据")),
            "timezone": self.timezone, "as_of": "latest",
        }  # fmt: skip
        if len(units) == 1:
            model["currency"] = units.pop()
        model |= {"datasets": self.datasets}
        if self.relationships:
            model["relationships"] = self.relationships
        return model | {
            "metrics": self.metrics,
            "headline": self.headline[:4],
            "examples": [_label(each) for each in self.examples],
        }

    def _dataset(self, table: TableParts) -> Values:
        label = self._rows(table)
        spec: Values = {"source": table.name}
        if table.key:
            spec["primary_key"] = table.key.name
        if table.of_users and not any("entity" in other for other in self.datasets.values()):
            spec["entity"] = "user"
        if table.time:
            spec["time"] = table.time.name
        spec["label"] = _label(label)
        if table.of_users:
            spec["synonyms"] = self._words(EVERYBODY_EN, EVERYBODY_ZH, but=label)
        spec["dimensions"] = {part.name: self._dimension(part) for part in table.parts if part.role != "empty"}
        return spec

    def _rows(self, table: TableParts) -> Text:
        if table.of_users and len(self.tables) == 1:
            return people(table)
        return dataset_words(table.table.stem)

    def _dimension(self, part: Part) -> Values:
        spec: Values = {"type": part.type} if part.type != "string" else {}
        spec["label"] = _label(part.label)
        en, zh = _header_words(part)
        if synonyms := self._words(en, zh, but=part.label, shared=True):
            spec["synonyms"] = synonyms
        if part.role == "pii":
            spec["pii"] = True
        elif part.type == "string" and not part.named:
            spec["index"] = False
        if part.type == "number" and (unit := part.column.column.unit) and unit != "%":
            spec["unit"] = unit
        return spec

    def _metrics(self, table: TableParts) -> None:
        rows, one = self._rows(table), len(self.tables) == 1
        self._add(
            f"{table.name}_count", table, {"type": "count"}, Text(f"number of {rows.en}", f"{rows.zh}数"),
            (rows.en, f"how many {rows.en}", f"{rows.en} count", *(("rows", "number of rows", "how many rows", "row count", "records") if one else ())),
            (f"{rows.zh}数量", f"多少{rows.zh}", *(("行数", "记录数", "多少行", "多少条", "条数", "总数", "数量") if one else ()),
             *(("用户数", "人数", "多少人", "多少用户") if table.of_users else ())),
            headline=True,
        )  # fmt: skip
        if table.user and not table.of_users:
            who = people(table)
            en, zh = (f"active {who.en}", f"活跃{who.zh}数") if table.time else (f"number of {who.en}", f"{who.zh}数")
            everybody_en = [
                f"{lead}{word}"
                for word in dict.fromkeys((who.en, "users"))
                for lead in ("", "number of ", "how many ", "active ", "distinct ")
            ]
            everybody_zh = [
                word
                for noun in dict.fromkeys((who.zh, "用户"))
                for word in (f"{noun}数", f"多少{noun}", f"活跃{noun}数", f"活跃{noun}", f"去重{noun}数")
            ]
            self._add(self._active(table), table, {"type": "count_distinct", "expr": table.user.name}, Text(en, zh),
                      (*everybody_en, "active users", "how many people", "DAU", "MAU"), (*everybody_zh, "人数", "多少人", "日活", "月活"), headline=True)  # fmt: skip
        for part in table.parts:
            if part.role in ("measure", "rating"):
                self._measure(table, part)
            elif part.role == "boolean":
                self._rate(table, part)

    def _measure(self, table: TableParts, part: Part) -> None:
        label, unit = part.label, part.column.column.unit
        en, zh = _header_words(part)
        if part.adds_up:
            self._add(
                f"total_{part.name}", table, {"type": "sum", "expr": part.name, "unit": unit}, Text(f"total {label.en}", f"{label.zh}合计"),
                (*en, f"sum of {label.en}", f"{label.en} sum"), (*zh, *(f"{lead}{word}{end}" for word in dict.fromkeys((label.zh, *zh)) for lead, end in (("总", ""), ("", "总和"), ("", "总额"), ("", "总计"), ("", "之和")))),
                headline=True,
            )  # fmt: skip
        bare = not part.adds_up
        self._add(
            f"average_{part.name}", table, {"type": "average", "expr": part.name, "unit": unit}, Text(f"average {label.en}", f"平均{label.zh}"),
            (*(en if bare else ()), *(f"{lead} {word}" for word in en for lead in ("average", "mean", "avg"))),
            (*(zh if bare else ()), *(word for noun in zh for word in (f"平均{noun}", f"{noun}均值", f"{noun}平均值", f"{noun}平均", f"{noun}的平均值"))),
            headline=bare,
        )  # fmt: skip

    def _rate(self, table: TableParts, part: Part) -> None:
        label = part.label
        core = Text(
            re.sub(r"^(is|has|had|was|did|can)[ _]", "", label.en, flags=re.IGNORECASE),
            label.zh.removeprefix("是否") or label.zh,
        )
        en, zh = _header_words(part)
        day_en, day_zh = _retention_words(part)
        rate_en = [f"{word}{end}" for word in dict.fromkeys((*en, core.en)) for end in ("", " rate", " share")] + [
            f"{lead} {word}" for word in en for lead in ("share of", "percentage of", "rate of")
        ]
        rate_zh = [
            f"{word}{end}"
            for word in dict.fromkeys((*zh, core.zh))
            for end in ("", "率", "比例", "占比", "的比例", "的占比")
        ]
        self._add(
            f"{part.name}_rate", table, {"type": "average", "expr": f"CAST({part.name} AS INTEGER)", "unit": "%", "description": {"en": f"Share of rows with {label.en} = yes among those that say so.", "zh": f"{label.zh}为“是”的行数 ÷ 该列有值的行数。"}},
            Text(f"{core.en} rate", core.zh if core.zh.endswith("率") else f"{core.zh}率"), (*rate_en, *day_en), (*rate_zh, *day_zh), headline=True,
        )  # fmt: skip

    def _active(self, table: TableParts) -> str:
        first = next(each for each in self.tables if each.user and not each.of_users)
        return "active_users" if table is first else f"{table.name}_users"

    def _main(self) -> TableParts | None:
        """Return the table whose rows are what users do, best with an amount, and give the model a dataset of users where it has none."""
        doing = [
            table
            for table in self.tables
            if table.user and table.time and not table.of_users and table.user.role != "pii"
        ]
        doing.sort(
            key=lambda table: not any(part.role == "measure" and part.header.role == "amount" for part in table.parts)
        )
        if not doing:
            return None
        main = doing[0]
        assert main.user and main.time
        if not any("entity" in each for each in self.datasets.values()):
            key, who = main.user.name, people(main)
            name = safe_name("users", "users", [*self.datasets, *self.dimension_names])
            first_seen = safe_name("first_seen", "first_seen", self.dimension_names)
            dated = f"CAST({main.time.name} AS {'DATE' if main.time.type == 'date' else 'TIMESTAMP'})"
            self.connection.execute(
                f"CREATE TABLE {name} AS SELECT {key}, min({dated}) AS {first_seen} FROM {main.name} WHERE {key} IS NOT NULL GROUP BY {key}"
            )
            self.datasets[name] = {
                "source": name, "primary_key": key, "entity": "user", "time": first_seen, "label": _label(who),
                "synonyms": self._words(EVERYBODY_EN, EVERYBODY_ZH, but=who),
                "dimensions": {first_seen: {"type": main.time.type, "label": _label(Text("first seen", "首次出现日期"))}},
            }  # fmt: skip
            self.relationships.append({"from": main.name, "to": name, "on": key})
        return main

    def _behaviour(self, main: TableParts) -> None:
        """Add what users with times allow: new users, retention, and where there is an amount, repurchase and spend."""
        users = next(name for name, spec in self.datasets.items() if spec.get("entity"))
        if not any(each["from"] == main.name and each["to"] == users for each in self.relationships):
            return
        who, active, start = people(main), self._active(main), self._active(main)
        if "time" in self.datasets[users]:
            start = "new_users"
            self.metrics[start] = {
                "type": "count", "dataset": users, "label": _label(Text(f"new {who.en}", f"新增{who.zh}数")),
                "synonyms": self._words((f"number of new {who.en}", "new users", "new customers"), (f"新{who.zh}数", f"新{who.zh}", "新增用户数", "新用户数", "新增用户", "新客数"), but=who),
            }  # fmt: skip
        self.metrics["retention"] = {
            "type": "retention", "start": start, "return": active, "on": 7, "unit": "day", "label": {"en": "day-{n} retention", "zh": "{n}日留存率"},
            "synonyms": {"en": ["day {n} retention", "{n}-day retention", "{n} day retention", "D{n} retention", "day-{n} retention rate", "{n}-day retention rate"],
                         "zh": ["{n}日留存", "{n}天留存率", "{n}天留存", "第{n}日留存率", "第{n}天留存率", "D{n}留存", "D{n}留存率"]},
            "at_number": {1: {"en": ["next-day retention", "next day retention"], "zh": ["次日留存率", "次日留存", "次留"]},
                          7: {"en": ["retention", "retention rate"], "zh": ["留存率", "留存", "周留存"]}},
        }  # fmt: skip
        amount = next(
            (part for part in main.parts if part.header.role == "amount" and f"total_{part.name}" in self.metrics), None
        )
        if amount is None:
            return
        count = f"{main.name}_count"
        self.metrics["repurchase_rate"] = {
            "type": "repurchase", "of": count, "times": 2, "label": _label(Text("repurchase rate", "复购率")),
            "synonyms": {"en": ["repeat purchase rate", "repeat rate", "repurchase"], "zh": ["复购", "重复购买率"]},
        }  # fmt: skip
        self.metrics["spend_per_user"] = {
            "type": "ratio", "numerator": f"total_{amount.name}", "denominator": active, "label": _label(Text(f"{amount.label.en} per user", f"人均{amount.label.zh}")),
            "synonyms": self._words(("spend per user", "spend per customer", "average spend per user", "ARPPU"), ("客单价", "人均消费", "人均金额", "每用户金额"), but=who),
        }  # fmt: skip
        if unit := amount.column.column.unit:
            self.metrics["spend_per_user"]["unit"] = unit

    def _examples(self, main: TableParts | None) -> None:
        """Propose questions, the most telling first; who shows them tries them before."""
        table = main or max(self.tables, key=lambda each: each.table.rows)
        here = [(name, spec) for name, spec in self.metrics.items() if spec.get("dataset") == table.name]
        groups = [
            part for part in table.parts if part.role == "dimension" and part.named and 2 <= part.column.distinct <= 50
        ]
        order = {"average": 1, "sum": 0, "count_distinct": 2, "count": 3}
        here.sort(key=lambda item: (item[1].get("unit") != "%", order[item[1]["type"]]))
        labels = [_text(spec["label"]) for _, spec in here]
        if groups:
            by = groups[0].label
            self.examples += [Text(f"{label.en} by {by.en}", f"各{by.zh}的{label.zh}") for label in labels[:3]]
        if table.time:
            totals = [
                label for (_, spec), label in zip(here, labels, strict=True) if spec["type"] != "average"
            ] or labels
            self.examples += [Text(f"{label.en} by month", f"每月{label.zh}") for label in totals[:2]]
        if "repurchase_rate" in self.metrics:
            self.examples.append(Text("repurchase rate", "复购率"))
        if "retention" in self.metrics:
            self.examples.append(Text("day-7 retention", "7日留存率"))
        self.examples += [Text(label.en, label.zh) for label in labels[:3]]
        self.examples = list(dict.fromkeys(self.examples))[:8]

    def _add(
        self,
        name: str,
        table: TableParts,
        spec: Values,
        label: Text,
        en: Iterable[str],
        zh: Iterable[str],
        *,
        headline: bool = False,
    ) -> None:
        name = safe_name(name, "metric", [*self.metrics, *self.dimension_names])
        head = {"type": spec["type"], "dataset": table.name}
        values = head | {key: value for key, value in spec.items() if key != "type" and value is not None}
        if table.time is None:
            values["time"] = "none"
        values["label"] = _label(label)
        if synonyms := self._words(en, zh, but=label):
            values["synonyms"] = synonyms
        self.metrics[name] = values
        if headline:
            self.headline.append(name)

    def _words(self, en: Iterable[str], zh: Iterable[str], *, but: Text, shared: bool = False) -> Values:
        """Return synonyms by language, without the label; a word that another metric has already is not given twice."""
        chosen: Values = {}
        for language, words in (("en", en), ("zh", zh)):
            fresh = [
                word
                for word in dict.fromkeys(words)
                if word
                and word != but.in_("zh" if language == "zh" else "en")
                and (shared or word.lower() not in self.words_taken)
            ]
            if fresh:
                chosen[language] = fresh
            if not shared:
                self.words_taken |= {word.lower() for word in fresh}
        if not shared:
            self.words_taken |= {but.en.lower(), but.zh.lower()}
        return chosen


def people(table: TableParts) -> Text:
    """Return what the users of a table are called."""
    assert table.user is not None
    words = table.user.header.text.lower()
    return next((text for word, text in PEOPLE.items() if word in words), USERS)


def _header_words(part: Part) -> tuple[list[str], list[str]]:
    """Return the words for a column in English and in Chinese: its header, as written and in words, and the dictionary's."""
    text, entry = part.header.text, part.header.entry if part.role not in ("user", "id") else None
    spaced = re.sub(r"[\s_\-]+", " ", re.sub(r"[(（\[].*?[)）\]]", "", text)).strip()
    own = list(dict.fromkeys(word for word in (text, spaced) if word))
    en = [*(own if text.isascii() else ()), *(entry.en if entry else ())] or [part.label.en]
    zh = [*own, *(entry.zh if entry else ())]
    return list(dict.fromkeys(en)), list(dict.fromkeys(zh))


def _retention_words(part: Part) -> tuple[Iterator[str], Iterator[str]]:
    """Return how people ask for a column that says who came back on a day, such as retention_7."""
    found = re.search(
        r"(?:retention|retained)[ _-]?d?(?:ay)?[ _-]?(\d+)|(?:day|d)[ _-]?(\d+)[ _-]?(?:retention|retained)",
        part.header.text,
        re.IGNORECASE,
    )
    n = found and (found[1] or found[2])
    en = (
        (f"day-{n} retention", f"day {n} retention", f"{n}-day retention", f"D{n} retention", f"day-{n} retention rate")
        if n
        else ()
    )
    zh = (
        (
            f"{n}日留存率",
            f"{n}日留存",
            f"{n}天留存率",
            f"{n}天留存",
            f"第{n}日留存率",
            f"第{n}天留存率",
            *(("次日留存率", "次日留存") if n == "1" else ()),
        )
        if n
        else ()
    )
    return iter(en), iter(zh)


def _label(text: Text) -> Values | str:
    return text.en if text.en == text.zh else {"en": text.en, "zh": text.zh}


def _text(label: Values | str) -> Text:
    return Text(label, label) if isinstance(label, str) else Text(label["en"], label["zh"])
