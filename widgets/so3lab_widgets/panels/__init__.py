"""What people work with: a panel lays out controls, starts a job, and draws what comes.

``panel`` is what all have in common, with ``message_line`` for what there is to say, ``save_menu`` for what can be
saved, ``code_line``, ``job_bar`` and ``attempt``: long work that is prepared ahead and may be wanted otherwise
meanwhile. The dynamics panel is made of ``run_form``, ``live_run``, ``replica_views``, ``steering_box``,
``history_slider``, ``plot_area`` with its ``live_plots``, ``run_saving`` and ``constructor_line``; the trajectory panel
of ``frame_plot``, ``frame_choice``, ``series_row`` and ``picked_series``; the training panel of ``labelled_view``,
``data_part``, ``training_form``, ``training_run``, ``training_curves``, ``parity_part``, ``runs_part``,
``model_in_hand`` and ``training_saving``; the minima panel of ``search_form``, ``search_run``, ``minima_views``,
``minima_figures``, ``minima_table``, ``minima_knobs``, ``minima_comparison``, ``minima_reading``, ``minima_saving``
and ``later``. Forms of molecules share ``system_form``; ``lab`` has all panels as tabs of one
session.
"""
