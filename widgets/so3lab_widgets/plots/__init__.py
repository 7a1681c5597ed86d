"""Figures that talk with Python or grow while a loop runs.

``linked_figure`` sends clicks up and curves down, ``live_figure`` is redrawn in a cell's output, ``downsampling`` thins
long curves out without losing their peaks.
"""
