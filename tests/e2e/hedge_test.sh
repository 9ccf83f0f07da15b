#!/bin/sh
# Hedged requests: who is late is raced, and the loser is cancelled and accounted.
exec node "$(dirname "$0")/hedge.test.js"
