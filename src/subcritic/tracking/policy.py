"""Trained policies as MLflow models: `mlflow.pyfunc.load_model` gives what acts on observations.

A model is the file policy.pt of a run's record, beside the name of this module, which loads it: weights alone are read, and
no code comes from the store. MLflow finds its task in the model's configuration.
"""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from subcritic import envs, stored
from subcritic.envs.adapter import Adapter
from subcritic.nn import MLP, Parameters
from subcritic.nn.convolution import Convolutions
from subcritic.provenance import versions

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run as MlflowRun

# The artifact of a record that holds the policy; its model's name.
FILE, NAME = "policy.pt", "policy"


class Policy:
    """The actor of one seed without noise, with the task that it was trained on.

    saved: what policy.pt holds. task: its `environment` in the config, of which id, kwargs and max_episode_steps are read.

    Raises UnusableEnvironment where the environment cannot be made, ValueError where it does not fit the policy.
    """

    def __init__(self, saved: Mapping[str, Any], task: Mapping[str, Any]) -> None:
        self.task = dict(task)
        self.actor, self.parameters = _network(saved)
        self.encoder = saved.get("encoder")
        with self.environment() as environment:
            sizes = envs.sizes(environment)
            # What scales actions to the bounds of the environment.
            self._scaled = environment.scaled
        self.observation_size, self.action_size = sizes
        fitting = (_observation_size(saved), self.actor.sizes[-1])
        if sizes != fitting:
            raise ValueError(
                f"{task['id']!r} has observations and actions of sizes {sizes}, the policy reads and gives {fitting}"
            )

    def environment(self, **kwargs: Any) -> Adapter:
        """The task, to be closed after use: actions in [-1, 1], as `act` gives them. kwargs: such as render_mode."""
        task = {**self.task, "kwargs": {**self.task["kwargs"], **kwargs}}
        made = envs.maker(task)()
        assert isinstance(made, Adapter)
        return made

    def act(self, observation: NDArray[Any]) -> NDArray[np.float32]:
        """Actions (B, n_L) in [-1, 1] for observations (B, n_0) as `subcritic.envs.make` gives them: flat, float32."""
        seen = torch.as_tensor(np.asarray(observation, np.float32)).unsqueeze(0)
        with torch.no_grad():
            action = self.actor.forward(self.parameters, self._features(seen)).output[0]
        found: NDArray[np.float32] = action.numpy()
        return found

    def predict(self, model_input: NDArray[Any], params: dict[str, Any] | None = None) -> NDArray[Any]:
        """The same between the bounds of the environment, as its own `step` takes them, but flat: (B, n_L)."""
        return self._scaled(self.act(model_input))

    def get_raw_model(self) -> Policy:
        """For `get_raw_model` of what MLflow wraps around it."""
        return self

    def _features(self, observation: torch.Tensor) -> torch.Tensor:
        """What the actor reads, (1, B, n)."""
        if self.encoder is None:
            return observation
        spec = _convolutions(self.encoder)
        found = spec.forward(spec.views(self.encoder["parameters"].unsqueeze(0)), observation).output
        standardised: torch.Tensor = (found - self.encoder["mean"]) * self.encoder["scale"]
        return standardised


def write(
    client: MlflowClient, run: MlflowRun, task: Mapping[str, Any], file: Path, params: Mapping[str, str]
) -> str:
    """Write the policy in `file` as the model of a run that has none yet; returns its id, empty where there is no policy."""
    with warnings.catch_warnings():
        # Of MLflow's own code.
        warnings.simplefilter("ignore")
        from mlflow.entities import LoggedModelOutput
        from mlflow.models import ModelSignature
        from mlflow.pyfunc import save_model
        from mlflow.types import Schema, TensorSpec

    saved = _read(file)
    if saved is None:
        return ""
    observation, action = (
        TensorSpec(np.dtype(np.float32), (-1, size))
        for size in (_observation_size(saved), saved["sizes"][-1])
    )
    model = client.create_logged_model(
        run.info.experiment_id, name=NAME, source_run_id=run.info.run_id, params=dict(params)
    )
    with tempfile.TemporaryDirectory(prefix="subcritic-") as folder:
        save_model(
            f"{folder}/model",
            loader_module=__name__,
            data_path=str(file),
            signature=ModelSignature(Schema([observation]), Schema([action])),
            input_example=np.zeros((1, _observation_size(saved)), np.float32),
            pip_requirements=[f"torch=={versions()['torch'].partition('+')[0]}"],
            model_config={"task": dict(task)},
        )
        client.log_model_artifacts(model.model_id, f"{folder}/model")
    client.finalize_logged_model(model.model_id, "READY")
    client.log_outputs(run.info.run_id, [LoggedModelOutput(model.model_id, 0)])
    return model.model_id


def _read(file: Path) -> dict[str, Any] | None:
    """None of a file that is no policy, and of a seed that was stopped, whose encoder is not kept."""
    try:
        saved = stored.read(file)
        _observation_size(saved)
        actor, parameters = _network(saved)
        actor.forward(parameters, torch.zeros(1, 1, actor.sizes[0]))
    # A file that another program wrote may hold anything under these names.
    except (stored.UnreadableFile, AttributeError, KeyError, TypeError, ValueError, RuntimeError):
        return None
    found: dict[str, Any] | None = None if saved.get("encoder", saved) is None else saved
    return found


def _network(saved: Mapping[str, Any]) -> tuple[MLP, Parameters]:
    actor = MLP(tuple(saved["sizes"]), saved["hidden"], saved["output"])
    return actor, actor.views(saved["parameters"].unsqueeze(0))


def _load_pyfunc(path: str, model_config: Mapping[str, Any]) -> Policy:
    """What MLflow calls to load a model."""
    return Policy(stored.read(Path(path)), model_config["task"])


def _convolutions(encoder: Mapping[str, Any]) -> Convolutions:
    return Convolutions(*(encoder[name] for name in ("picture", "filters", "kernels", "strides")))


def _observation_size(saved: Mapping[str, Any]) -> int:
    """Numbers in what the policy observes: pixels, if it reads pictures."""
    return _convolutions(saved["encoder"]).pixels if saved.get("encoder") else saved["sizes"][0]
