"""What holds for all tests."""

import signal

# What runs in the background of a shell ignores Ctrl-C, and its children inherit that; tests of interruptions need it.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
