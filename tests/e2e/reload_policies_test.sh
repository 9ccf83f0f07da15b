#!/bin/sh
# Policies changed a thousand times under load.
exec node "$(dirname "$0")/reload_policies.test.js"
