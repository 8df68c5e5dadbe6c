"""Owns the list of analyses there are. A new one is a module of its own and one line here."""

from wenshu.tools.insight.basket import Basket
from wenshu.tools.insight.campaign import CampaignReview
from wenshu.tools.insight.clusters import Clusters
from wenshu.tools.insight.drivers import Drivers
from wenshu.tools.insight.experiment import Experiment
from wenshu.tools.insight.insight import Analysis
from wenshu.tools.insight.key_actions import KeyActions
from wenshu.tools.insight.predicted_value import PredictedValue
from wenshu.tools.insight.propensity import Propensity
from wenshu.tools.insight.reviews import Reviews
from wenshu.tools.insight.unusual import Unusual

ANALYSES: tuple[type[Analysis], ...] = (
    Drivers,
    Unusual,
    Experiment,
    KeyActions,
    CampaignReview,
    Basket,
    PredictedValue,
    Propensity,
    Clusters,
    Reviews,
)  # fmt: skip
