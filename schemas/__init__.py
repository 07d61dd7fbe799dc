"""The contract: what hospitals send and what the platform answers. Imports nothing else of ours."""
