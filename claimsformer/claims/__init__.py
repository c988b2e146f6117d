"""The domain of claims: schema, readers and writers, code tables, cleaning, de-identification, generator and
injector."""
