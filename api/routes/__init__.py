"""The JSON API under /v1, one module per resource, and the health endpoints."""
