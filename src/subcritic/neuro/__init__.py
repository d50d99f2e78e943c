"""Section 2 of the drafts as objects: neurocomputational agents, topologies, and the sub-environments of their neurons."""

from subcritic.neuro.agent import NeurocomputationalAgent, NonFiniteVoltage, NotAnAgent
from subcritic.neuro.subenvironment import SubEnvironment
from subcritic.neuro.topologies import (
    feedforward,
    from_artifact,
    from_layers,
    from_stable_baselines3,
    leaky_integrator,
    random_graph,
    recurrent,
)

__all__ = [
    "NeurocomputationalAgent",
    "NonFiniteVoltage",
    "NotAnAgent",
    "SubEnvironment",
    "feedforward",
    "from_artifact",
    "from_layers",
    "from_stable_baselines3",
    "leaky_integrator",
    "random_graph",
    "recurrent",
]
