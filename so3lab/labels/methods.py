"""Which quantum-chemical methods label our data? GFN2-xTB (tblite) and PBE/def2-SVP (PySCF).

Both engines are optional: ``pip install 'so3lab[labels]'``. Each function here makes an ASE calculator; any other
calculator of ASE is found by its name, too.
"""

import functools
import importlib
from collections.abc import Callable
from typing import Any, ClassVar

from ase import Atoms
from ase.calculators.calculator import CalculationFailed, Calculator, all_changes, get_calculator_class, names

from so3lab import units
from so3lab.structures.electrons import total_charge, unpaired_electrons

_INSTALL = "install it with: pip install 'so3lab[labels]'"


def gfn2(accuracy: float = 0.01) -> Calculator:
    """GFN2-xTB as an ASE calculator.

    Args:
        accuracy: tblite's accuracy; 0.01 converges the energy to 1e-8 hartree, 1 is tblite's default.

    Raises:
        ImportError: If tblite is missing.
    """
    try:
        from tblite.ase import TBLite
    except ImportError as error:
        raise ImportError(f"GFN2-xTB needs the package tblite; {_INSTALL}") from error
    return TBLite(method="GFN2-xTB", accuracy=accuracy, max_iterations=500, verbosity=0)


def pbe() -> Calculator:
    """PBE/def2-SVP with density fitting as an ASE calculator.

    Raises:
        ImportError: If PySCF is missing.
    """
    return PySCFDensityFunctional(functional="PBE", basis="def2-svp")


class PySCFDensityFunctional(Calculator):
    """Closed-shell Kohn-Sham DFT with density fitting: energies and forces of neutral molecules.

    The forces include the response of the integration grid, without which they do not sum to zero.
    Each calculation starts from a density on a coarse grid, which saves a sixth of the time (the density
    of the last frame, 160 fs away, saves none), and from atomic densities if that does not converge.
    So labels do not depend on the order of the frames.
    """

    implemented_properties: ClassVar[list[str]] = ["energy", "forces"]  # type: ignore[misc]

    def __init__(self, functional: str, basis: str, grid_level: int = 3, convergence_hartree: float = 1e-9) -> None:
        super().__init__()
        try:
            import pyscf.dft
            import pyscf.gto
        except ImportError as error:
            raise ImportError(f"{functional}/{basis} needs the package pyscf; {_INSTALL}") from error
        self._pyscf = pyscf
        self._functional, self._basis = functional, basis
        self._grid_level, self._convergence = grid_level, convergence_hartree

    def calculate(
        self,
        atoms: Atoms | None = None,
        properties: list[str] | None = None,
        system_changes: list[str] = all_changes,
    ) -> None:
        """Fill ``results`` with energy (eV) and forces (eV/Å).

        Raises:
            CalculationFailed: If the molecule has a charge or unpaired electrons, or the self-consistent field does
                not converge.
        """
        super().calculate(atoms, properties or ["energy"], system_changes)
        molecule = self.atoms
        assert molecule is not None
        charge, unpaired = total_charge(molecule), unpaired_electrons(molecule)
        if charge or unpaired:
            raise CalculationFailed(
                f"{self._functional}/{self._basis} must be given neutral molecules with closed shells, got charge "
                f"{charge:g} and {unpaired:g} unpaired electrons"
            )
        field = self._converged_field(molecule)
        gradient = field.nuc_grad_method()
        gradient.grid_response = True
        self.results = {
            "energy": float(field.e_tot) * units.hartree,
            "forces": -gradient.kernel() * (units.hartree / units.bohr),
        }

    def _converged_field(self, atoms: Atoms) -> Any:
        molecule = self._pyscf.gto.M(
            atom=list(zip(atoms.get_chemical_symbols(), atoms.positions / units.bohr, strict=True)),
            unit="Bohr",
            basis=self._basis,
            verbose=0,
        )
        coarse = self._pyscf.dft.RKS(molecule, xc=self._functional).density_fit()
        coarse.grids.level, coarse.conv_tol, coarse.conv_tol_grad = 0, 1e-6, 1e-3
        coarse.kernel()
        field = self._pyscf.dft.RKS(molecule, xc=self._functional).density_fit(with_df=coarse.with_df)
        field.grids.level, field.conv_tol = self._grid_level, self._convergence
        for density in (coarse.make_rdm1(), None):
            field.kernel(dm0=density)
            if field.converged:
                return field
        raise CalculationFailed(
            f"the self-consistent field of {self._functional}/{self._basis} must converge to "
            f"{self._convergence} hartree, and did not in {field.max_cycle} iterations"
        )


LEVELS: dict[str, Callable[[], Any]] = {"gfn2": gfn2, "pbe": pbe}
"""Levels of theory known by name."""


def method_of(method: str | Callable[[], Any]) -> tuple[str, Callable[[], Any]]:
    """A method's name, and a picklable function that makes its ASE calculator.

    Args:
        method: One of :data:`LEVELS`; ASE's name of a calculator, such as ``emt``, with its default settings; a module
            and what makes the calculator there, such as ``tblite.ase:TBLite``; or such a function itself.

    Raises:
        ValueError: If there is no such method.
    """
    if callable(method):
        return getattr(method, "__name__", type(method).__name__), method
    if method in LEVELS:
        return method, LEVELS[method]
    if method in names or ":" in method:
        maker = functools.partial(_made, method)
        _class_of(method)
        return method, maker
    raise ValueError(
        f"a level must be one of {sorted(LEVELS)}, a calculator of ASE such as emt, a function that makes a "
        f"calculator, or where there is one, such as tblite.ase:TBLite, got {method!r}"
    )


def _made(method: str) -> Any:
    return _class_of(method)()


def _class_of(method: str) -> Any:
    try:
        if ":" not in method:
            return get_calculator_class(method)
        module, _, name = method.partition(":")
        return getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError, ValueError) as error:
        raise ValueError(f"there is no calculator {method}: {error}") from error
