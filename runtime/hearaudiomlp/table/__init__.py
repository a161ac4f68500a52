"""Archives of recordings into tables: found, cut into units, embedded, laid out, continued.

A run goes through these modules in this order: :mod:`sources` finds the files, :mod:`plan` cuts
them into units, :mod:`shard` embeds one of these, :mod:`run` keeps account of what is done and
:mod:`formats` writes it. :mod:`cluster` has the units done by the workers of a Dask cluster.
"""
