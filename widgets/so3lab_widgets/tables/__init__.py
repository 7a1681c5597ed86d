"""Tables that talk with Python: ``linked_table`` is what a page shows, ``filters`` say which rows are meant."""
