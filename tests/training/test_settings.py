"""Settings of a training run that make no sense are refused."""

import json

import pytest

from so3lab.training import TrainingSettings


def test_bad_settings_are_refused():
    with pytest.raises(ValueError, match="either epochs or minutes"):
        TrainingSettings()
    with pytest.raises(ValueError, match="learning_rate must be positive, got -1"):
        TrainingSettings(epochs=1, learning_rate=-1)
    with pytest.raises(ValueError, match=r"ema_decay must lie in \[0, 1\)"):
        TrainingSettings(epochs=1, ema_decay=1.0)


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"minutes": 1.0}, "either epochs or minutes, got epochs=1 and minutes=1.0"),
        ({"batch_size": 0}, "batch_size must be positive, got 0"),
        ({"warmup_steps": -1}, "warmup_steps must not be negative, got -1"),
        ({"energy_weight": 0.0, "force_weight": 0.0}, "must not both be 0"),
        ({"optimizer": "sgd"}, r"optimizer must be one of \('muon', 'amsgrad', 'adamw'\), got 'sgd'"),
        ({"trainable": "none"}, r"trainable must be one of \('all', 'readout'\), got 'none'"),
    ],
)
def test_each_refusal_names_the_setting_its_rule_and_its_value(wrong, sentence):
    with pytest.raises(ValueError, match=sentence):
        TrainingSettings(**{"epochs": 1} | wrong)


def test_settings_survive_json():
    settings = TrainingSettings(minutes=1.5, trainable="readout", patience_epochs=3)
    assert TrainingSettings(**json.loads(json.dumps(settings.to_dict()))) == settings
