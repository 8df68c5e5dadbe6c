"""Owns the refusals of the binder in people's words: unknown names, joins that do not fit, personal data. Decides none of them."""

from collections.abc import Iterable, Sequence

from wenshu.semantic_layer.behaviour_keys import BEHAVIOUR_KEYS
from wenshu.semantic_layer.errors import QueryError, did_you_mean
from wenshu.semantic_layer.metrics import Aggregate
from wenshu.semantic_layer.model import Dataset, Dimension
from wenshu.semantic_layer.text import Text, same


def unknown(kind: str, kind_label: Text, name: str, names: Iterable[str]) -> QueryError:
    hint = did_you_mean(name, names)
    listing = Text("`wenshu metrics` lists what there is.", "可用 `wenshu metrics` 查看全部指标与维度。")
    return QueryError(
        f"unknown_{kind}",
        Text(f"There is no {kind_label.en} “{name}”.", f"没有名为“{name}”的{kind_label.zh}。"),
        hint if hint.en else listing,
    )


def fan_out(aggregate: Aggregate, dimension: Dimension, works: str) -> QueryError:
    return QueryError(
        "fan_out",
        Text(
            f"{aggregate.label.en} cannot be split by {dimension.label.en}: one row of {aggregate.dataset} has several of "
            f"{dimension.dataset}, so amounts would be counted more than once.",
            f"{aggregate.label.zh}不能按{dimension.label.zh}拆分：{aggregate.dataset} 的一行对应 {dimension.dataset} 的多行，金额会被重复计算。",
        ),
        Text(f"Metrics that can: {works}.", f"可以按此拆分的指标：{works}。") if works else same(""),
    )


def not_joinable(aggregate: Aggregate, dimension: Dimension, works: str) -> QueryError:
    return QueryError(
        "not_joinable",
        Text(
            f"{aggregate.label.en} has no {dimension.label.en}: nothing in the model joins {aggregate.dataset} to {dimension.dataset}.",
            f"{aggregate.label.zh}没有{dimension.label.zh}这个维度：模型中 {aggregate.dataset} 与 {dimension.dataset} 没有关联。",
        ),
        Text(f"Metrics that have it: {works}.", f"有此维度的指标：{works}。") if works else same(""),
    )


def no_relationship(dataset: str, other: str) -> QueryError:
    return QueryError(
        "not_joinable",
        Text(f"Nothing joins {dataset} to {other}.", f"{dataset} 与 {other} 没有关联。"),
        Text("Add the relationship to the model.", "请在模型中补充关联关系。"),
    )


def no_such_key(aggregate: Aggregate, key: str) -> QueryError:
    """Return the refusal of a key that only a behavioural metric has."""
    label = BEHAVIOUR_KEYS[key].label
    return QueryError(
        "not_joinable",
        Text(f"{aggregate.label.en} has no {label.en}.", f"{aggregate.label.zh}没有{label.zh}这个维度。"),
        Text("Ask for a behavioural metric by it.", "请对留存、漏斗等行为指标使用该维度。"),
    )


def undated(aggregate: Aggregate) -> QueryError:
    return QueryError(
        "no_time",
        Text(
            f"{aggregate.label.en} has no date, so there is no trend of it.",
            f"{aggregate.label.zh}没有日期，无法按时间拆分。",
        ),
        Text("Ask for it without a time breakdown.", "请去掉时间粒度再问。"),
    )


def no_entity(dataset: Dataset) -> QueryError:
    return QueryError(
        "no_entity",
        Text(f"The rows of {dataset.label.en} belong to no user.", f"{dataset.label.zh}的记录没有对应的用户。"),
        Text("Relate the dataset to the one of the users in the model.", "请在模型中将其与用户数据集关联。"),
    )


def repeated_rows(aggregate: Aggregate) -> QueryError:
    """Return the refusal of a dimension that would repeat rows which are put in order one after the other."""
    return QueryError(
        "fan_out",
        Text(
            f"{aggregate.label.en} are put in order here, and one of them has several values of that dimension.",
            f"这里需要按先后排列{aggregate.label.zh}，而其中一条对应该维度的多个值。",
        ),
        Text("Use a dimension of the user or of the row itself.", "请改用用户或该记录自身的维度。"),
    )


def personal_data(dimension: Dimension) -> QueryError:
    return QueryError(
        "personal_data",
        Text(
            f"{dimension.label.en} is personal data and is not shown.", f"{dimension.label.zh}属于个人信息，不予展示。"
        ),
        Text("Ask for counts or for groups of users instead.", "可以查询人数或用户分组的统计。"),
    )


def not_allowed(words: str, instead: Sequence[Text]) -> QueryError:
    """Return the refusal of what a role may not see; it repeats what the asker wrote and names nothing else that is withheld."""
    names = Text(", ".join(label.en for label in instead), "、".join(label.zh for label in instead))
    return QueryError(
        "not_allowed",
        Text(f"“{words}” is not open to your role.", f"您的角色无权查看“{words}”。"),
        Text(f"You can ask for {names.en}.", f"可以查询：{names.zh}。") if instead else same(""),
    )


def sql_not_allowed() -> QueryError:
    return QueryError(
        "sql_not_allowed",
        Text("Writing SQL is not open to your role.", "您的角色不能编写 SQL。"),
        Text("Ask a question, or send a semantic query.", "请直接提问，或提交语义查询。"),
    )


def user_needed() -> QueryError:
    return QueryError(
        "user_needed",
        Text("This model answers only people it knows.", "此模型只回答已登记的用户。"),
        Text("Say who asks: --user NAME on the command line.", "请说明提问者：命令行使用 --user NAME。"),
    )
