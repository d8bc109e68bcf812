"""The proof that nothing is lost: a failure at every effect, and an auditor.

effects.py    the calls that leave the process, each of which can fail
models.py     PostgreSQL, S3 and Valkey in process, as far as the service uses them
histories.py  histories drawn from a seed: requests, failures, clocks, interleaved
processes.py  every boundary again: real servers, real processes, SIGKILL
stores.py     what the real stores hold, for the auditor; `make audit`
audit.py      the judge of models and servers, and of the state of `make run`
faults.py     `make faults`: traffic.py's clients at `make run`, through proxy.py;
              clocks.py: a function whose clock is wrong
bugs.py       bugs that are planted in a copy, to see that they are found
"""
