#!/bin/sh
# Policies that were good once.
exec node "$(dirname "$0")/last_good.test.js"
