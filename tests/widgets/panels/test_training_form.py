"""The form of a training run: what its fields mean as a plan, and which folder a run gets."""

import json

import pytest
from so3lab_widgets.panels.training_form import TrainingForm

from so3lab.training import TrainingPlan, TrainingSettings


@pytest.fixture
def form(tmp_path):
    made = TrainingForm(tmp_path, "tiny")
    made.set_frames(1200)
    yield made
    made.close()


def hold(form: TrainingForm, name: str, plan: TrainingPlan) -> None:
    (form.folder / name).mkdir()
    (form.folder / name / "plan.json").write_text(json.dumps(plan.to_dict()))


def test_fields_are_a_plan_and_a_plan_fills_the_fields(form):
    form.fields["energy_weight"].value = 0.2
    plan = form.plan("ethanol", energy_unit="kcal/mol")
    assert (plan.data, plan.train, plan.valid, plan.preset, plan.energy_unit) == (
        "ethanol",
        1020,
        60,
        "tiny",
        "kcal/mol",
    )
    assert plan.settings == TrainingSettings(minutes=2.0, energy_weight=0.2, force_weight=0.8)
    other = TrainingPlan("ethanol", 50, 10, TrainingSettings(epochs=7, seed=3, force_weight=0.95), "small", "so3lr", 3)
    form.take("run-9", other)
    assert form.plan("ethanol") == other
    assert form.run_folder == form.folder / "run-9"


def test_what_a_run_says_beyond_the_fields_counts_as_long_as_its_name_stays(form):
    settings = TrainingSettings(epochs=7, batch_size=4, patience_epochs=3, energy_weight=0.2, force_weight=0.5)
    plan = TrainingPlan("ethanol", 50, 10, settings, "tiny", test=20, groups="trajectory", cutoff=4.0, dtype="float64")
    form.take("run-9", plan)
    assert form.plan("ethanol") == plan
    form.fields["batch_size"].value = 5
    assert form.plan("ethanol").cutoff == 4.0
    form.fields["run"].value = "another"
    assert form.plan("ethanol").cutoff is None


def test_few_frames_are_shared_out_too(form):
    form.set_frames(4)
    assert (form.fields["train"].value, form.fields["valid"].value) == (3, 1)
    form.set_frames(1)
    assert form.fields["train"].value == 1


def test_another_run_gets_another_folder_and_the_same_goes_on_in_its_own(form):
    plan = form.plan("ethanol")
    hold(form, "run-1", plan)
    assert form.new_folder(plan).name == "run-1"
    form.fields["seed"].value = 1
    assert form.new_folder(form.plan("ethanol")).name == "run-2"
    hold(form, "mine", plan)
    form.fields["run"].value = "mine"
    assert form.new_folder(form.plan("ethanol")).name == "mine-2"


def test_a_model_that_has_learned_wants_small_steps_unless_somebody_says_otherwise(form):
    rate, start = form.fields["learning_rate"], form.fields["start"]
    start.value = "so3lr"
    assert (rate.value, form.fields["preset"].disabled) == (1e-3, True)
    start.value = ""
    assert (rate.value, form.fields["preset"].disabled) == (1e-2, False)
    rate.value = 5e-3
    start.value = "so3lr"
    assert rate.value == 5e-3


def test_every_field_says_what_it_means(form):
    assert all(field.tooltip for name, field in form.fields.items() if name != "unit")
