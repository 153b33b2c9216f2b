"""headrace: warehouse tables on S3 into this process's Arrow memory, with nothing installed beside it."""
