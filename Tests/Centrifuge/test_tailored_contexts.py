"""The same where each connection's compression has a context of its own, through which everything it is sent has to go."""
from test_tailored import (  # noqa: F401
    test_deltas_go_on_from_what_was_recovered, test_filters_deltas_and_recovery_are_as_the_model_says)

SECTIONS = 'compression: { contextTakeover: true },'
