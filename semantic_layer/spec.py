"""Owns the shape of a model file as pydantic checks it, and the JSON Schema made from it. Knows nothing of its meaning."""

from typing import Annotated, Any, Literal, get_args

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

LANGUAGES = ("en", "zh")


def _text(value: Any) -> Any:
    if isinstance(value, str):
        return {"en": value, "zh": value}
    if isinstance(value, dict) and len(value) == 1 and set(value) <= set(LANGUAGES):
        return dict.fromkeys(LANGUAGES, next(iter(value.values())))
    return value


def _words(value: Any) -> Any:
    if isinstance(value, list):
        return {
            "en": [word for word in value if str(word).isascii()],
            "zh": [word for word in value if not str(word).isascii()],
        }
    return value


def _one_or_more(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


class Spec(BaseModel):
    model_config = ConfigDict(extra="forbid", populate_by_name=True, defer_build=True)


class TextSpec(Spec):
    en: str
    zh: str


class SynonymsSpec(Spec):
    en: list[str] = []
    zh: list[str] = []


LabelSpec = Annotated[TextSpec, BeforeValidator(_text, json_schema_input_type=str | dict[Literal["en", "zh"], str])]
WordsSpec = Annotated[
    SynonymsSpec, BeforeValidator(_words, json_schema_input_type=list[str] | dict[Literal["en", "zh"], list[str]])
]
Names = Annotated[list[str], BeforeValidator(_one_or_more, json_schema_input_type=str | list[str])]


class ValueSpec(Spec):
    label: LabelSpec | None = None
    synonyms: WordsSpec = SynonymsSpec()


class BandsSpec(Spec):
    """Cut a number into bands: `from_` holds the ascending lower bounds of all bands but the lowest."""

    of: str
    from_: list[float] = Field(alias="from", min_length=1)
    unit: LabelSpec = TextSpec(en="", zh="")

    @model_validator(mode="after")
    def _ascending(self) -> "BandsSpec":
        if sorted(set(self.from_)) != self.from_:
            raise ValueError("the lower bounds must ascend")
        return self


class GroupSpec(Spec):
    """Give a name to several values of a dimension or a segment together."""

    label: LabelSpec
    synonyms: WordsSpec = SynonymsSpec()
    values: list[str]


class DimensionSpec(Spec):
    expr: str | None = None
    type: Literal["string", "number", "date", "time", "boolean"] = "string"
    label: LabelSpec | None = None
    synonyms: WordsSpec = SynonymsSpec()
    description: LabelSpec | None = None
    values: dict[str | int | bool, ValueSpec | None] = {}
    groups: dict[str, GroupSpec] = {}
    ordered: bool = False
    pii: bool = False
    index: bool | None = None
    unit: str | None = None
    bands: BandsSpec | None = None


class DatasetSpec(Spec):
    source: str = Field(pattern=r"\S")
    label: LabelSpec | None = None
    synonyms: WordsSpec = SynonymsSpec()
    primary_key: Names = []
    entity: str | None = None
    time: str | None = None
    dimensions: dict[str, DimensionSpec | None] = {}


class RelationshipSpec(Spec):
    """Join the many side (`from`) to the one side (`to`); `on` maps columns of the first to columns of the second."""

    from_: str = Field(alias="from")
    to: str
    on: str | dict[str, str]


class MetricSpec(Spec):
    label: LabelSpec | None = None
    synonyms: WordsSpec = SynonymsSpec()
    at_grain: dict[Literal["day", "week", "month"], WordsSpec] = {}
    at_number: dict[int, WordsSpec] = {}
    unit: str | None = None
    better: Literal["higher", "lower"] = "higher"
    description: LabelSpec | None = None
    filters: Any = None


class CountSpec(MetricSpec):
    type: Literal["count"]
    dataset: str
    where: str | None = None
    time: str | None = None


class AggregateSpec(MetricSpec):
    type: Literal["count_distinct", "sum", "average", "min", "max", "median"]
    dataset: str
    expr: str = Field(pattern=r"\S")
    where: str | None = None
    time: str | None = None


class PercentileSpec(MetricSpec):
    """Take a percentile of an expression over a dataset's rows, or of each user's own value of the metric `of`."""

    type: Literal["percentile"]
    percent: int = Field(ge=1, le=99)
    dataset: str | None = None
    expr: str | None = Field(default=None, pattern=r"\S")
    where: str | None = None
    time: str | None = None
    of: str | None = None

    @model_validator(mode="after")
    def _rows_or_users(self) -> "PercentileSpec":
        if (self.of is None) == (self.dataset is None or self.expr is None):
            raise ValueError("give dataset and expr, or of")
        return self


class RatioSpec(MetricSpec):
    type: Literal["ratio"]
    numerator: str
    denominator: str


class DerivedSpec(MetricSpec):
    type: Literal["derived"]
    expr: str = Field(pattern=r"\S")


class CumulativeSpec(MetricSpec):
    type: Literal["cumulative"]
    metric: str


class RetentionSpec(MetricSpec):
    """Give one of `on`, `on_or_after`, `within` and `bracket`; `unit` is the length of one step after entry."""

    type: Literal["retention"]
    start: str
    return_: str = Field(alias="return")
    on: int | None = Field(default=None, ge=0)
    on_or_after: int | None = Field(default=None, ge=0)
    within: int | None = Field(default=None, ge=1)
    bracket: tuple[int, int] | None = None
    unit: Literal["hour", "day", "week", "month"] = "day"
    cohort: Literal["first", "recurring"] = "first"
    window: Literal["calendar", "hours"] = "calendar"
    times: int = Field(default=1, ge=1)

    @model_validator(mode="after")
    def _one_mode(self) -> "RetentionSpec":
        given = [name for name in ("on", "on_or_after", "within", "bracket") if getattr(self, name) is not None]
        if len(given) != 1:
            raise ValueError("give exactly one of on, on_or_after, within, bracket")
        if self.bracket and self.bracket[0] > self.bracket[1]:
            raise ValueError("the bracket's first number is larger than its second")
        if self.window == "hours" and self.unit != "day":
            raise ValueError("windows of hours are measured in days of 24 hours")
        if self.times > 1 and (self.window == "hours" or (self.unit == "day" and self.bracket and self.bracket[0] == 0)):
            raise ValueError("times are counted in calendar units, after the moment of entry")
        return self


class RepurchaseSpec(MetricSpec):
    type: Literal["repurchase"]
    of: str
    times: int = Field(default=2, ge=1)


class RepurchaseWithinSpec(MetricSpec):
    type: Literal["repurchase_within"]
    of: str
    days: int = Field(ge=0)


class PeriodReturnSpec(MetricSpec):
    type: Literal["period_return"]
    of: str
    lost: bool = False


class IntervalSpec(MetricSpec):
    type: Literal["interval"]
    of: str


class LifetimeValueSpec(MetricSpec):
    type: Literal["ltv"]
    start: str
    value: str
    days: int = Field(ge=0)
    cohort: Literal["first", "recurring"] = "first"


class StepSpec(Spec):
    """Name one step of a funnel over rows of a dataset."""

    name: str
    label: LabelSpec | None = None
    dataset: str
    where: str | None = None


class FunnelSpec(MetricSpec):
    """List steps, each a value of `dimension` or rows of a dataset of its own; a bare `within` is in days of 24 hours."""

    type: Literal["funnel"]
    dimension: str | None = None
    steps: list[str | StepSpec] = Field(min_length=2)
    within: int | str = 7
    order: Literal["ordered", "strict", "any"] = "ordered"


class LifecycleSpec(MetricSpec):
    type: Literal["lifecycle"]
    start: str
    of: str
    stage: Literal["new", "returning", "resurrecting", "dormant"] | None = None


class PathSpec(MetricSpec):
    """Count sequences of `steps` consecutive values of `dimension`; `gap` is in minutes."""

    type: Literal["path"]
    of: str
    dimension: str
    steps: int = Field(default=3, ge=2, le=10)
    gap: int = Field(default=30, ge=0)
    from_: str | None = Field(default=None, alias="from")
    to: str | None = None


class LastEventSpec(MetricSpec):
    type: Literal["last_event"]
    of: str
    dimension: str
    days: int = Field(default=30, ge=1)


class AverageOverSpec(MetricSpec):
    type: Literal["average_over"]
    metric: str
    over: Literal["day", "week", "month"]


BehaviourSpec = (
    RetentionSpec | RepurchaseSpec | RepurchaseWithinSpec | PeriodReturnSpec | IntervalSpec | LifetimeValueSpec
    | FunnelSpec | LifecycleSpec | PathSpec | LastEventSpec | AverageOverSpec
)  # fmt: skip
AnyMetricSpec = Annotated[
    CountSpec | AggregateSpec | PercentileSpec | RatioSpec | DerivedSpec | CumulativeSpec | BehaviourSpec, Field(discriminator="type")
]


METRIC_SPECS: tuple[type[MetricSpec], ...] = get_args(get_args(AnyMetricSpec)[0])
METRIC_TYPES = tuple(kind for spec in METRIC_SPECS for kind in get_args(spec.model_fields["type"].annotation))


class TierSpec(Spec):
    """Name a tier differently, or give it more words."""

    label: LabelSpec | None = None
    synonyms: WordsSpec = SynonymsSpec()


class RfmSpec(Spec):
    """Score users by recency, frequency and amount of `of` and `value` over `window` days up to the model's last day."""

    type: Literal["rfm"]
    of: str
    value: str
    window: int = Field(default=365, ge=1)
    quantiles: int = Field(default=5, ge=2, le=10)
    label: LabelSpec | None = None
    synonyms: WordsSpec = SynonymsSpec()
    tiers: dict[str, TierSpec] = {}
    groups: dict[str, GroupSpec] = {}


class ActivitySpec(Spec):
    """Put every user into a stage by activity `of` in the last `days` days and those before; `start` dates registration."""

    type: Literal["activity"]
    of: str
    start: str
    days: int = Field(default=30, ge=1)
    label: LabelSpec | None = None
    synonyms: WordsSpec = SynonymsSpec()
    stages: dict[Literal["new", "returning", "resurrecting", "dormant", "inactive"], TierSpec] = {}
    groups: dict[str, GroupSpec] = {}


class BandSegmentSpec(Spec):
    """Cut users by their own value of the metric `of`, into bands (`from`) or into as many groups of equal size (`quantiles`).

    The value is that of the last `window` days, of `all` days so far or of the `period` asked about, over the rows that meet `filters`.
    """

    type: Literal["band"]
    of: str
    window: Annotated[int, Field(ge=1, le=36_500)] | Literal["period", "all"] = "period"
    from_: list[float] = Field(default=[], alias="from")
    quantiles: int | None = Field(default=None, ge=2, le=20)
    unit: LabelSpec = TextSpec(en="", zh="")
    filters: Any = None
    label: LabelSpec | None = None
    synonyms: WordsSpec = SynonymsSpec()
    values: dict[str, ValueSpec | None] = {}
    groups: dict[str, GroupSpec] = {}

    @model_validator(mode="after")
    def _one_cut(self) -> "BandSegmentSpec":
        if bool(self.from_) == (self.quantiles is not None):
            raise ValueError("give either from or quantiles")
        if sorted(set(self.from_)) != self.from_:
            raise ValueError("the lower bounds must ascend")
        return self


class FilterSegmentSpec(Spec):
    """Give a name to the users who meet `filters`, the `members`, and to the `others`."""

    type: Literal["filter"]
    filters: Any
    label: LabelSpec | None = None
    synonyms: WordsSpec = SynonymsSpec()
    description: LabelSpec | None = None
    members: TierSpec = TierSpec()
    others: TierSpec = TierSpec()


class ChanceSegmentSpec(Spec):
    """Put users into bands by the probability of an `event` in the next `days`, learnt from their activity (`of`) and spending (`value`)."""

    type: Literal["chance"]
    event: Literal["churn", "repurchase"]
    of: str
    value: str
    days: int = Field(default=30, ge=1, le=90)
    label: LabelSpec | None = None
    synonyms: WordsSpec = SynonymsSpec()
    values: dict[str, TierSpec] = {}
    groups: dict[str, GroupSpec] = {}


class ClusterSegmentSpec(Spec):
    """Put users into groups who do alike, by activity (`of`) and spending (`value`): `number` of them, or as many as fit."""

    type: Literal["cluster"]
    of: str
    value: str
    number: int | None = Field(default=None, ge=2, le=12)
    label: LabelSpec | None = None
    synonyms: WordsSpec = SynonymsSpec()


AnySegmentSpec = Annotated[
    RfmSpec | ActivitySpec | BandSegmentSpec | FilterSegmentSpec | ChanceSegmentSpec | ClusterSegmentSpec, Field(discriminator="type")
]


class AbsentSpec(Spec):
    """Name a subject that people ask for and the data do not hold, so that it is refused by name."""

    label: LabelSpec
    synonyms: WordsSpec = SynonymsSpec()


class PolicySpec(Spec):
    """Say what a role may see; of several policies for one role all must allow."""

    role: Names = Field(min_length=1)
    rows: Names = Field(min_length=1)
    shared: Names = []
    hide: Names = []
    mask: dict[str, str | None] = {}
    metrics: Names | None = None
    withhold: Names = []
    sql: bool = False


class ModelSpec(Spec):
    name: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    label: LabelSpec | None = None
    timezone: str = "UTC"
    as_of: str = Field(default="latest", pattern=r"^(latest|today|\d{4}-\d{2}-\d{2})$")
    currency: str | None = None
    datasets: dict[str, DatasetSpec] = Field(min_length=1)
    relationships: list[RelationshipSpec] = []
    metrics: dict[str, AnyMetricSpec] = {}
    segments: dict[str, AnySegmentSpec] = {}
    headline: list[str] = []
    examples: list[LabelSpec] = []
    absent: list[AbsentSpec] = []
    policies: list[PolicySpec] = []
    raw_sql: bool = False


def model_json_schema() -> dict[str, Any]:
    """Return the JSON Schema of a model file, for editors that complete and check YAML."""
    schema = ModelSpec.model_json_schema(mode="validation", by_alias=True)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "Wenshu model"} | schema
