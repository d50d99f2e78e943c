"""A synthetic results folder with the columns of the real one, shaped like a plausible outcome."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import numpy as np
import pandas as pd

from subcritic import profiles
from subcritic.agents import make_agent
from subcritic.config import Profile, dump, parse_method
from subcritic.reporting import records
from subcritic.studies import STUDIES
from subcritic.studies.ablation.settings import environments_of, steps_of
from subcritic.studies.throughput import on_gpu

ENVIRONMENTS = ("Pendulum-v1", "MountainCarContinuous-v0", "LunarLanderContinuous-v3")
ANCHORS = {  # random mean, standard error, reference
    "Pendulum-v1": (-1222.0, 65.0, -152.0),
    "MountainCarContinuous-v0": (-33.2, 0.3, 90.0),
    "LunarLanderContinuous-v3": (-188.0, 24.0, None),
}
ACTIONS = {"Pendulum-v1": 1, "MountainCarContinuous-v0": 1, "LunarLanderContinuous-v3": 2}
LAYERS = (1, 2, 3)
# Method of the ablation → its settings, and the normalised score it reaches.
ABLATED = {
    "ddpg": ({"algorithm": "ddpg"}, 0.95),
    "ddpg-frozen": ({"algorithm": "ddpg", "frozen_hidden": True}, 0.3),
    "random-direction": ({"algorithm": "random_direction"}, 0.0),
    "linear": ({"algorithm": "linear"}, -0.1),
    "node-perturbation": ({"algorithm": "node_perturbation"}, 0.9),
    "feedback-alignment": ({"algorithm": "feedback_alignment"}, 0.6),
}
FIRST = ("oracle", "drafts", "untrained", "permuted")  # they draw from the stream of everything else
CRITICS = {"oracle": "oracle", "random_direction": "none", "regression": "neuron"}


def profile(environments=ENVIRONMENTS, seeds: int = 3, **changes) -> Profile:
    return profiles.parse({
        "profile": "synthetic", "seeds": seeds, "environments": list(environments),
        "methods": [{"algorithm": "ddpg", "hidden": [64, 64]}, {"algorithm": "linear", "hidden": [64, 64]}],
        "ablation": {
            "methods": [{"name": name, "hidden": [8, 8], **given} for name, (given, _) in ABLATED.items()]
        }, **changes,
    })  # fmt: skip


def read(study: str, name: str, profile: Profile, root: Path) -> pd.DataFrame:
    """The table `name` that a study recorded."""
    return records.read(STUDIES[study], name, profile, root)


def facts(method) -> dict:
    """What a training records of its method."""
    return {
        "role": method.role,
        "receives": sorted(make_agent(method, 3, 1, [0]).receives),
        "settings": dump(method),
        "defaults": dump(parse_method({"algorithm": method.algorithm})),
    }


def write(profile: Profile, root: Path, gradient: float = 0.05) -> Path:
    """Write everything the reports read; `gradient` is the correlation of the drafts' reading."""
    rng = np.random.default_rng(0)
    for environment in profile.environments:
        name = environment.name
        _anchor(root, name)
        _csv(root / "experiment1" / name / "curves.csv", _similarity(profile, name, rng))
        _csv(root / "experiment1" / name / "steps_to_similar.csv", _steps(profile, name, rng))
        _csv(root / "gradients" / name / "agreement.csv", _agreement(profile, name, gradient, rng))
        _csv(root / "theorem" / name / "theorem.csv", _theorem(profile, name, rng))
        _csv(root / "scaling" / name / "scaling.csv", _scaling(profile, name, np.random.default_rng(1)))
        for method in profile.methods:
            curves, scores = _learning(profile, environment, method, rng)
            _csv(root / "experiment2" / name / f"{method.name}.csv", curves)
            _csv(root / "experiment2" / name / f"{method.name}.scores.csv", scores)
            _method(root / "experiment2" / name / f"{method.name}.method.json", method)
    for environment in environments_of(profile):
        for method in profile.ablation.methods:
            curves, scores = _ablation(profile, environment, method, rng)
            _csv(root / "ablation" / environment.name / f"{method.name}.csv", curves)
            _csv(root / "ablation" / environment.name / f"{method.name}.scores.csv", scores)
            _method(root / "ablation" / environment.name / f"{method.name}.method.json", method)
    for job in STUDIES["robustness"].jobs(profile):
        _csv(root / job.path(STUDIES["robustness"].records["returns"].path), _disturbed(profile, job))
    rounds, operations = _throughput(profile, rng)
    _csv(root / "throughput" / "throughput.csv", rounds)
    _csv(root / "throughput" / "operations.csv", operations)
    _csv(root / "throughput" / "training.csv", _whole_training(rng))
    on_gpu.nothing().to_csv(root / "throughput" / "gpu.csv", index=False)
    return root


def _csv(path: Path, rows: list[dict]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pd.DataFrame(rows).to_csv(path, index=False)


def _method(path: Path, method) -> None:
    path.write_text(json.dumps(facts(method) | {"actions": ACTIONS.get(path.parent.name, 2)}))


def _anchor(root: Path, name: str) -> None:
    mean, error, reference = ANCHORS.get(name, (0.0, 1.0, 100.0))
    data = {
        "environment": name, "random_mean": mean, "random_standard_error": error, "random_episodes": 20,
        "reference_return": reference, "reference_source": None if reference is None else "a published benchmark",
    }  # fmt: skip
    path = root / "anchors" / f"{name}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(data))


def _learning(profile: Profile, environment, settings, rng) -> tuple[list[dict], list[dict]]:
    name, method, role = environment.name, settings.name, {"role": settings.role}
    low, _, reference = ANCHORS.get(name, (0.0, 1.0, 100.0))
    high = 100.0 if reference is None else reference
    last, reach = profile.steps_for(environment), {"ddpg": 0.95}.get(method, 0.3)
    curves, scores = [], []
    for seed in profile.seed_list():
        diverged = method == "linear" and name == ENVIRONMENTS[-1] and seed == 1
        base = {"environment": name, "method": method, "seed": seed}
        speed = rng.uniform(0.2, 0.5)
        for step in range(0, last + 1, max(1, last // 10)):
            progress = reach * (1 - np.exp(-step / last / speed))
            level = low + (high - low) * progress * rng.uniform(0.85, 1.1)
            if not (diverged and step > 0.6 * last):
                curves.append({**base, "step": step, "metric": "return/evaluation", "value": level})
            for layer in LAYERS if method == "linear" else ():
                cosine = rng.normal(0.05 if layer < 3 else 0.3, 0.1)
                curves.append({**base, "step": step, "metric": f"cosine/layer_{layer}", "value": cosine})
            if method == "linear":
                curves.append(
                    {**base, "step": step, "metric": "cosine/actor", "value": rng.normal(0.15, 0.05)}
                )
        at = int(0.6 * last) if diverged else None
        scores.append({**base, **role, "score": level, "steps": at or last, "diverged_at": at, "failure": None,
                       "critic": "layer_1", "reached": 0.12})  # fmt: skip
    return curves, scores


def _disturbed(profile: Profile, job) -> list[dict]:
    """Returns that noise lowers by 100 per standard deviation, and silent neurons by 50."""
    base = {
        "environment": job.environment,
        "method": job.method,
        "role": job.config.policy.agent.role,
        "draw": 0,
    }
    levels = [
        ("none", 0.0, 0.0),
        *(("observation_noise", scale, 100 * scale) for scale in job.config.robustness.noise_scales),
    ]
    levels.append(("silenced_neurons", job.config.robustness.silenced, 50.0))
    return [
        {**base, "seed": seed, "disturbance": disturbance, "level": level, "score": -200.0 - seed - loss}
        for disturbance, level, loss in levels
        for seed in profile.seed_list()
    ]


def _ablation(profile: Profile, environment, method, rng) -> tuple[list[dict], list[dict]]:
    low, _, reference = ANCHORS.get(environment.name, (0.0, 1.0, 100.0))
    last, reach = steps_of(profile, environment), ABLATED.get(method.name, ({}, 0.2))[1]
    curves, scores = [], []
    for seed in profile.seed_list():
        base = {"environment": environment.name, "method": method.name, "seed": seed}
        final = low + ((reference or 100.0) - low) * (reach + rng.uniform(-0.03, 0.03))
        for step in range(0, last + 1, max(1, last // 5)):
            values = {"return/evaluation": low + (final - low) * step / last, "cosine/actor": reach / 2,
                      "diagnostic/action_entropy": rng.uniform(0.2, 0.8)}  # fmt: skip
            for layer in LAYERS:
                values |= {f"cosine/layer_{layer}": reach / 2, f"diagnostic/saturated_{layer}": rng.uniform(0, 1),
                           f"diagnostic/weight_norm_{layer}": rng.uniform(1, 3)}  # fmt: skip
            values |= (
                {f"loss/layer_{n}": 1.0 for n in LAYERS}
                if method.algorithm == "linear"
                else {"loss/critic": 1.0}
            )
            curves += [
                {**base, "step": step, "metric": name, "value": value} for name, value in values.items()
            ]
        scores.append({**base, "role": method.role, "score": final, "steps": last, "diverged_at": None, "failure": None,
                       "critic": "layer_1", "reached": 0.12})  # fmt: skip
    return curves, scores


def _similarity(profile: Profile, name: str, rng) -> list[dict]:
    last, every = profile.experiment1.steps, max(1, profile.experiment1.steps // 20)
    rows = []
    for phase, seed in itertools.product(("phase1", "phase2"), profile.seed_list()):
        for step in range(every, last + 1, every):

            def add(metric, value, phase=phase, seed=seed, step=step):
                rows.append({"environment": name, "method": phase, "seed": seed, "step": step,
                             "metric": metric, "value": value})  # fmt: skip

            value = -150 * (1 - np.exp(-2 * step / last)) + rng.normal(0, 5)
            for prefix in ("value", "value_window"):
                add(f"{prefix}/main", value)
            for layer in LAYERS:
                pearson = (0.99 - 0.02 * (3 - layer)) * (1 - np.exp(-step / last * (4 + 3 * layer)))
                for prefix in ("similarity", "similarity_window"):
                    add(f"{prefix}/layer_{layer}/pearson", pearson + rng.normal(0, 0.005))
                    add(f"{prefix}/neurons_{layer}/pearson", pearson - 0.02 + rng.normal(0, 0.01))
                for prefix in ("value", "value_window"):
                    add(f"{prefix}/layer_{layer}", value * 0.95 + 2 * layer + rng.normal(0, 3))
    return rows


def _steps(profile: Profile, name: str, rng) -> list[dict]:
    rows = []
    for phase, seed in itertools.product(("phase1", "phase2"), profile.seed_list()):
        for critic in ("layer_1", "layer_2", "layer_3", "main"):
            never = critic == "layer_1" and phase == "phase2" and seed != 0
            step = None if never else int(rng.integers(1, 15)) * profile.experiment1.steps // 20
            rows.append({"environment": name, "method": phase, "seed": seed, "critic": critic, "step": step})
    return rows


def _agreement(profile: Profile, name: str, gradient: float, first) -> list[dict]:
    rows, more = [], np.random.default_rng(1)
    centres = {"oracle": 1.0, "drafts": gradient, "untrained": 0.01, "permuted": 0.02, "neuron_noise": 0.1,
               "compatible": 0.3, "global_baseline": 0.5, "regression": 0.9, "random_direction": 0.0}  # fmt: skip
    steps = (profile.experiment1.steps // 2, profile.experiment1.steps)
    for seed, step, (reading, centre) in itertools.product(profile.seed_list(), steps, centres.items()):

        def add(critic, granularity, layer, neuron, measures, seed=seed, step=step, reading=reading):
            for measure, value in measures.items():
                rows.append({"environment": name, "seed": seed, "step": step, "reading": reading, "critic": critic,
                             "granularity": granularity, "layer": layer, "neuron": neuron, "measure": measure,
                             "value": value})  # fmt: skip

        rng = first if reading in FIRST else more
        shift = rng.normal(0, 0.03)
        for layer in LAYERS:
            neurons = range(8) if layer < 3 else range(ACTIONS.get(name, 2))
            undefined = reading == "permuted" and len(neurons) == 1
            for neuron in neurons:
                correlation = centre + (0.4 if reading == "drafts" and layer == 3 and gradient < 0.5 else 0.0)
                measures = _measures(reading, correlation + shift, rng)
                scalars = {
                    "scalar_pearson": measures["pearson"],
                    "scalar_sign": 0.5 + measures["pearson"] / 2,
                }
                measures = {
                    key: np.nan if undefined else value for key, value in {**measures, **scalars}.items()
                }
                if reading == "oracle":
                    measures["finite_difference_error"] = abs(rng.normal(0, 1e-6))
                if reading in ("drafts", "neuron_noise", "compatible", "untrained"):
                    measures["value_pearson"] = 0.97 if reading != "untrained" else 0.0
                if reading == "random_direction":
                    measures["chance_spread"] = 0.125
                add(CRITICS.get(reading, "neuron"), "neuron", layer, neuron, measures)
            for critic in (CRITICS[reading],) if reading in CRITICS else ("neuron", "layer"):
                add(critic, "layer", layer, None, _measures(reading, centre + shift, rng))
        for critic in (CRITICS[reading],) if reading in CRITICS else ("neuron", "layer"):
            add(critic, "actor", None, None, _measures(reading, centre + shift, rng))
    return rows


def _theorem(profile: Profile, name: str, rng) -> list[dict]:
    rows = []
    for seed, layer in itertools.product(profile.seed_list(), LAYERS):

        def add(reading, measures, seed=seed, layer=layer):
            for measure, value in measures.items():
                rows.append({"environment": name, "seed": seed, "reading": reading, "layer": layer,
                             "measure": measure, "value": value})  # fmt: skip

        rounding = 1e-16 * rng.uniform(1, 9)
        whole = {"do_float32": 1e-7, "do": rounding, "one_step": float(layer < 3) or rounding, "delayed": rounding,
                 "right_slope": rounding, "opposite_slope": 2.0, "aliased": rounding}  # fmt: skip
        for reading, value in whole.items():
            add(reading, {"relative_difference": value})
        for reading, sign in (("right_slope", 1), ("opposite_slope", -1)):
            add(reading, {"bellman_loss": 1e-29, "cosine": sign})
        add("aliased", {"relative_difference_per_state": rng.uniform(0.8, 1.0)})
        scale = rng.uniform(0.9, 1.1)
        add(
            "aliased", {f"relative_difference_of_mean/{m}": scale / np.sqrt(m) for m in profile.theorem.draws}
        )
    return rows


def _scaling(profile: Profile, name: str, rng) -> list[dict]:
    """Draws that grow as the number of neurons for fresh actors, and as its square for others."""
    settings, rows = profile.scaling, []
    for seed, steps, width in itertools.product(profile.seed_list(), settings.actor_steps, settings.widths):
        neurons = 2 * width + 1
        base = {"environment": name, "seed": seed, "actor_steps": steps, "width": width, "neurons": neurons}
        for scale in settings.noise_scales if width == settings.width else (settings.noise_scale,):
            noise = 100 * rng.uniform(0.9, 1.1) * neurons ** (1 if steps == 0 else 2)
            for layer, estimator in itertools.product((*LAYERS, None), ("score", "antithetic", "compatible")):
                at = {**base, "estimator": estimator, "noise_scale": scale, "layer": layer}
                for draws in settings.draws:
                    rows.append(
                        {**at, "draws": draws, "measure": "cosine", "value": 1 / np.sqrt(1 + noise / draws)}
                    )
                if estimator != "compatible":
                    rows.append(
                        {**at, "draws": settings.draws[-1], "measure": "noise_to_signal", "value": noise}
                    )
        for layer, (estimator, value) in itertools.product(
            LAYERS, (("linear_action", 0.02), ("linear_neuron", 0.1))
        ):
            at = {
                **base,
                "estimator": estimator,
                "noise_scale": settings.noise_scale,
                "draws": 8192,
                "layer": layer,
            }
            rows.append({**at, "measure": "cosine", "value": value + rng.normal(0, 0.01)})
            rows.append({**at, "measure": "value_pearson", "value": 0.98})
    return rows


def _measures(reading: str, centre: float, rng) -> dict[str, float]:
    if reading == "oracle":
        return {"equality": 2e-7, "proportionality": 2e-7, "scale": 1.0, "pearson": 1.0, "cosine": 1.0}
    pearson = float(np.clip(np.tanh(np.arctanh(np.clip(centre, -0.99, 0.99)) + rng.normal(0, 0.3)), -1, 1))
    return {"equality": 1.3, "proportionality": np.sqrt(1 - pearson**2), "scale": 0.2, "pearson": pearson,
            "cosine": pearson}  # fmt: skip


def _whole_training(rng) -> list[dict]:
    medians = {
        ("ddpg", 1): 200,
        ("ddpg", 5): 90,
        ("learned-feedback", 5): 150,
        ("stable-baselines3", 1): 1800,
    }
    return [
        {
            "environment": environment,
            "learner": learner,
            "seeds": seeds,
            "round": number,
            "microseconds": microseconds * rng.uniform(0.9, 1.1),
        }
        for environment in ("Pendulum-v1", "subcritic/Cheetah-v0")
        for (learner, seeds), microseconds in medians.items()
        for number in range(1, 4)
    ]


def _throughput(profile: Profile, rng) -> tuple[list[dict], list[dict]]:
    speeds = {"stable-baselines3": 1.0, "ddpg": 2.1, "linear": 3.2, "ddpg-limit": 3.4, "linear-limit": 5.2}
    rounds, operations = [], []
    for sizes, batch in itertools.product(profile.throughput.hidden, profile.throughput.batches):
        setting = {"hidden": "-".join(map(str, sizes)), "batch": batch}
        cost = np.prod(sizes) * batch
        for learner in speeds:
            share = 0.6 if "linear" in learner else 1.0
            if learner != "stable-baselines3":
                operations.append({"learner": learner, **setting, "multiply_adds": int(share * 8 * cost)})
        for number in range(profile.throughput.rounds):
            slow = rng.uniform(0.8, 1.0)
            for learner, speed in speeds.items():
                updates = slow * speed * 3e8 / (cost + 1e6) * rng.uniform(0.97, 1.03)
                rounds.append({"learner": learner, **setting, "round": number, "updates_per_second": updates})
    return rounds, operations
