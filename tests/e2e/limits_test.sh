#!/bin/sh
# What upstreams say of their limits counts: who has nothing left is not asked first.
exec node "$(dirname "$0")/limits.test.js"
