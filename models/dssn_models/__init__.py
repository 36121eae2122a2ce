"""The pure core: no clock, no sockets, no files, no simpy, no asyncio."""
