"""PostgreSQL, S3 and Valkey, and the signature that opens them."""
