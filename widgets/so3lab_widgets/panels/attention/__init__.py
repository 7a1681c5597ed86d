"""Parts of the panel that looks at attention: each draws one side of what a network says of a structure.

``shown`` is what there is to draw: one look, or how two differ. ``overview`` has a thumbnail per layer and head,
``matrix`` who listens to whom, ``scatter`` points that are pairs, ``distance`` those of weight against distance,
``pair_list`` the strongest of them, ``reach_line`` whether a network can see from one atom to another, ``along`` curves
over the frames of a run, ``cause`` what follows when an atom moves, ``compare`` what to compare with, ``colours`` what
atoms can be coloured by, ``source_row`` asks for model and structure, ``structures`` says what can be opened,
``answers`` keeps what a model has said, and ``saving`` writes files.
"""
