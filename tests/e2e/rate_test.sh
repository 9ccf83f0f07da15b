#!/bin/sh
# Prices that failed, run again.
exec node "$(dirname "$0")/rate.test.js"
