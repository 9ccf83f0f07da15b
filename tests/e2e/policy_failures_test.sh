#!/bin/sh
# Policies that fail in front of real requests.
exec node "$(dirname "$0")/policy_failures.test.js"
