"""Archives of recordings into tables: found, cut into shards, embedded, laid out, resumed.

A run goes through these modules in this order: :mod:`find` finds the files, :mod:`listing` cuts
them into shards, :mod:`unit` embeds one of these, :mod:`run` records what is done, :mod:`formats`
lay out the table and :mod:`outputs` puts it in place. :mod:`cluster` has the shards done by the
workers of a Dask cluster.
"""
