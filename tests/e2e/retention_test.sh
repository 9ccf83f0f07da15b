#!/bin/sh
# What is kept of a request, and what is not.
exec node "$(dirname "$0")/retention.test.js"
