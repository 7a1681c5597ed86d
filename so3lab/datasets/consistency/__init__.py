"""Do the labels of a data set agree with each other, and with its structures?

``near_frames`` finds frames that are nearly the same, between which energies must change as forces say
(``energy_against_forces``); ``force_balance`` looks at forces alone, ``energy_levels`` at energies alone,
``repeated_frames`` at copies. Each check gives findings; `so3lab.datasets.check_labels` acts upon them.
"""
