"""Why are two minima two? The numbers of the rule, their torsions, and a rule that can be changed on the spot."""

import html
from collections.abc import Callable

import ipywidgets as ipw

from so3lab.minima import Comparison, DuplicateRule
from so3lab_widgets.panels.job_bar import button
from so3lab_widgets.panels.message_line import MessageLine
from so3lab_widgets.panels.system_form import field

_ROW = {"flex_flow": "row wrap", "align_items": "center"}


class MinimaComparison(ipw.HBox):
    """A rule for duplicates, whether it is applied, and two minima side by side.

    Args:
        rule: To begin with.
        apply: Called with a rule that all minima are to be gathered by anew.
        message: Says what stands against what was clicked.

    Attributes:
        energy, rmsd, mirror_images: Fields of the rule, in meV, Å and words.
        words: The two, side by side; it has many lines or one, and stands below all that can be clicked.
    """

    def __init__(self, rule: DuplicateRule, apply: Callable[[DuplicateRule], None], message: MessageLine):
        self._message = message
        self.energy = field(ipw.FloatText, "energies (meV)", 190, 108, tooltip="of two that are one")
        self.rmsd = field(ipw.FloatText, "RMSD (Å)", 150, 76, step=0.005, tooltip="of all atoms")
        images = [("are the same", "merged"), ("are two", "kept")]
        self.mirror_images = field(ipw.Dropdown, "mirror images", 230, 104, options=images)
        self.show_rule(rule)
        self.apply_button = button(
            "Gather anew", "compress", "apply this rule to all minima that are stored", lambda: message.try_to(
                lambda: apply(self.rule)
            ),
        )  # fmt: skip
        words = ipw.Label("One and the same when closer in")
        fields = [words, self.energy, self.rmsd, self.mirror_images, self.apply_button]
        self.words = ipw.HTML("Select two minima to see why they are two.")
        super().__init__(fields, layout=ipw.Layout(**_ROW))

    @property
    def rule(self) -> DuplicateRule:
        """What stands in the fields.

        Raises:
            ValueError: If a number is not positive.
        """
        for name, value in (("energies", self.energy.value), ("RMSD", self.rmsd.value)):
            if not value > 0:
                raise ValueError(f"two minima are the same below a positive difference of {name}, got {value:g}")
        return DuplicateRule(1e-3 * self.energy.value, self.rmsd.value, self.mirror_images.value)

    def show_rule(self, rule: DuplicateRule) -> None:
        """Put a rule into the fields."""
        self.energy.value = float(f"{1000 * rule.max_energy_difference:.4g}")
        self.rmsd.value, self.mirror_images.value = rule.max_rmsd, rule.mirror_images

    def show(self, found: Comparison | None) -> None:
        """Show two minima side by side; None when there are no two."""
        if found is None:
            self.words.value = "Select two minima to see why they are two."
            return
        rows = "".join(
            f"<tr><td>{html.escape(str(row.atoms))}</td><td>{_minus(f'{row.first_deg:.1f}°')}</td>"
            f"<td>{_minus(f'{row.second_deg:.1f}°')}</td><td>{_minus(f'{row.difference_deg:+.1f}°')}</td></tr>"
            for row in found.torsions.itertuples()
        )
        image = " It is the mirror image of the second that lies so." if found.mirrored else ""
        head = f"<tr><th>torsion</th><th>{found.first}</th><th>{found.second}</th><th>difference</th></tr>"
        table = f'<table style="text-align: right; border-spacing: 12px 0">{head}{rows}</table>' if rows else ""
        numbers = _minus(f"ΔE {1000 * found.energy_difference:+.3g} meV, RMSD {found.rmsd:.3g} Å.")
        self.words.value = f'<span role="status"><b>{html.escape(found.why)}</b> {numbers}{image}</span>{table}'


def rule_in_python(rule: DuplicateRule) -> str:
    """A rule as Python makes it."""
    return f"so3lab.minima.DuplicateRule({rule.max_energy_difference:.6g}, {rule.max_rmsd:g}, {rule.mirror_images!r})"


def _minus(text: str) -> str:
    """With a sign that is as wide as a plus."""
    return text.replace("-", "−")
