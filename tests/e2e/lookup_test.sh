#!/bin/sh
# Policies that ask a service: lookup().
exec node "$(dirname "$0")/lookup.test.js"
