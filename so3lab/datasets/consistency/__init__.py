"""Do the labels of a data set agree with each other, and with its structures?

``signs_and_units`` asks bonds whether forces are right (``bond_stretches``), and forces whether energies are
(``energy_against_forces``): over bonds and angles where those hold the forces (``strained_frames``), between nearly the
same frames of metals and clusters (``near_frames``), pair by pair (``frame_pairs``). ``stress_against_energy`` looks at
cells, ``force_balance`` at forces alone, ``energy_levels`` at energies alone, ``repeated_frames`` at copies. Each check
gives findings; `so3lab.datasets.check_labels` acts upon them.
"""
