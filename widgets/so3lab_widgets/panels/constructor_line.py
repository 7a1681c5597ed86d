"""A dynamics panel as a line of Python that makes it again."""

from so3lab.dynamics.control import Control
from so3lab_widgets.panels.run_form import RunForm


def constructor_line(form: RunForm, control: Control, *, seed: int, own_simulation: bool) -> str:
    """What makes a panel with these fields and knobs.

    Args:
        form: As its fields stand.
        control: As its knobs stand.
        seed: Of the first replica.
        own_simulation: Whether somebody's own function makes the simulation; it has no form in Python, and stands by
            the name of its argument.
    """
    knobs = _knobs_in_python(control)
    more = [
        f"seed={seed}" if seed else "",
        "simulate=simulate" if own_simulation else "",
        f"control=so3lab.dynamics.Control({knobs})" if knobs else "",
    ]
    return f"panel = so3lab.widgets.DynamicsPanel({', '.join([form.arguments(), *filter(None, more)])})"


def _knobs_in_python(control: Control) -> str:
    """The knobs that differ from those of a new record, as arguments."""
    usual = Control()
    changed = {name: value for name, value in vars(control).items() if value != getattr(usual, name)}
    if "biases" in changed:
        written = ", ".join(f"so3lab.dynamics.{bias!r}" for bias in changed.pop("biases"))
        return ", ".join([*(f"{name}={value!r}" for name, value in changed.items()), f"biases=[{written}]"])
    return ", ".join(f"{name}={value!r}" for name, value in changed.items())
