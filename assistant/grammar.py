"""Owns the grammar: `RULES`, in order. A rule takes the mentions it understands, claims them and says what they ask for.

What no rule claims and is not filler is not understood. The rules stand by topic in the modules beside this one.
"""

from collections.abc import Callable

from wenshu.assistant.grammar_age import read_ages
from wenshu.assistant.grammar_behaviour import read_cohorts, read_numbers, read_returns, read_stages
from wenshu.assistant.grammar_cohort import (
    read_brackets,
    read_buying_again,
    read_cohort_value,
    read_days,
    read_maturity,
    read_staying,
)
from wenshu.assistant.grammar_compounds import read_compounds
from wenshu.assistant.grammar_conditions import read_conditions, read_user_conditions
from wenshu.assistant.grammar_counted_people import read_counted_people
from wenshu.assistant.grammar_distribution import read_distribution, read_spread
from wenshu.assistant.grammar_dropped import read_dropped
from wenshu.assistant.grammar_funnel import read_funnel
from wenshu.assistant.grammar_own_numbers import read_own_numbers
from wenshu.assistant.grammar_paths import read_last_events, read_paths
from wenshu.assistant.grammar_people import read_doings, read_standings
from wenshu.assistant.grammar_presence import read_doers_among, read_presence
from wenshu.assistant.grammar_quotients import read_quotients
from wenshu.assistant.grammar_ranking import read_chart, read_each, read_ranking, read_shares_and_trends
from wenshu.assistant.grammar_reached import read_reached
from wenshu.assistant.grammar_subjects import (
    read_averages,
    read_counted_groups,
    read_dimensions,
    read_metrics,
    read_money,
    read_nouns,
)
from wenshu.assistant.grammar_time import (
    read_comparison,
    read_counted_periods,
    read_dates,
    read_hours,
    read_period_before,
    read_times,
)
from wenshu.assistant.grammar_values import read_values
from wenshu.assistant.linker import LinkedQuestion
from wenshu.assistant.people import everyone
from wenshu.assistant.reading import Reading
from wenshu.semantic_layer.model import Model

RULES: tuple[Callable[[Reading], None], ...] = (
    read_comparison,
    read_times,
    read_period_before,
    read_brackets,
    read_staying,
    read_buying_again,
    read_cohort_value,
    read_reached,
    read_dates,
    read_standings,
    read_doings,
    read_paths,
    read_last_events,
    read_own_numbers,
    read_averages,
    read_distribution,
    read_dropped,
    read_stages,
    read_metrics,
    read_compounds,
    read_quotients,
    read_money,
    read_counted_people,
    read_funnel,
    read_doers_among,
    read_returns,
    read_presence,
    read_numbers,
    read_cohorts,
    read_hours,
    read_days,
    read_maturity,
    read_ages,
    read_conditions,
    read_user_conditions,
    read_chart,
    read_ranking,
    read_shares_and_trends,
    read_counted_groups,
    read_values,
    read_dimensions,
    read_nouns,
    read_spread,
    read_counted_periods,
    read_each,
)


def read(linked: LinkedQuestion, model: Model) -> Reading:
    """Return what the grammar understands of a linked question."""
    reading = Reading(linked=linked, model=model, everyone=everyone(model))
    for rule in RULES:
        rule(reading)
    return reading
