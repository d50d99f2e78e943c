"""Local rules: how the neurons of one layer learn from what that layer alone went through, and what is broadcast to all.

This module holds names only; a rule is imported when it is used. A new rule is a file with a subclass of `base.Rule`, and a
line here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from subcritic.importing import import_class

if TYPE_CHECKING:
    from subcritic.rules.base import Rule

# The setting `algorithm` → "module:Class".
RULES: dict[str, str] = {
    "linear": "subcritic.rules.linear:LinearRule",
    "bilinear": "subcritic.rules.bilinear:BilinearRule",
    "compatible": "subcritic.rules.compatible:CompatibleRule",
    "mlp": "subcritic.rules.mlp:MlpRule",
    "coagent": "subcritic.rules.coagent:CoagentRule",
    "node_perturbation": "subcritic.rules.node_perturbation:NodePerturbationRule",
    "feedback_alignment": "subcritic.rules.feedback_alignment:FeedbackAlignmentRule",
    "learned_feedback": "subcritic.rules.learned_feedback:LearnedFeedbackRule",
    "random_direction": "subcritic.rules.random_direction:RandomDirectionRule",
}


def load(name: str) -> type[Rule[Any]]:
    """The class of a rule: a name in RULES, or "package.module:Class". Raises ValueError if there is none."""
    from subcritic.rules.base import Rule

    if name not in RULES and ":" not in name:
        raise ValueError(
            f'{name} is no local rule; must be one of: {", ".join(RULES)}, or "package.module:Class"'
        )
    found = import_class(RULES.get(name, name))
    if not issubclass(found, Rule):
        raise ValueError(f"the class {found.__name__} is no subclass of subcritic.rules.base.Rule")
    return found
