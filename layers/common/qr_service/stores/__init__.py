"""Access to PostgreSQL, S3 and Valkey, and the signatures that it requires."""
