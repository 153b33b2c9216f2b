"""A scripted S3 server and the faults it can answer with."""
