"""Firmware's tables that say what IOMMUs translate: DMAR (Intel), IVRS (AMD), IORT (Arm)."""
