"""What the tracking tests share: identities, and what MLflow holds of them."""

import subcritic.studies  # noqa: F401 (declares what MLflow shows)
from subcritic.tracking import Identity, bring_up_to_date, store, views

CONFIG = {"environment": {"id": "Pendulum-v1"}, "method": {"hidden": [8, 8], "rate": 1e-3}}


def identity(seed=0, environment="Pendulum-v1", profile="tiny", study="experiment2"):
    return Identity(profile, study, environment, "ddpg", seed)


def mlflow_runs(results, study="experiment2", deleted=False):
    """What MLflow shows of a study, once it has all that is recorded."""
    bring_up_to_date(results)
    client = store.connect(results)
    experiment = client.get_experiment_by_name(views.experiment_name(study)).experiment_id
    # 2 is mlflow.entities.ViewType.DELETED_ONLY, 1 ACTIVE_ONLY.
    return client.search_runs([experiment], run_view_type=2 if deleted else 1)


def mlflow_points(results, run, system=False):
    """All points MLflow holds of a run, sorted, doubled ones doubled; those of the system's metrics, or the others."""
    client = store.connect(results)
    return sorted(
        (name, metric.step, metric.value, metric.timestamp)
        for name in run.data.metrics
        if name.startswith("system/") == system
        for metric in client.get_metric_history(run.info.run_id, name)
    )


def everything(results):
    """What MLflow shows of a results folder, without ids of its own."""
    shown = []
    for run in mlflow_runs(results):
        tags = {k: v for k, v in run.data.tags.items() if k not in ("mlflow.user", "mlflow.runName")}
        times = (run.info.start_time, run.info.end_time)
        points = mlflow_points(results, run) + mlflow_points(results, run, system=True)
        inputs = sorted((held.dataset.name, held.dataset.digest) for held in run.inputs.dataset_inputs)
        told = {name: value for name, value in tags.items() if name != "model"}
        shown.append(
            (
                run.info.run_name,
                run.info.status,
                times,
                run.data.params,
                told,
                points,
                inputs,
                "model" in tags,
            )
        )
    return sorted(shown, key=lambda entry: entry[0])
