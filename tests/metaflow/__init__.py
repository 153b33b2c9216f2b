"""Flows run for real: Metaflow with local metadata and datastore, tables on SeaweedFS."""
