"""A molecule that is looked at: the 3D view, what it draws, its colours, its player, movies of it, and a still picture.

``viewer`` is the widget, with its traits in ``traits``; ``drawn_frame`` is what goes to the page, and ``placing`` lays
it upon the first frame. ``looks`` is the table of styles that all drawings share, and ``page`` joins what a page gets:
``geometry.js``, ``theme.js``, ``scene.js``, ``controls.js``, ``page.js`` and what these use, beside ``viewer.css``.
``links`` draws weighted links and ``overlays`` other structures. ``frame_source`` puts structures and trajectories
behind one interface, ``colouring`` and ``colour_scale`` say what atoms and links show, ``player`` plays,
``movie_encoder`` and ``movie_recorder`` make films, ``static_preview`` keeps a picture for a page without a kernel,
``view3d`` has the one line that shows things, ``plain_nglview`` shows them with nglview alone, and ``ngl`` finds the 3D
engine for all pages.
"""
