"""Which units so3lab uses: ASE's (eV, Å, amu); numbers that people type are converted once, with these.

The time unit follows from the other three: 1 Å sqrt(amu/eV), about 10.18 fs.
"""

from ase import units as _ase

fs: float = _ase.fs
"""One femtosecond in ASE time units."""
ps: float = 1000.0 * _ase.fs
"""One picosecond in ASE time units."""
kB: float = _ase.kB
"""Boltzmann constant in eV/K."""
kcal_per_mol: float = _ase.kcal / _ase.mol
"""One kcal/mol in eV."""
kJ_per_mol: float = _ase.kJ / _ase.mol
"""One kJ/mol in eV."""
kcal_mol_per_meV: float = 1e-3 / kcal_per_mol
"""One meV in kcal/mol."""
bohr: float = _ase.Bohr
"""One bohr in Å."""
hartree: float = _ase.Hartree
"""One hartree in eV."""
coulomb_constant: float = _ase.Hartree * _ase.Bohr
"""e²/(4πε₀) in eV Å."""
GPa: float = _ase.GPa
"""One gigapascal in eV/Å³."""
speed_of_light: float = _ase._c * _ase.m / _ase.second
"""In Å per ASE time unit."""
per_cm: float = 1e-8 * speed_of_light
"""Frequency, in cycles per ASE time unit, of light with a wavenumber of one cm⁻¹."""
photon_per_cm: float = _ase.invcm
"""Energy in eV of a photon with a wavenumber of one cm⁻¹."""
