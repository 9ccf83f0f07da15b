#!/bin/sh
# Policies go live, or not.
exec node "$(dirname "$0")/publish.test.js"
