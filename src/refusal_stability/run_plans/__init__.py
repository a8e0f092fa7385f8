"""A study as the runs that MLflow should show: what each is named, holds and shows, as plain data."""

from refusal_stability.run_plans.plans import RunPlan, plan_study, tracked_summary
from refusal_stability.run_plans.provenance import file_md5, provenance
from refusal_stability.run_plans.study import EFFORT_SETTINGS, Speed, Study
from refusal_stability.run_plans.views import POSITION, saved_views

__all__ = [
    "EFFORT_SETTINGS",
    "POSITION",
    "RunPlan",
    "Speed",
    "Study",
    "file_md5",
    "plan_study",
    "provenance",
    "saved_views",
    "tracked_summary",
]
