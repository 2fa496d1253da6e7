"""A typed client of the API for inventory systems: `from api.client import Client`."""

from api.client.calls import Refused
from api.client.client import Client

__all__ = ["Client", "Refused"]
