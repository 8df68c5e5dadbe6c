"""Owns learning the segments that a model file asks for (chance, cluster): from what the asker may see, as of a day.

What is learnt is small and frozen (weights, centres), so users are scored where they are, in the SQL of each question. The
same functions learn for the analyses of propensity.py and clusters.py: the bands and groups are the same as there.
"""

from collections.abc import Generator
from dataclasses import replace
from datetime import date

import sqlglot
from sqlglot import exp

from wenshu.semantic_layer.layer import SemanticLayer
from wenshu.semantic_layer.learnt_segment import APART, BANDS, EDGES, WHO_IS_APART, Learnt
from wenshu.semantic_layer.model import Dataset, Dimension, DimensionValue, Lesson
from wenshu.semantic_layer.segment_parts import relation_of, users_of
from wenshu.semantic_layer.sql_tree import with_ctes
from wenshu.semantic_layer.text import Text
from wenshu.tools.insight import clusters, propensity
from wenshu.tools.insight.customers import FEATURES, USERS, Behaviour, Signals
from wenshu.tools.insight.insight import Confidence, Inquiry, Method
from wenshu.tools.insight.learning import Chance
from wenshu.tools.insight.propensity_told import confidence_of, method_of

EVERYONE = "every_user"  # a table of the templates: the dataset of users
Values = tuple[DimensionValue, ...]
Found = tuple[exp.Select, dict[str, Values], Method, Confidence]  # the values are those of a column that only the data tell


def learn_segment(layer: SemanticLayer, name: str, today: date | None) -> Generator[Text, None, None]:
    """Yield what is being done to learn a segment, and keep it in the layer.

    Raises `QueryError` where the data are too thin, and `EngineError` where a library is missing or the database fails.
    """
    inquiry = Inquiry(layer, today)
    dataset = layer.model.dataset_by_name[name]
    assert dataset.lesson is not None
    behaviour = Behaviour(inquiry=inquiry, signals=Signals(activity=dataset.lesson.activity, value=dataset.lesson.value))
    learn = _clusters if dataset.lesson.kind == "clusters" else _chances
    source, values, method, confidence = yield from learn(dataset.lesson, behaviour)
    why = Text(f"Learnt as of {inquiry.as_of}. {confidence.why.en}", f"截至 {inquiry.as_of} 学习得出。{confidence.why.zh}")
    dimensions = tuple(_told(replace(d, values=values.get(d.expr.name, d.values)), why) for d in dataset.dimensions)
    filled = replace(dataset, source=source, dimensions=dimensions, lesson=replace(dataset.lesson, learnt=True))
    steps = tuple((step.sql, len(step.table.rows)) for step in inquiry.evidence)
    layer.keep_learnt(
        Learnt(dataset=filled, caveat=_caveat(dataset, inquiry.as_of), method=method.name, told=method.told, assumptions=method.assumptions, source=method.source, steps=steps),
        inquiry.as_of,
    )  # fmt: skip


def _told(dimension: Dimension, why: Text) -> Dimension:
    """Return the groups with how they were learnt in their description."""
    told = dimension.description
    if told is None or dimension.expr.name not in ("band", "cluster"):
        return dimension
    return replace(dimension, description=Text(f"{told.en} {why.en}", f"{told.zh}{why.zh}"))


def _caveat(dataset: Dataset, as_of: date) -> Text:
    label = dataset.label
    if dataset.lesson and dataset.lesson.kind == "clusters":
        return Text(f"{label.en}: as of {as_of}, whatever the period.", f"{label.zh}为截至 {as_of} 的分群，不随统计时间段变化。")
    return Text(
        f"{label.en}: a prediction as of {as_of}, whatever the period; no one user's future is certain.",
        f"{label.zh}为截至 {as_of} 的预测，不随统计时间段变化；个体结果不确定。",
    )


def _chances(lesson: Lesson, behaviour: Behaviour) -> Generator[Text, None, Found]:
    assert lesson.kind != "clusters"
    yield propensity.READING
    chance, held = yield from propensity.learnt_from(behaviour, lesson.kind, lesson.days)
    names = [name for name, _ in BANDS[lesson.kind]]
    bands = " ".join(f"WHEN chance < {edge} THEN {name!r}" for edge, name in zip(EDGES, names, strict=False))
    with_chance = f"SELECT *, {propensity.chance_sql(chance)} AS chance FROM {USERS}"
    scored = f"SELECT user_id, chance, {propensity.reason_sql(chance)} AS reason FROM ({with_chance}) AS likely"
    text = (
        f"SELECT {EVERYONE}.the_key AS user_id, chance, reason, CASE WHEN chance IS NULL THEN {APART!r} {bands} ELSE {names[-1]!r} END AS band"
        f" FROM {EVERYONE} LEFT JOIN ({scored}) AS scored ON {EVERYONE}.the_key = scored.user_id"
    )
    users = behaviour.users(behaviour.inquiry.as_of, who=propensity.WHO[lesson.kind])
    return _of_all(behaviour, text, users), {"reason": _reasons(chance)}, method_of(lesson.kind, lesson.days), confidence_of(held)


def _reasons(chance: Chance) -> Values:
    """Return what each feature is called where it adds to the chance: much of it, or little."""
    pairs = zip(FEATURES, chance.weights, strict=True)
    return tuple(DimensionValue(value=f.name, label=f.high if weight > 0 else f.low) for f, weight in pairs)


def _clusters(lesson: Lesson, behaviour: Behaviour) -> Generator[Text, None, Found]:
    yield Text("Reading what users do", "读取用户行为")
    groups, found = yield from clusters.found_in(behaviour, lesson.number)
    letters = {cluster.centre: chr(ord("A") + i) for i, cluster in enumerate(found)}
    names = [repr(letters.get(centre, APART)) for centre in groups.centres]  # a centre that is nobody's has no letter
    placed = f"SELECT user_id, {clusters.nearest_sql(groups, names)} AS cluster FROM ({clusters.with_distances(groups)}) AS measured"
    text = (
        f"SELECT {EVERYONE}.the_key AS user_id, COALESCE(cluster, {APART!r}) AS cluster"
        f" FROM {EVERYONE} LEFT JOIN ({placed}) AS placed ON {EVERYONE}.the_key = placed.user_id"
    )
    users = behaviour.users(behaviour.inquiry.as_of, who=clusters.WHO, features=clusters.GROUPED_BY)
    values = (
        *(DimensionValue(value=letters[one.centre], label=clusters.cluster_named(i, one)) for i, one in enumerate(found)),
        DimensionValue(value=APART, label=WHO_IS_APART["clusters"]),
    )
    return _of_all(behaviour, text, users), {"cluster": values}, clusters.METHOD, clusters.confidence_of(groups)


def _of_all(behaviour: Behaviour, text: str, users: exp.Select) -> exp.Select:
    """Return a template with the users' own behaviour and the dataset of all users put in."""
    everyone = users_of(behaviour.inquiry.model)
    tree = sqlglot.parse_one(text, dialect="duckdb")
    assert isinstance(tree, exp.Select)
    for table in list(tree.find_all(exp.Table)):
        if table.name == EVERYONE:
            table.replace(relation_of(replace(everyone, name=EVERYONE)))
    for column in list(tree.find_all(exp.Column)):
        if column.name == "the_key":
            column.replace(exp.column(everyone.primary_key[0], table=EVERYONE))
    return with_ctes(tree, [(USERS, users)])
