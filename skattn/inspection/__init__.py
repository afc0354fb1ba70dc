"""Look inside of fitted models: what heads do, what results depend on, and pictures of both."""

from skattn.inspection.attention_display import AttentionDisplay
from skattn.inspection.attention_page import AttentionPage
from skattn.inspection.gradients import gradient_times_input
from skattn.inspection.head_display import HeadDisplay
from skattn.inspection.head_removal import prune_heads
from skattn.inspection.head_report import head_report
from skattn.inspection.importance import feature_importance, step_importance
from skattn.inspection.importance_display import ImportanceDisplay
from skattn.inspection.loss_curve_display import LossCurveDisplay
from skattn.inspection.neighbours import nearest_examples
from skattn.inspection.rollout import attention_rollout
from skattn.inspection.token_attention_display import TokenAttentionDisplay

__all__ = [
    "AttentionDisplay",
    "AttentionPage",
    "HeadDisplay",
    "ImportanceDisplay",
    "LossCurveDisplay",
    "TokenAttentionDisplay",
    "attention_rollout",
    "feature_importance",
    "gradient_times_input",
    "head_report",
    "nearest_examples",
    "prune_heads",
    "step_importance",
]
