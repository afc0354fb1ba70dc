"""Look inside of fitted models: what heads do, and what results depend on."""

from skattn.inspection.attention_page import AttentionPage
from skattn.inspection.gradients import gradient_times_input
from skattn.inspection.head_removal import prune_heads
from skattn.inspection.head_report import head_report

__all__ = [
    "AttentionPage",
    "gradient_times_input",
    "head_report",
    "prune_heads",
]
