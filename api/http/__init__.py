"""How the API is asked: fields, errors, paging, ETags, rate limits, OpenAPI."""
