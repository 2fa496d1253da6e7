"""Telling other systems what changed: subscriptions, an outbox written with each change, signed deliveries."""
