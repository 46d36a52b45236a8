"""Holds a running hub against Protocol/openapi.yaml, with requests that get past the hub's signature check."""
