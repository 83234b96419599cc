"""Under which key of a snapshot a field of the model stands."""

from __future__ import annotations

_KEYS = {"vendor_id": "vendor", "device_id": "device", "class_code": "class", "port_type": "port", "bus_range": "buses", "memory_bytes": "memory"}


def key(field: str) -> str:
    """The snapshot's key for a field of the model."""
    return _KEYS.get(field, field)
