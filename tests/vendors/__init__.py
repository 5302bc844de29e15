"""The vendors as their documentation describes them: real HTTP servers on loopback, with faults on demand."""
