#!/bin/sh
# AWS's credentials: where they come from, STS, a container's, an instance's; signatures checked.
exec node "$(dirname "$0")/aws.test.js"
