#!/bin/sh
# Service tiers: what is asked for is what is charged.
exec node "$(dirname "$0")/tiers.test.js"
