#!/bin/sh
# The documentation of policies does what it says.
exec node "$(dirname "$0")/policy_docs.test.js"
