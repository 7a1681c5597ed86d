"""Figures that talk with Python or grow while a loop runs.

``linked_figure`` sends clicks up and curves down, ``property_map`` draws the ``columns`` of a table against each other,
``live_figure`` is redrawn in a cell's output, ``downsampling`` thins long curves and large clouds out without losing
their peaks.
"""
