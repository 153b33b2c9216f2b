"""Shards in other processes, without Metaflow."""
