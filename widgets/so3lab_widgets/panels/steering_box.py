"""Sliders that steer a running simulation: they write into its control record, which the next chunk of steps reads."""

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import ipywidgets as ipw

from so3lab.dynamics.control import Control
from so3lab.dynamics.ensembles import ENSEMBLES
from so3lab.engine.biases import Bias, Pull, Restraint, SphericalWall
from so3lab_widgets.panels.message_line import MessageLine
from so3lab_widgets.panels.panel import close_all


class _Knob(NamedTuple):
    name: str
    words: str
    low: float
    high: float
    step: float
    tip: str
    logarithmic: bool = False

    def steps_between(self, one: float, other: float) -> float:
        """How many steps of the slider two values are apart."""
        if self.logarithmic and min(one, other) > 0:
            return abs(math.log10(other) - math.log10(one)) / self.step
        return abs(other - one) / self.step


KNOBS = (
    _Knob("temperature_K", "Temperature (K)", 0.0, 1500.0, 5.0, "of the thermostat"),
    _Knob("timestep_fs", "Time step (fs)", 0.05, 3.0, 0.05, "1 fs is the most that hydrogen allows"),
    _Knob("friction_per_ps", "Friction (1/ps)", -2.0, 3.0, 0.1, "of the Langevin thermostat", True),
    _Knob("thermostat_fs", "Thermostat (fs)", 1.0, 4.0, 0.1, "relaxation time", True),
    _Knob("pressure_GPa", "Pressure (GPa)", -0.5, 5.0, 0.01, "of the barostat"),
    _Knob("barostat_fs", "Barostat (fs)", 2.0, 5.0, 0.1, "relaxation time", True),
)
_FIRST_VELOCITIES = KNOBS[0]._replace(
    words="Starts at (K)",
    tip="temperature of the velocities that a run begins with; this ensemble keeps no temperature",
)
_UNITS = {2: ("Å", "eV/Å²"), 3: ("°", "eV/rad²"), 4: ("°", "eV/rad²")}
_STRENGTHS = {2: 5.0, 3: 1.0, 4: 0.5}
_WIDE = {"width": "100%"}
_STYLE = {"description_width": "112px"}


class SteeringBox(ipw.VBox):
    """A slider for every knob that the ensemble has, and rows for pulls and restraints on picked atoms.

    Args:
        control: What the sliders write.
        ensemble: Which knobs there are.
        picked: Gives the atoms that are picked now.
        measure: Gives the present distance (Å), angle or dihedral (degrees) of some atoms.
        symbols: Of all atoms.
        message: Says what cannot be done.
        on_change: Called with a line of Python that does what somebody has just done.
        most: How many restraints and pulls of each kind there may be.

    Attributes:
        sliders: Of the knobs that act while it runs, by name.
        starts_at: The slider for the temperature of the first velocities, where the ensemble keeps no temperature.
    """

    def __init__(
        self,
        control: Control,
        ensemble: str,
        *,
        picked: Callable[[], Sequence[int]],
        measure: Callable[[Sequence[int]], float],
        symbols: Sequence[str],
        message: MessageLine,
        on_change: Callable[[str], None] = lambda line: None,
        most: int = 2,
    ):
        self.control, self._picked, self._measure, self._symbols = control, picked, measure, symbols
        self._on_change, self._message, self._most = on_change, message, most
        self.sliders: dict[str, Any] = {}
        parameters = ENSEMBLES[ensemble].parameters
        for knob in KNOBS:
            if knob.name in parameters:
                self.sliders[knob.name] = self._slider(knob)
        kept = _FIRST_VELOCITIES.name in parameters
        self.starts_at = None if kept else self._slider(_FIRST_VELOCITIES)
        self.hold_button = ipw.Button(
            description="Restrain picked", tooltip="a spring on the distance, angle or dihedral of the picked atoms"
        )
        self.pull_button = ipw.Button(description="Pull picked", tooltip="a force between the two picked atoms")
        self.hold_button.on_click(lambda _: self._message.try_to(self.hold))
        self.pull_button.on_click(lambda _: self._message.try_to(self.pull))
        self.rows = ipw.VBox()
        self.others = ipw.Label(layout=ipw.Layout(display="none"))
        self._biases: list[tuple[ipw.Widget, Callable[[], Bias]]] = []
        self._applied: tuple[Bias, ...] = ()
        for bias in control.biases:
            if isinstance(bias, Restraint):
                self._restraint_row(bias.atoms, bias.centre, bias.strength)
            elif isinstance(bias, Pull) and isinstance(bias.force, float | int):
                self._pull_row(bias.atoms, bias.force)
        self._applied = tuple(bias() for _, bias in self._biases)
        buttons = ipw.HBox([self.hold_button, self.pull_button])
        first = () if self.starts_at is None else (self.starts_at,)
        super().__init__([*first, *self.sliders.values(), buttons, self.rows, self.others])

    def hold(
        self, atoms: Sequence[int] | None = None, centre: float | None = None, strength: float | None = None
    ) -> None:
        """Hold a distance, an angle or a dihedral with a spring: at its present value unless told.

        Args:
            atoms: Two, three or four; those picked unless given.
            centre: Å or degrees.
            strength: eV/Å² or eV/rad².

        Raises:
            ValueError: If there are not two to four atoms, or too many springs.
        """
        atoms = tuple(self._picked() if atoms is None else atoms)
        if len(atoms) not in _UNITS:
            raise ValueError(
                f"a restraint needs two, three or four atoms, and {len(atoms)} are picked; click atoms in the view"
            )
        self._check_capacity(Restraint, atoms)
        centre = float(self._measure(atoms) if centre is None else centre)
        strength = _STRENGTHS[len(atoms)] if strength is None else strength
        self._restraint_row(atoms, centre, strength)
        self._apply()

    def _restraint_row(self, atoms: tuple[int, ...], centre: float, strength: float) -> None:
        low, high = {2: (0.5, max(12.0, 1.5 * centre)), 3: (0.0, 180.0), 4: (-180.0, 180.0)}[len(atoms)]
        of_centre, of_strength = _UNITS[len(atoms)]
        where = _float_slider(centre, low, high, 0.01 if len(atoms) == 2 else 1.0, f"at ({of_centre})")
        how = _float_slider(strength, 0.0, 4.0 * _STRENGTHS[len(atoms)], 0.05, f"spring ({of_strength})")
        self._add_row(f"restrain {self._names(atoms)}", (where, how), lambda: Restraint(atoms, where.value, how.value))

    def pull(self, atoms: Sequence[int] | None = None, force: float = 0.5) -> None:
        """Pull two atoms apart with a constant force in eV/Å, or push them together with a negative one.

        Raises:
            ValueError: If there are not two atoms, or too many pulls.
        """
        atoms = tuple(self._picked() if atoms is None else atoms)
        if len(atoms) != 2:
            raise ValueError(f"pull needs two atoms, and {len(atoms)} are picked; click two atoms in the view")
        self._check_capacity(Pull, atoms)
        self._pull_row(atoms, force)
        self._apply()

    def _pull_row(self, atoms: tuple[int, ...], force: float) -> None:
        how = _float_slider(force, -3.0, 3.0, 0.05, "force (eV/Å)")
        self._add_row(f"pull {self._names(atoms)}", (how,), lambda: Pull(atoms, how.value))

    def release(self) -> None:
        """Take all restraints and pulls away, also those set in Python."""
        rows, self.rows.children = self.rows.children, ()
        self._biases.clear()
        self._applied = ()
        self.control.biases = ()
        close_all(*rows)
        self._apply()

    def follow(self) -> None:
        """Show what was set in Python; whoever drags a slider meanwhile is not disturbed."""
        for knob in KNOBS:
            value = getattr(self.control, knob.name)
            slider = self.sliders.get(knob.name) or (self.starts_at if knob.name == _FIRST_VELOCITIES.name else None)
            if slider is not None and isinstance(value, float) and knob.steps_between(slider.value, value) > 0.51:
                slider.min, slider.max = self._limits(knob, value)
                slider.value = value
        others = len(self._others())
        self.others.value = f"{others} more set in Python" if others else ""
        self.others.layout.display = "" if others else "none"

    @staticmethod
    def _limits(knob: _Knob, value: float) -> tuple[float, float]:
        """Of the slider, which can show any value that somebody has set."""
        if knob.logarithmic:
            value = math.log10(value) if value > 0 else knob.low
        return min(knob.low, value), max(knob.high, value)

    def _slider(self, knob: _Knob) -> Any:
        value = getattr(self.control, knob.name)
        if isinstance(value, tuple):
            value = value[0]
        kind = ipw.FloatLogSlider if knob.logarithmic else ipw.FloatSlider
        low, high = self._limits(knob, value)
        slider = kind(
            value, min=low, max=high, step=knob.step, description=knob.words, tooltip=knob.tip, layout=_WIDE,
            style=_STYLE, readout_format=".3g",
        )  # fmt: skip
        slider.observe(lambda change: self._turn(knob, change.new), "value")
        return slider

    def _turn(self, knob: _Knob, value: float) -> None:
        """Obey a slider, but not a page that rounds the value it shows to the steps of its slider and sends it back."""
        now = getattr(self.control, knob.name)
        if isinstance(now, float) and knob.steps_between(now, value) < 0.51:
            return
        setattr(self.control, knob.name, value)
        self._on_change(f"panel.control.{knob.name} = {value:g}")

    def _add_row(self, words: str, sliders: Sequence[Any], bias: Callable[[], Bias]) -> None:
        away = ipw.Button(description="✕", tooltip=f"no longer {words}", layout=ipw.Layout(width="34px"))
        row = ipw.VBox([ipw.HBox([ipw.Label(words), away]), *sliders])
        entry = (row, bias)
        self._biases.append(entry)
        self.rows.children = (*self.rows.children, row)

        def remove(_: Any) -> None:
            self._biases.remove(entry)
            self.rows.children = tuple(child for child in self.rows.children if child is not row)
            close_all(row)
            self._apply()

        away.on_click(remove)
        for slider in sliders:
            slider.observe(lambda _: self._message.try_to(self._apply), "value")

    def _apply(self) -> None:
        """Bring the rows into the control record, beside what was set there in Python."""
        others, self._applied = self._others(), tuple(bias() for _, bias in self._biases)
        self.control.biases = (*others, *self._applied)
        written = ", ".join(f"so3lab.dynamics.{bias!r}" for bias in self.control.biases)
        self._on_change(f"panel.control.biases = [{written}]")

    def _others(self) -> list[Bias]:
        """Biases that no row here has made."""
        return [bias for bias in self.control.biases if bias not in self._applied]

    def _check_capacity(self, kind: type, atoms: tuple[int, ...]) -> None:
        alike = [
            bias
            for bias in self.control.biases
            if isinstance(bias, kind) and not isinstance(bias, SphericalWall) and len(bias.atoms) == len(atoms)
        ]
        most = 1 if len(atoms) == 3 else self._most
        if len(alike) >= most:
            raise ValueError(f"there are {most} of this kind already; remove one first")

    def _names(self, atoms: Sequence[int]) -> str:
        return "–".join(f"{self._symbols[atom]}{atom}" for atom in atoms)


def _float_slider(value: float, low: float, high: float, step: float, words: str) -> ipw.FloatSlider:
    return ipw.FloatSlider(
        value,
        min=min(low, value),
        max=max(high, value),
        step=step,
        description=words,
        layout=_WIDE,
        style=_STYLE,
    )
