#!/bin/sh
# moongate provider test: each step to an upstream, how long it took, what it cost, and which one fails.
exec node "$(dirname "$0")/provider.test.js"
