"""An actor on a graph of neurons that learns from short sequences: with nothing unrolled, or by backpropagation in time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from subcritic.agents import through_time
from subcritic.agents.graph_policy import GraphActor, clocks, graph, layers
from subcritic.agents.history_critic import HistoryCritic
from subcritic.agents.lagged_feedback import LaggedFeedback
from subcritic.agents.protocol import AgentBatch
from subcritic.agents.sequences import Sequences
from subcritic.config.graph import GraphSettings
from subcritic.neuro.clocks import Trace
from subcritic.nn import Parameters, Voltages
from subcritic.nn.adam import Adam


class GraphLearner:
    """S policies on one graph, one per seed, and for each a critic Q(s, φ, a) with a memory φ of its own kind.

    Acting: the voltages of the running episode are the agent's state; `Clocks.step` moves them on. Learning: sequences of T
    rows are replayed from the voltages stored with their first row. The critic learns by one-step targets at every row, and
    says for every action what ∂Q/∂a is there. From these errors e the connections learn,

        ∂J/∂K = Σ_t v_t δ_t,    δ_t = ∂/∂z_t Σ_k Q(s_{t+k}, φ_{t+k}, a_{t+k})

    (recurrent deterministic policy gradient, Heess et al. 2015), with δ from backpropagation through time, or from
    `LaggedFeedback`. Then the critic is asked for e by central differences of each action alone, so that no error passes
    backwards through it either. `action_only` leaves all but the action's neurons as they are.
    """

    Settings: ClassVar[type[GraphSettings]] = GraphSettings
    newest = None
    receives = frozenset({"voltage", "noise", "feedback", "deviation"})

    def __init__(
        self,
        settings: GraphSettings,
        observation_size: int,
        action_size: int,
        seeds: Sequence[int],
        dtype: torch.dtype = torch.float32,
    ) -> None:
        self.settings, self.dtype = settings, dtype
        self.graph, self.learned = graph(settings, observation_size, action_size, seeds)
        self.clocks = clocks(settings, self.graph)
        self.actor = GraphActor(self.clocks, self.graph.neurons)
        self.layers = layers(settings, self.clocks)
        self.weights = torch.from_numpy(self.graph.K)
        self.gradient = torch.zeros_like(self.weights)
        self.optimiser = Adam(self.weights, self.gradient, settings.actor_rate)
        self.critic = HistoryCritic(settings, observation_size, action_size, seeds, dtype)
        self.feedback: LaggedFeedback | None = None
        if settings.learns == "learned_feedback":
            self.feedback = LaggedFeedback(
                self.clocks,
                self.learned,
                seeds,
                settings.effective_lags,
                settings.perturbation_scale,
                settings.feedback_rate,
            )
        self.columns = {
            "observation": observation_size,
            "action": action_size,
            "reward": 1,
            "terminated": 1,
            "next_observation": observation_size,
            "voltages": self.graph.neurons,
            "traces": self.critic.memory.size,
            "time": 1,
            "row": 1,
        }
        self.consecutive = settings.sequence
        self.running = np.zeros((len(seeds), 1, self.graph.neurons))
        self._moved = self.running
        self._history = np.zeros((len(seeds), self.critic.memory.size))
        self._last_action = np.zeros((len(seeds), action_size))
        # Environment steps of the running episode, and in all.
        self._time, self._row = np.zeros((len(seeds), 1)), np.zeros((len(seeds), 1))
        self._fit: tuple[Tensor, Tensor] | None = None
        self._seen: tuple[list[Trace], np.ndarray] | None = None

    # Acting.

    def act(self, observation: Tensor, perturbation: list[Tensor | None] | None = None) -> Voltages:
        """The action for observation (S, 1, n_0) in the running episode, whose voltages move on with `transition`.

        h of what is returned: voltages before and observation (S, 1, N + n_0), the action (S, 1, n_L), kept in [-1, 1].
        """
        self._moved, action = self.actor.step(self.running, observation.numpy())
        output = torch.from_numpy(action).to(self.dtype)
        if perturbation is not None and perturbation[0] is not None:
            output = (output + perturbation[0]).clamp_(-1, 1)
        x = torch.cat((torch.from_numpy(self.running).to(self.dtype), observation), dim=-1)
        return Voltages([x, output], [x], [])

    def transition(
        self, voltages: Voltages, reward: Tensor, terminated: Tensor, next_observation: Tensor
    ) -> dict[str, Tensor]:
        x, action = voltages.input[:, 0], voltages.output[:, 0]
        observation = x[:, self.graph.neurons :]
        self._history = self.critic.memory.after(self._history, self._last_action, observation.numpy())
        self._last_action = action.double().numpy()
        self._time, self._row = self._time + 1, self._row + 1
        self.running = self._moved
        return {
            "observation": observation,
            "action": action,
            "reward": reward,
            "terminated": terminated,
            "next_observation": next_observation,
            "voltages": x[:, : self.graph.neurons],
            "traces": torch.from_numpy(self._history),
            "time": torch.from_numpy(self._time),
            "row": torch.from_numpy(self._row),
        }

    def begin_episode(self, seed_index: int) -> None:
        """A new episode of one seed starts from voltages 0, without a memory."""
        self.running = self.running.copy()
        for state in (self.running, self._history, self._last_action, self._time):
            state[seed_index] = 0.0

    def player(self) -> Callable[[Tensor], Tensor]:
        """The policy without noise over episodes that all start now: a function of observations (S, B, n_0) in order."""
        running: np.ndarray | None = None

        def policy(observation: Tensor) -> Tensor:
            nonlocal running
            if running is None:
                running = np.zeros((*observation.shape[:2], self.graph.neurons))
            running, action = self.actor.step(running, observation.numpy())
            return torch.from_numpy(action).to(observation.dtype)

        return policy

    # Learning.

    def learn(self, batch: dict[str, Tensor]) -> None:
        """The critic from all rows of the sequences; then the actor from what the critic says of its own actions there."""
        replayed = Sequences.of(batch, self.columns)
        traces, action, noisy = self._replay(replayed)
        states = self.critic.states(replayed)
        self._fit = self.critic.fit(replayed, states, action)
        error = self._error(replayed, states, traces, action)
        if noisy is not None and self.feedback is not None:
            deviation, noise = noisy
            errors = self.feedback.errors(traces, error)
            self.feedback.learn(deviation, noise)
        else:
            errors = self.true_errors(traces, error)
        self._seen = traces, error
        self._ascend(through_time.ascent(self.clocks, self.clocks.connections(), traces, errors))

    def _replay(
        self, replayed: Sequences
    ) -> tuple[list[Trace], np.ndarray, tuple[np.ndarray, np.ndarray] | None]:
        """What today's actor does in the sequences: its traces, its actions (S, B, T + 1, n_L), and Δz and ξ if it learns
        feedback: then every sequence runs a second time beside itself, with noise.
        """
        observation, rows = replayed.observation, replayed.voltages.shape[1]
        steps, connections = self.settings.sequence, self.clocks.connections()
        voltages, noise, added = replayed.voltages.copy(), None, None
        if self.feedback is not None:
            noise = self.feedback.noise(rows, steps)
            added = np.concatenate([np.zeros_like(noise), noise], axis=1)
            voltages = np.concatenate([voltages, voltages], axis=1)
            observation = np.concatenate([observation, observation], axis=1)
        traces, actions, moved = [], [], []
        for t in range(steps + 1):
            now = added[:, :, t] if added is not None and t < steps else None
            trace = self.clocks.step(
                voltages, observation[:, :, t], connections, now, rows if t < steps else 0
            )
            clean, noisy = trace.z[:, :rows], trace.z[:, rows:]
            actions.append(self.clocks.output(clean)[0])
            if t < steps:
                traces.append(Trace(trace.start, trace.after, trace.slopes, clean))
                moved.append(noisy - clean if noise is not None else clean)
        deviation = (np.stack(moved, axis=2), noise) if noise is not None else None
        return traces, np.stack(actions, axis=2), deviation

    def _error(
        self, replayed: Sequences, states: Tensor, traces: Sequence[Trace], action: np.ndarray
    ) -> np.ndarray:
        """e = ∂Q/∂z of the action's neurons at their last tick, (S, B, T, n_L); 0 after an episode's end."""
        mine = self.critic.flat(action[:, :, :-1])
        find = self.critic.gradient if self.feedback is None else self.critic.differences
        slope = find(states[0], mine).double().numpy().reshape(replayed.action.shape)
        outer = np.stack([self.clocks.output(trace.z)[1] for trace in traces], axis=2)
        found: np.ndarray = slope * outer * replayed.valid
        return found

    def true_errors(self, traces: Sequence[Trace], error: np.ndarray) -> np.ndarray:
        """δ of every neuron at every tick by backpropagation through time, see `through_time.backpropagated`."""
        return through_time.backpropagated(self.clocks, self.clocks.connections(), traces, error)

    def _ascend(self, direction: np.ndarray) -> None:
        rows = self.settings.batch_size * self.settings.sequence
        kept = direction * self.learned / -rows
        if self.settings.learns == "action_only":
            kept[:, :, np.concatenate(self.layers)] = 0.0
        self.gradient.copy_(torch.from_numpy(kept))
        self.optimiser.step()

    # What others ask.

    def policy(self) -> Parameters:
        return Parameters(self.weights.view(len(self.weights), -1), [], [])

    def target_policy(self) -> Parameters:
        return self.policy()

    def agent_batch(self, batch: dict[str, Tensor]) -> AgentBatch:
        """Of the first row of every sequence; its observation is [v, s]."""
        observation = torch.cat((batch["voltages"], batch["observation"]), dim=-1)
        return AgentBatch(
            observation, batch["action"], batch["reward"], batch["terminated"], batch["next_observation"]
        )

    def own_critic(self) -> None:
        """None: its critic reads more than an observation."""
        return None

    def local_errors(self, batch: dict[str, Tensor]) -> list[Tensor]:
        """None: they belong to sequences."""
        return []

    def directions(
        self, batch: dict[str, Tensor], rngs: Sequence[np.random.Generator] | None = None
    ) -> list[tuple[Tensor, Tensor]]:
        """None by layers."""
        return []

    def predictions(self, observation: Tensor) -> dict[str, Tensor]:
        """None: its critic reads what an observation does not determine."""
        return {}

    def value_magnitude(self) -> Tensor:
        if self._fit is None:
            return torch.zeros(len(self.weights))
        return self._fit[0].abs().amax(dim=(1, 2))

    def finite(self) -> Tensor:
        critic = self.critic.network.online.flat.isfinite().all(dim=1)
        return self.weights.flatten(1).isfinite().all(dim=1) & critic

    def metrics(self) -> dict[str, Tensor]:
        """Loss and mean value of the critic; and for learned feedback cosines, see `agreement`: `agreement/hidden` over all
        hidden neurons and `agreement/layer_l` over those of a layer, `agreement_at_once/…` of the feedback of lag 0 alone.
        """
        if self._fit is None:
            return {}
        value, residual = self._fit
        found = {"value/minibatch": value.mean(dim=(1, 2)), "loss/critic": residual.square().mean(dim=(1, 2))}
        if self.feedback is not None:
            for name, lags in (("agreement", None), ("agreement_at_once", 0)):
                cosines = self.agreement(lags)
                found |= {f"{name}/{part}": torch.from_numpy(each) for part, each in cosines.items()}
        return found

    def agreement(self, lags: int | None = None) -> dict[str, np.ndarray]:
        """The cosine of the last update's direction, by the feedback that it left, with that of backpropagation through
        time from the same e.

        lags: of the feedback only up to so many; None: all. Returns (S,) over the connections into `hidden`, all hidden
        neurons, and into `layer_1`, …. Raises ValueError before the first update, and for a learner without feedback.
        """
        if self.feedback is None or self._seen is None:
            raise ValueError("agreement is that of learned feedback after an update")
        traces, error = self._seen
        mine, truth = (
            through_time.ascent(self.clocks, self.clocks.connections(), traces, errors) * self.learned
            for errors in (self.feedback.errors(traces, error, lags), self.true_errors(traces, error))
        )
        parts = {"hidden": np.concatenate(self.layers)}
        parts |= {f"layer_{number}": layer for number, layer in enumerate(self.layers, start=1)}
        return {name: cosine(mine[:, :, part], truth[:, :, part]) for name, part in parts.items()}

    def state_dict(self) -> dict[str, Any]:
        return {
            "weights": self.weights.clone(),
            "optimiser": self.optimiser.state_dict(),
            "critic": self.critic.network.state_dict(),
            "feedback": self.feedback.state_dict() if self.feedback is not None else None,
            "running": self.running.copy(),
            "history": self._history.copy(),
            "last_action": self._last_action.copy(),
            "time": self._time.copy(),
            "row": self._row.copy(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.weights.copy_(state["weights"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.critic.network.load_state_dict(state["critic"])
        if self.feedback is not None:
            self.feedback.load_state_dict(state["feedback"])
        self.running, self._history = state["running"].copy(), state["history"].copy()
        self._last_action = state["last_action"].copy()
        self._time, self._row = state["time"].copy(), state["row"].copy()


def cosine(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Between a[s] and b[s], (S, …) each, all numbers of a seed taken as one vector: (S,), 0 where one is 0."""
    a, b = a.reshape(len(a), -1), b.reshape(len(b), -1)
    lengths = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
    found: np.ndarray = np.divide((a * b).sum(axis=1), lengths, out=np.zeros(len(a)), where=lengths > 0)
    return found
