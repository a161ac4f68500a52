"""Pictures of recordings and of tables (extra ``[plot]``)."""
