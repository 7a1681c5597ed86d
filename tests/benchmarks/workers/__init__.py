"""One program per engine that is compared; each runs in the interpreter where that engine is installed.

A worker imports its engine and :mod:`protocol`, reads a JSON request per line and answers each with a line of JSON.
"""
