"""What people work with: a panel lays out controls, starts a job, and draws what comes.

``panel`` is what all have in common, with ``job_bar``, ``code_line`` and ``save_row``. The dynamics panel is made of
``run_form``, ``run_commands``, ``run_saving``, ``steering_box``, ``live_plots``, ``history_slider`` and
``replica_views``; the trajectory panel of ``frame_plot``, ``frame_choice``, ``series_row`` and ``picked_series``.
"""
