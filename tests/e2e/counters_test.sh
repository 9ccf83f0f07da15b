#!/bin/sh
# Counters of policies, and their windows.
exec node "$(dirname "$0")/counters.test.js"
